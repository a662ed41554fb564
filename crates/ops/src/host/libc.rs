//! Which C library programs of a machine are loaded with, by the dynamic loader alone.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use strata_spec::host::Libc;

/// Where the loader is where no program that says so was found.
const LOADERS: &[&str] = &[
    "lib64/ld-linux-x86-64.so.2",
    "lib/ld-linux-aarch64.so.1",
    "lib64/ld64.so.2",
    "lib/ld-linux-riscv64-lp64d.so.1",
    "lib/ld64.so.1",
    "lib/ld-linux.so.2",
    "lib/ld-musl-x86_64.so.1",
    "lib/ld-musl-aarch64.so.1",
];

/// A C library is smaller than this; no more is read of a file that calls itself one.
const LARGEST: u64 = 64 << 20;

/// The C library of the system at `root`: that of the loader that its programs name.
pub fn detect(root: &Path) -> Option<Libc> {
    let named = ["bin/sh", "usr/bin/env"].into_iter().filter_map(|program| interpreter(&root.join(program)));
    let named: Vec<PathBuf> = named.collect();
    let known = LOADERS.iter().map(PathBuf::from);
    named
        .into_iter()
        .chain(known)
        .find_map(|loader| of_loader(&root.join(loader.strip_prefix("/").unwrap_or(&loader))))
}

/// The C library that a loader belongs to. Since 2.33 the loader of glibc has the version in it, before that the library beside it
/// has; musl's, which is the library itself, tells when it is run.
pub fn of_loader(loader: &Path) -> Option<Libc> {
    let real = loader.canonicalize().ok()?;
    if real.file_name()?.to_str()?.contains("musl") || loader.file_name()?.to_str()?.contains("musl") {
        let output = Command::new(loader).stdin(Stdio::null()).output().ok()?;
        return musl(&String::from_utf8_lossy(&output.stderr));
    }
    let beside = real.parent()?.join("libc.so.6");
    [real, beside].iter().find_map(|file| glibc(&read(file)?))
}

fn read(file: &Path) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    File::open(file).ok()?.take(LARGEST).read_to_end(&mut content).ok()?;
    Some(content)
}

/// The version in a file of glibc: `… (Debian GLIBC 2.36-9) stable release version 2.36.`
pub fn glibc(content: &[u8]) -> Option<Libc> {
    const BEFORE: &[u8] = b" release version ";
    memchr::memmem::find_iter(content, BEFORE).find_map(|at| {
        let text = content.get(at + BEFORE.len()..)?;
        let end = text.iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.'))?;
        let version = std::str::from_utf8(&text[..end]).ok()?.trim_end_matches('.');
        let is_version = version.contains('.');
        is_version.then(|| Libc { name: "glibc".to_owned(), version: version.to_owned() })
    })
}

/// The version in what the loader of musl prints when it is run without a program.
pub fn musl(output: &str) -> Option<Libc> {
    output.starts_with("musl libc").then_some(())?;
    let version = output.lines().find_map(|line| line.strip_prefix("Version "))?.trim();
    Some(Libc { name: "musl".to_owned(), version: version.to_owned() })
}

/// The loader that a program of this machine names (`PT_INTERP` of a 64-bit ELF file).
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut file = File::open(program).ok()?;
    let mut at = |offset: u64, length: usize| {
        let mut bytes = vec![0; length];
        file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(&mut bytes)).ok()?;
        Some(bytes)
    };
    let header = at(0, 64)?;
    (header[..5] == *b"\x7fELF\x02").then_some(())?;
    let segments = u64::from_ne_bytes(header[32..40].try_into().ok()?);
    let size = u64::from(u16::from_ne_bytes(header[54..56].try_into().ok()?));
    let count = u64::from(u16::from_ne_bytes(header[56..58].try_into().ok()?));
    for number in 0..count {
        let segment = at(segments.checked_add(number * size)?, 56)?;
        if segment[..4] == 3u32.to_ne_bytes() {
            let offset = u64::from_ne_bytes(segment[8..16].try_into().ok()?);
            let length = u64::from_ne_bytes(segment[32..40].try_into().ok()?);
            let name = at(offset, usize::try_from(length).ok().filter(|length| *length < 4096)?)?;
            let name = name.split(|byte| *byte == 0).next()?;
            return Some(PathBuf::from(std::str::from_utf8(name).ok()?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_libraries_say() {
        let version = |libc: Option<Libc>| libc.map(|libc| libc.to_string());
        for (text, expected) in [
            (
                "\0GNU C Library (Debian GLIBC 2.36-9+deb12u9) stable release version 2.36.\nCopyright",
                "glibc 2.36",
            ),
            ("ld.so (Ubuntu GLIBC 2.35-0ubuntu3.8) stable release version 2.35.\n", "glibc 2.35"),
            (
                "GNU C Library (GNU libc) stable release version 2.17, by Roland McGrath et al.\n",
                "glibc 2.17",
            ),
            (
                "a release version of x, GNU C Library development release version 2.39.9000.\n",
                "glibc 2.39.9000",
            ),
        ] {
            assert_eq!(version(glibc(text.as_bytes())).as_deref(), Some(expected));
        }
        assert_eq!(glibc(b"ends with release version 2.3"), None);
        let output = "musl libc (x86_64)\nVersion 1.2.4\nDynamic Program Loader\nUsage: …\n";
        assert_eq!(version(musl(output)).as_deref(), Some("musl 1.2.4"));
        assert_eq!(musl("something else\nVersion 1\n"), None);
    }

    #[test]
    fn files_that_are_no_programs_name_no_loader() {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("script", b"#!/bin/sh\necho".as_slice()),
            ("short", b"\x7fELF\x02".as_slice()),
            ("hostile", &[b"\x7fELF\x02".as_slice(), &[0xff; 80]].concat()),
        ] {
            let file = directory.path().join(name);
            std::fs::write(&file, content).unwrap();
            assert_eq!(interpreter(&file), None, "{name}");
        }
        assert_eq!(detect(directory.path()), None);
    }
}
