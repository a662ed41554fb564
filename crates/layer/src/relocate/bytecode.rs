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
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT};
use rustix::io::Errno;

use super::RelocateError;
use super::beneath::Tree;
use crate::build_info::BuildInfo;

/// Where Python keeps byte-code.
const CACHE: &str = "__pycache__";

/// The builder's install manifest (`verify.py` in Spack): an object by absolute path, with `time` for files.
const MANIFEST: &str = ".spack/install_manifest.json";

/// A manifest of more bytes than this is not looked at. A package of 100,000 files has one of some 30 MB.
const LARGEST_MANIFEST: u64 = 128 << 20;

/// Gives the Python sources below `root`, a package relocated as `info` says, the modification times that their
/// `.pyc` files in `__pycache__` expect; returns how many sources got one.
///
/// A source keeps its time if time or size at the builder are not the recorded ones, if it is listed for relocation,
/// has several names, or is no regular file. No link is followed, and of each `.pyc` only the header is read. To be
/// called before the install manifest is written anew.
///
/// # Errors
/// If a directory or header cannot be read, or a time cannot be set.
pub fn keep_bytecode_valid(root: &Path, info: &BuildInfo) -> Result<u64, RelocateError> {
    let failed =
        |action, path: &Path, source: io::Error| RelocateError::Io { action, path: path.to_owned(), source };
    let tree = Tree::open(root).map_err(|source| failed("open", root, source))?;
    let listed = info.relocate_textfiles.iter().chain(&info.relocate_binaries).map(Path::new);
    let listed: HashSet<&Path> = listed.collect();
    let mut built: Option<BuiltTimes> = None;
    let mut sources = 0;
    let mut directories = vec![PathBuf::new()];
    while let Some(path) = directories.pop() {
        let unreadable = |source| failed("read directory", &path, source);
        let directory = tree.directory(&path).map_err(unreadable)?;
        let mut compiled = Vec::new();
        for entry in Dir::read_from(&directory).map_err(|errno| unreadable(errno.into()))? {
            let entry = entry.map_err(|errno| unreadable(errno.into()))?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map(|stat| FileType::from_raw_mode(stat.st_mode))
                    .map_err(|errno| unreadable(errno.into()))?,
                known => known,
            };
            match kind {
                FileType::Directory => directories.push(path.join(OsStr::from_bytes(name.to_bytes()))),
                FileType::RegularFile if path.ends_with(CACHE) => compiled.push(name.to_owned()),
                _ => {}
            }
        }
        let Some(parent) = path.parent().filter(|_| !compiled.is_empty()) else { continue };
        let built = built.get_or_insert_with(|| BuiltTimes::read(&tree, info));
        let parent_directory = tree.directory(parent).map_err(|source| failed("open", parent, source))?;
        // Where several disagree, the last in order decides: not the order of the file system.
        compiled.sort_unstable();
        let mut dated = HashSet::new();
        for name in &compiled {
            let Some(source) = source_of(name.to_bytes()) else { continue };
            let source_path = parent.join(OsStr::from_bytes(&source));
            if listed.contains(&*source_path) {
                continue;
            }
            let recorded = recorded(&directory, name)
                .map_err(|error| failed("read", &path.join(OsStr::from_bytes(name.to_bytes())), error))?;
            let Some(recorded) = recorded.filter(|recorded| built.time(&source_path) == Some(recorded.time))
            else {
                continue;
            };
            let set = set_time(&parent_directory, &source, recorded);
            if set.map_err(|errno| failed("set the time of", &source_path, errno.into()))? {
                dated.insert(source);
            }
        }
        sources += dated.len() as u64;
    }
    Ok(sources)
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

/// What the `.pyc` called `name` says; `None` if it is shorter than a header or says something else.
fn recorded(directory: impl AsFd, name: &CStr) -> io::Result<Option<Recorded>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?);
    let mut header = [0; 16];
    match file.read_exact_at(&mut header, 0) {
        Ok(()) => Ok(Recorded::from_header(header)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// Sets the modification time of `source` if it may be what was compiled; whether it did.
fn set_time(directory: impl AsFd, source: &[u8], recorded: Recorded) -> Result<bool, Errno> {
    let stat = match rustix::fs::statat(&directory, source, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        stat => stat?,
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
        // Its other name may be the one that is listed.
        || stat.st_nlink != 1
        || u64::try_from(stat.st_size) != Ok(u64::from(recorded.size))
    {
        return Ok(false);
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: i64::from(recorded.time), tv_nsec: 0 },
    };
    rustix::fs::utimensat(directory, source, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(true)
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
