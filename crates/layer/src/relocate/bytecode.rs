//! Python byte-code that stays valid although its source is a new file.
//!
//! A `.pyc` names its source by modification time and size (PEP 552, flags 0). A layer holds no times, so after
//! extraction Python takes every shipped `.pyc` for outdated: it compiles on each import and, where it may write,
//! replaces files of the store, which then no longer are what its manifest says. So the sources get their times back.
//! Spack leaves the times as they are; contents stay equal to Spack's.
//!
//! Byte-code that was outdated where the package was built must stay outdated. The install manifest in the layer has
//! the times of the builder: only a source that had the very time its `.pyc` expects gets it, and without a manifest
//! none does. What relocation may have edited is left alone.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::RelocateError;
use super::beneath::Tree;
use crate::build_info::BuildInfo;
use crate::unpack::Notes;

/// Where Python keeps byte-code.
const CACHE: &str = "__pycache__";

/// The builder's install manifest (`verify.py` in Spack): an object by absolute path, with `time` for files.
const MANIFEST: &str = ".spack/install_manifest.json";

/// A manifest of more bytes than this is not looked at. A package of 100,000 files has one of some 30 MB.
const LARGEST_MANIFEST: u64 = 128 << 20;

/// Gives the Python sources below `root`, a package relocated as `info` says, the modification times that their
/// `.pyc` files in `__pycache__` expect; returns how many sources got one. `notes` are those of its unpacking, kept true.
///
/// A source keeps its time if time or size at the builder are not the recorded ones, if it is listed for relocation,
/// has several names, or is no regular file. No `.pyc` is opened. To be called before the install manifest is written
/// anew.
///
/// # Errors
/// If a time cannot be set.
pub fn keep_bytecode_valid(root: &Path, info: &BuildInfo, notes: &mut Notes) -> Result<u64, RelocateError> {
    let compiled = compiled(notes);
    if compiled.is_empty() {
        return Ok(0);
    }
    let failed =
        |action, path: &Path, source: io::Error| RelocateError::Io { action, path: path.to_owned(), source };
    let tree = Tree::open(root).map_err(|source| failed("open", root, source))?;
    let listed = info.relocate_textfiles.iter().chain(&info.relocate_binaries).map(Path::new);
    let listed: HashSet<&Path> = listed.collect();
    let built = BuiltTimes::read(&tree, info);
    let mut dated = HashSet::new();
    let mut directory: Option<(PathBuf, OwnedFd)> = None;
    for (source, recorded) in compiled {
        if listed.contains(&*source) || built.time(&source) != Some(recorded.time) {
            continue;
        }
        let Some((number, note)) = notes.find_file(&source) else { continue };
        // Its other name may be the one that is listed.
        if note.shared || note.size != u64::from(recorded.size) {
            continue;
        }
        let (Some(parent), Some(name)) = (source.parent(), source.file_name()) else { continue };
        if directory.as_ref().is_none_or(|(path, _)| path != parent) {
            let opened = tree.directory(parent).map_err(|error| failed("open", parent, error))?;
            directory = Some((parent.to_owned(), opened));
        }
        let Some((_, parent)) = &directory else { continue };
        let modified = set_time(parent, name, recorded);
        let modified = modified.map_err(|errno| failed("set the time of", &source, errno.into()))?;
        notes.dated(number, modified);
        dated.insert(number);
    }
    Ok(dated.len() as u64)
}

/// The sources that byte-code in a `__pycache__` names, with what it says of them. Where several disagree, the last in
/// order decides.
fn compiled(notes: &Notes) -> Vec<(PathBuf, Recorded)> {
    let compiled = notes.iter().filter_map(|note| {
        let recorded = Recorded::from_header(**notes.file(note)?.bytecode.as_ref()?)?;
        let cache = note.path.parent().filter(|cache| cache.ends_with(CACHE))?;
        let source = source_of(note.path.file_name()?.as_bytes())?;
        Some((cache.parent()?.join(OsStr::from_bytes(&source)), recorded))
    });
    compiled.collect()
}

/// When files were modified last where the package was built.
struct BuiltTimes {
    /// The prefix there, with a slash behind it.
    prefix: String,
    /// By absolute path there.
    entries: HashMap<String, ManifestEntry>,
}

