//! Whether the shared libraries that a package's files need are found by the RPATHs in these files (Spack's
//! `verify_libraries.py`). What the dynamic linker finds in the system's own directories is left out of the question.

use crate::relocate::elf::{Kind, Needs, kind, needs};
use serde::Serialize;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Libraries of the kernel, the C library, compilers, systemd and drivers, up to the version: found by the dynamic linker, or
/// nobody's business (`ALLOW_UNRESOLVED`).
const ELSEWHERE: [&str; 38] = [
    "linux-vdso",
    "libselinux",
    "ld64",
    "libanl",
    "libc",
    "libdl",
    "libm",
    "libmemusage",
    "libmvec",
    "libnsl",
    "libnss_compat",
    "libnss_db",
    "libnss_dns",
    "libnss_files",
    "libnss_hesiod",
    "libpcprofile",
    "libpthread",
    "libresolv",
    "librt",
    "libSegFault",
    "libthread_db",
    "libutil",
    "libasan",
    "libatomic",
    "libcc1",
    "libgcc_s",
    "libgfortran",
    "libgomp",
    "libitm",
    "liblsan",
    "libquadmath",
    "libssp",
    "libstdc++",
    "libtsan",
    "libubsan",
    "libudev",
    "libcuda",
    "libur_loader",
];
/// The same by how names begin: the dynamic linkers.
const LINKERS: [&str; 2] = ["ld-musl-", "ld-linux"];
/// The most bytes of a file that are looked at to tell what kind of ELF file it is.
const HEADER: u64 = 64;

/// A file that cannot be sure of its libraries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file, relative to the prefix.
    pub path: PathBuf,
    /// Libraries that are not found, or are not for the same kind of machine.
    pub not_found: Vec<String>,
    /// RPATHs that depend on the working directory.
    pub relative_rpaths: Vec<String>,
}

/// What is wrong with the files below `prefix`, by path. Links are not followed, and `.spack` is passed over.
pub fn problems(prefix: &Path) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut known = HashMap::new();
    let mut directories = vec![prefix.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let path = entry.path();
            let Ok(file_type) = entry.file_type() else { continue };
            if file_type.is_dir() && path != prefix.join(".spack") {
                directories.push(path);
            } else if file_type.is_file() {
                problems.extend(problem(prefix, &path, &mut known));
            }
        }
    }
    problems.sort_by(|a, b| a.path.cmp(&b.path));
    problems
}

fn problem(prefix: &Path, path: &Path, known: &mut HashMap<PathBuf, Option<Kind>>) -> Option<Problem> {
    // Most files are told by their first bytes not to be of interest.
    let own = header(path)?;
    let Needs { libraries, rpath } = needs(&std::fs::read(path).ok()?)?;
    let origin = path.parent().unwrap_or(prefix).as_os_str().as_bytes();
    let entries = rpath.split(|byte| *byte == b':').filter(|entry| !entry.is_empty());
    let entries = entries.map(|entry| with_origin(entry, origin));
    let (rpaths, relative): (Vec<_>, Vec<_>) = entries.partition(|entry| entry.starts_with(b"/"));
    let mut fits = |candidate: PathBuf| {
        let kind = known.entry(candidate).or_insert_with_key(|candidate| header(candidate));
        kind.is_some_and(|kind| kind.is_library_for(own))
    };
    let mut not_found = Vec::new();
    for library in libraries {
        let is_found = match library.contains(&b'/') {
            // Relative to the working directory, which may be any.
            true => library.starts_with(b"/") && fits(Path::new(OsStr::from_bytes(&library)).to_owned()),
            false => {
                is_elsewhere(&library)
                    || rpaths.iter().any(|rpath| {
                        fits(Path::new(OsStr::from_bytes(rpath)).join(OsStr::from_bytes(&library)))
                    })
            }
        };
        if !is_found {
            not_found.push(String::from_utf8_lossy(&library).into_owned());
        }
    }
    let relative_rpaths: Vec<String> =
        relative.iter().map(|rpath| String::from_utf8_lossy(rpath).into_owned()).collect();
    let path = path.strip_prefix(prefix).unwrap_or(path).to_owned();
    let is_one = !not_found.is_empty() || !relative_rpaths.is_empty();
    is_one.then_some(Problem { path, not_found, relative_rpaths })
}

/// What kind of ELF file it is, if it is one.
fn header(path: &Path) -> Option<Kind> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(HEADER).read_to_end(&mut bytes).ok()?;
    kind(&bytes)
}

/// `$ORIGIN` is the directory of the file.
fn with_origin(entry: &[u8], origin: &[u8]) -> Vec<u8> {
    const ORIGIN: &[u8] = b"$ORIGIN";
    let mut replaced = Vec::with_capacity(entry.len());
    let mut rest = entry;
    while let Some(at) = memchr::memmem::find(rest, ORIGIN) {
        replaced.extend(&rest[..at]);
        replaced.extend(origin);
        rest = &rest[at + ORIGIN.len()..];
    }
    replaced.extend(rest);
    replaced
}

fn is_elsewhere(library: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(library) else { return false };
    let Some((stem, _)) = name.split_once(".so.") else { return false };
    ELSEWHERE.contains(&stem) || LINKERS.iter().any(|linker| stem.starts_with(linker))
}
