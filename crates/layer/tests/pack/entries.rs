//! What is in a layer, read with other people's code.

use std::io::Read;

use sha2::{Digest, Sha256};

/// An entry in the terms of the golden data.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) mode: u32,
    pub(crate) link: Option<String>,
    /// Size and digest of a file.
    pub(crate) content: Option<(u64, String)>,
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

pub(crate) fn hex(digest: [u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn inflate(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(layer).read_to_end(&mut tar).unwrap();
    tar
}

pub(crate) fn of_tar(tar: &[u8]) -> Vec<Entry> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut archive = tar::Archive::new(tar);
    let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.gid().unwrap(), header.mtime().unwrap()), (0, 0, 0));
        let kind = match header.entry_type() {
            tar::EntryType::Directory => "dir",
            tar::EntryType::Symlink => "symlink",
            tar::EntryType::Link => "hardlink",
            tar::EntryType::Regular => "file",
            other => panic!("{other:?}"),
        };
        let mode = header.mode().unwrap();
        let name = text(&entry.path_bytes()).trim_end_matches('/').to_owned();
        let link = entry.link_name_bytes().map(|link| text(&link));
        let content = (kind == "file").then(|| {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (content.len() as u64, hex(sha256(&content)))
        });
        Entry { name, kind, mode, link, content }
    };
    archive.entries().unwrap().map(read).collect()
}

/// The content of the last entry, which has to be the `binary_distribution`.
pub(crate) fn binary_distribution(tar: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    let mut last = None;
    for entry in tar::Archive::new(tar).entries().unwrap() {
        let mut entry = entry.unwrap();
        last = Some(entry.path().unwrap().into_owned());
        content.clear();
        entry.read_to_end(&mut content).unwrap();
    }
    assert!(last.unwrap().ends_with(".spack/binary_distribution"));
    content
}
