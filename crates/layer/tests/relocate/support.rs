//! A directory made a layer, and unpacked again.

use std::collections::HashMap;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use strata_layer::BuildInfo;
use strata_layer::unpack::{Limits, Notes, UnpackOptions, unpack_noted};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

/// Unpacks what is in `source`, as a package that was built at `/built/sample` and of which `info` is said.
pub(crate) fn unpacked(source: &Path, info: &BuildInfo, threads: usize) -> (TempDir, Notes) {
    let mut tar = Builder::new(Vec::new());
    let mut names = HashMap::new();
    add(&mut tar, source, Path::new("built/sample"), &mut names);
    let mut header = Header::new_gnu();
    let yaml = info.to_yaml();
    header.set_size(yaml.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, "built/sample/.spack/binary_distribution", &yaml[..]).unwrap();
    let mut layer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    layer.write_all(&tar.into_inner().unwrap()).unwrap();
    let destination = tempfile::tempdir().unwrap();
    let options = UnpackOptions { limits: Limits { uncompressed: 1 << 30 }, threads };
    let (unpacked, notes) = unpack_noted(&layer.finish().unwrap()[..], destination.path(), &options).unwrap();
    assert_eq!(unpacked.prefix_in_layer, "built/sample");
    (destination, notes)
}

fn add(tar: &mut Builder<Vec<u8>>, source: &Path, name: &Path, names: &mut HashMap<u64, PathBuf>) {
    let metadata = source.symlink_metadata().unwrap();
    let mut header = Header::new_gnu();
    header.set_mode(metadata.permissions().mode());
    header.set_size(0);
    if metadata.is_dir() {
        header.set_entry_type(EntryType::Directory);
        tar.append_data(&mut header, name, std::io::empty()).unwrap();
        let mut children: Vec<_> =
            std::fs::read_dir(source).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        children.sort();
        children.iter().for_each(|child| add(tar, &source.join(child), &name.join(child), names));
    } else if metadata.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        tar.append_link(&mut header, name, std::fs::read_link(source).unwrap()).unwrap();
    } else if let Some(first) = names.get(&metadata.ino()) {
        header.set_entry_type(EntryType::Link);
        tar.append_link(&mut header, name, first).unwrap();
    } else {
        names.insert(metadata.ino(), name.to_owned());
        header.set_size(metadata.len());
        tar.append_data(&mut header, name, std::fs::File::open(source).unwrap()).unwrap();
    }
}