#[derive(serde::Deserialize)]
struct ManifestEntry {
    /// Seconds since 1970, as Python's `st_mtime`.
    #[serde(default)]
    time: Option<f64>,
}

impl BuiltTimes {
    /// From the manifest in the layer; empty if there is none, or none that can be read: it is a help, no more.
    fn read(tree: &Tree, info: &BuildInfo) -> Self {
        let prefix = format!("{}/{}/", info.buildpath, info.relative_prefix);
        let entries = tree.file(Path::new(MANIFEST)).ok().and_then(|file| {
            let mut text = Vec::new();
            file.take(LARGEST_MANIFEST).read_to_end(&mut text).ok()?;
            serde_json::from_slice(&text).ok()
        });
        Self { prefix, entries: entries.unwrap_or_default() }
    }

    /// The time of the file at `path` within the package: whole seconds modulo 2³², as a `.pyc` has it.
    fn time(&self, path: &Path) -> Option<u32> {
        let entry = self.entries.get(&format!("{}{}", self.prefix, path.to_str()?))?;
        // Python compares `int(st_mtime) & 0xFFFFFFFF`.
        Some(entry.time? as i64 as u32)
    }
}

/// What a `.pyc` says of its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recorded {
    /// Seconds since 1970, modulo 2³².
    time: u32,
    /// Bytes, modulo 2³².
    size: u32,
}

impl Recorded {
    /// From the header: magic (the last two bytes of which are always `\r\n`), flags, time and size, little endian.
    /// `None` if the source is known by its hash, or the layout is that of a Python before 3.7.
    fn from_header(header: [u8; 16]) -> Option<Recorded> {
        let [_, _, b'\r', b'\n', 0, 0, 0, 0, t0, t1, t2, t3, s0, s1, s2, s3] = header else { return None };
        Some(Recorded {
            time: u32::from_le_bytes([t0, t1, t2, t3]),
            size: u32::from_le_bytes([s0, s1, s2, s3]),
        })
    }
}

/// The name of the source that `NAME.TAG.pyc` or `NAME.TAG.opt-LEVEL.pyc` was made from (PEP 3147 and 488).
fn source_of(compiled: &[u8]) -> Option<Vec<u8>> {
    let mut parts = compiled.split(|&byte| byte == b'.');
    let name = parts.next().filter(|name| !name.is_empty())?;
    match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
        (_, b"pyc", None, _) => {}
        (_, level, Some(b"pyc"), None) if level.starts_with(b"opt-") => {}
        _ => return None,
    }
    Some([name, b".py"].concat())
}

/// Sets the modification time of `source`; gives the one that it has then.
fn set_time(directory: impl AsFd, source: &OsStr, recorded: Recorded) -> Result<(i64, u32), Errno> {
    let seconds = i64::from(recorded.time);
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    };
    rustix::fs::utimensat(&directory, source, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    if i32::try_from(seconds).is_ok() {
        return Ok((seconds, 0));
    }
    // Not every file system has times after 2038.
    let stat = rustix::fs::statat(&directory, source, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok((stat.st_mtime, stat.st_mtime_nsec as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_as_python_does() {
        let source = |name: &str| source_of(name.as_bytes()).map(|name| String::from_utf8(name).unwrap());
        assert_eq!(source("ssl.cpython-311.pyc").as_deref(), Some("ssl.py"));
        assert_eq!(source("ssl.cpython-311.opt-1.pyc").as_deref(), Some("ssl.py"));
        for other in [
            "ssl.pyc",
            "ssl.py",
            "pyc",
            "",
            ".a.pyc",
            "a.b.c.pyc",
            "a.b.opt-1.c.pyc",
            "a.b.pyc.x",
            "a..pyc.pyc",
        ] {
            assert_eq!(source(other), None, "{other}");
        }
    }

    #[test]
    fn only_headers_with_time_and_size_count() {
        let header = *b"\xa7\x0d\r\n\0\0\0\0\x01\x02\0\0\x05\0\x01\0";
        assert_eq!(Recorded::from_header(header), Some(Recorded { time: 0x201, size: 0x1_0005 }));
        let mut hashed = header;
        hashed[4] = 1;
        assert_eq!(Recorded::from_header(hashed), None);
        let mut no_magic = header;
        no_magic[3] = 0;
        assert_eq!(Recorded::from_header(no_magic), None);
    }
}
