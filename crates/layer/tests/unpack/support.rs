//! Archives made header by header, and a place to unpack them that notices any effect outside of it.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use strata_layer::unpack::{Limits, UnpackError, UnpackOptions, Unpacked, unpack};
use tar::Header;

/// The prefix in most archives here.
pub(crate) const PREFIX: &str = "opt/pkg-1.0-abc";

/// The content of the `binary_distribution` in them.
pub(crate) const BUILD_INFO: &str = "{sbang_install_path: /opt/bin/sbang, buildpath: /opt, spackprefix: /spack, \
    relative_prefix: pkg-1.0-abc, hardlinks_deduped: true, hash_to_prefix: {abc: /opt/pkg-1.0-abc}, \
    relocate_binaries: [], relocate_links: [], relocate_textfiles: []}\n";

pub(crate) const OPTIONS: UnpackOptions =
    UnpackOptions { limits: Limits { uncompressed: 1 << 30 }, threads: 2 };

/// A tar archive in the making. Names are relative to nothing: they are written as given.
#[derive(Clone, Default)]
pub(crate) struct Archive(pub(crate) Vec<u8>);

impl Archive {
    /// One with a prefix, `bin/tool` and `lib/libx` in it, and no `binary_distribution` yet.
    pub(crate) fn package() -> Self {
        Archive::default()
            .directory("opt")
            .directory(PREFIX)
            .directory(&format!("{PREFIX}/bin"))
            .file(&format!("{PREFIX}/bin/tool"), 0o755, b"#!/bin/sh\n")
            .directory(&format!("{PREFIX}/lib"))
            .file(&format!("{PREFIX}/lib/libx"), 0o644, b"library")
    }

    /// Adds the `binary_distribution` and the end marker, and compresses.
    pub(crate) fn layer(self) -> Vec<u8> {
        self.file(&format!("{PREFIX}/.spack/binary_distribution"), 0o644, BUILD_INFO.as_bytes()).ended()
    }

    /// Adds the end marker, and compresses.
    pub(crate) fn ended(self) -> Vec<u8> {
        self.raw(&[0; 1024]).compressed()
    }

    pub(crate) fn compressed(&self) -> Vec<u8> {
        gzip(&self.0)
    }

    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn directory(self, name: &str) -> Self {
        self.entry(b'5', name.as_bytes(), 0o755, b"", b"")
    }

    pub(crate) fn file(self, name: &str, mode: u32, content: &[u8]) -> Self {
        self.entry(b'0', name.as_bytes(), mode, b"", content)
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name.as_bytes(), 0o777, target.as_bytes(), b"")
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name.as_bytes(), 0o644, target.as_bytes(), b"")
    }

    pub(crate) fn entry(self, flag: u8, name: &[u8], mode: u32, link: &[u8], content: &[u8]) -> Self {
        let header = header(flag, name, mode, link, content.len() as u64);
        self.raw(header.as_bytes()).raw(content).raw(&vec![0; content.len().wrapping_neg() % 512])
    }

    /// A pax header with these records for the next entry.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length =
                (1..).map(|digits| rest + digits).find(|n| n.to_string().len() + rest == *n).unwrap();
            data.extend(format!("{length} {key}=").bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        self.entry(b'x', b"././@PaxHeader", 0, b"", &data)
    }
}

/// A header with any bytes in its name; the checksum is right.
pub(crate) fn header(flag: u8, name: &[u8], mode: u32, link: &[u8], size: u64) -> Header {
    let mut header = Header::new_ustar();
    let old = header.as_old_mut();
    old.name[..name.len()].copy_from_slice(name);
    old.linkname[..link.len()].copy_from_slice(link);
    old.linkflag = [flag];
    header.set_mode(mode);
    header.set_size(size);
    header.set_cksum();
    header
}

pub(crate) fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

/// A directory with a victim beside the destination, and what surrounds the destination before.
pub(crate) struct Place {
    outside: tempfile::TempDir,
    before: BTreeMap<PathBuf, Found>,
}

impl Place {
    pub(crate) fn new() -> Self {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("victim"), "precious").unwrap();
        std::fs::create_dir(outside.path().join("victims")).unwrap();
        std::fs::write(outside.path().join("victims/file"), "precious too").unwrap();
        let mut place = Place { outside, before: BTreeMap::new() };
        place.before = place.around();
        std::fs::create_dir(place.destination()).unwrap();
        place
    }

    pub(crate) fn destination(&self) -> PathBuf {
        self.outside.path().join("destination")
    }

    pub(crate) fn outside(&self) -> &Path {
        self.outside.path()
    }

    fn around(&self) -> BTreeMap<PathBuf, Found> {
        let mut found = walk(self.outside.path());
        found.retain(|path, _| !path.starts_with("destination"));
        found
    }

    /// Unpacks, and checks that nothing outside of the destination changed, nor inside of it if that failed.
    pub(crate) fn unpack(&self, layer: impl Read, options: &UnpackOptions) -> Result<Unpacked, UnpackError> {
        let result = unpack(layer, &self.destination(), options);
        assert_eq!(self.around(), self.before, "there is an effect outside of the destination");
        if result.is_err() {
            assert_eq!(walk(&self.destination()), BTreeMap::new(), "something was left behind");
        }
        result
    }
}

/// Unpacks a layer that must be refused, with the error's text.
pub(crate) fn refused(layer: &[u8]) -> (UnpackError, String) {
    let error = Place::new().unpack(layer, &OPTIONS).expect_err("to be refused");
    let text = error.to_string();
    (error, text)
}

/// Unpacks a layer that must be accepted.
pub(crate) fn accepted(layer: &[u8]) -> (Place, Unpacked) {
    let place = Place::new();
    let unpacked = place.unpack(layer, &OPTIONS).unwrap_or_else(|error| panic!("{error}"));
    (place, unpacked)
}

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) kind: &'static str,
    /// Permission bits, without set-group-id of directories; 0 for symbolic links.
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) sha256: String,
    pub(crate) link: Option<PathBuf>,
    pub(crate) inode: u64,
}

/// Everything below `root`, by path relative to it.
pub(crate) fn walk(root: &Path) -> BTreeMap<PathBuf, Found> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let file_type = metadata.file_type();
            let mode = metadata.permissions().mode() & 0o7777;
            let (kind, mode) = match file_type {
                t if t.is_dir() => ("dir", mode & !0o2000),
                t if t.is_symlink() => ("symlink", 0),
                t if t.is_file() => ("file", mode),
                _ => ("other", mode),
            };
            let mut digest = String::new();
            if kind == "file" {
                digest = hex(&Sha256::digest(std::fs::read(&path).unwrap()));
            } else if kind == "dir" {
                left.push(path.clone());
            }
            let size = if kind == "file" { metadata.len() } else { 0 };
            let link = file_type.is_symlink().then(|| std::fs::read_link(&path).unwrap());
            let inode = metadata.ino();
            let relative = path.strip_prefix(root).unwrap().to_owned();
            found.insert(relative, Found { kind, mode, size, sha256: digest, link, inode });
        }
    }
    found
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A reader that has something to say at its end.
pub(crate) struct Complaining<R>(pub(crate) R);

impl<R: Read> Read for Complaining<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::other("the digest is wrong")),
            length => Ok(length),
        }
    }
}
