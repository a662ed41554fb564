//! What real Spack made: unpacked, it is exactly what went in.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use strata_layer::unpack::{Limits, UnpackOptions};
use strata_testkit::golden;

use crate::support::{Archive, Found, Place, hex, walk};

/// Compares a tree with the entries that the archive had below `prefix`.
fn compare(tree: &BTreeMap<PathBuf, Found>, prefix: &str, entries: &[Value]) {
    let mut expected = 0;
    for entry in entries {
        let name = entry["name"].as_str().expect("a name");
        let Some(path) = name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/')) else { continue };
        expected += 1;
        let found = tree.get(Path::new(path)).unwrap_or_else(|| panic!("{path} is missing"));
        let mode =
            || u32::from_str_radix(entry["mode"].as_str().unwrap().trim_start_matches("0o"), 8).unwrap();
        match entry["type"].as_str().expect("a type") {
            "dir" => assert_eq!((found.kind, found.mode), ("dir", mode()), "{path}"),
            "file" => {
                assert_eq!((found.kind, found.mode), ("file", mode()), "{path}");
                assert_eq!(found.sha256, entry["sha256"].as_str().unwrap(), "{path}");
                assert_eq!(Some(found.size), entry["size"].as_u64(), "{path}");
            }
            "symlink" => assert_eq!(found.link.as_deref(), entry["link"].as_str().map(Path::new), "{path}"),
            "hardlink" => {
                let target = entry["link"].as_str().unwrap().strip_prefix(prefix).unwrap();
                assert_eq!(found.inode, tree[Path::new(target.trim_start_matches('/'))].inode, "{path}");
            }
            other => panic!("{path} is a {other}"),
        }
    }
    assert_eq!(tree.len(), expected, "there is more than was in the layer");
}

#[test]
fn the_odd_archive() {
    let (Some(path), Some(description)) =
        (golden::file("synthetic/odd.tar"), golden::file("synthetic/odd.json"))
    else {
        return golden::skipped("the_odd_archive", "no synthetic/odd.tar");
    };
    let odd: Value = serde_json::from_str(&golden::text(&description)).unwrap();
    let build_info = odd["binary_distribution"].as_str().unwrap();
    // It was packed by plain tar, with what Spack drops still in it: make that what a layer may have.
    let mut archive = tar::Archive::new(std::fs::File::open(path).unwrap());
    let (mut layer, mut extended) = (Archive::default(), Archive::default());
    for entry in archive.entries().unwrap().raw(true) {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let mut header = entry.header().clone();
        if header.entry_type().is_fifo() {
            extended = Archive::default();
            continue;
        }
        header.set_mode(header.mode().unwrap() & 0o1777);
        if entry.path_bytes().ends_with(b".spack/binary_distribution") {
            content = build_info.as_bytes().to_vec();
            header.set_size(content.len() as u64);
        }
        header.set_cksum();
        let padding = content.len().wrapping_neg() % 512;
        extended = extended.raw(header.as_bytes()).raw(&content).raw(&vec![0; padding]);
        if !matches!(header.as_old().linkflag[0], b'x' | b'L' | b'K') {
            layer = layer.raw(&std::mem::take(&mut extended).0);
        }
    }
    let place = Place::new();
    let options = UnpackOptions { limits: Limits { uncompressed: 1 << 20 }, threads: 1 };
    let unpacked = place.unpack(&layer.ended()[..], &options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(format!("/{}", unpacked.prefix_in_layer), odd["prefix"].as_str().unwrap());
    assert_eq!(unpacked.build_info.buildpath, odd["buildinfo_given"]["buildpath"].as_str().unwrap());
    compare(&walk(&place.destination()), &unpacked.prefix_in_layer, odd["entries"].as_array().unwrap());
}

#[test]
fn layers_of_real_packages() {
    let Some(cache) = golden::file("cache") else {
        return golden::skipped("layers_of_real_packages", "STRATA_GOLDEN names no directory with cache/");
    };
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap().split_once(':').unwrap().1;
        cache.join("blobs/sha256").join(digest)
    };
    let json = |path: PathBuf| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap();
    let known: BTreeMap<String, Value> = golden::file("layers/layers.jsonl.zst")
        .map(|path| golden::rows(&path))
        .unwrap_or_default()
        .into_iter()
        .map(|row| (row["diff_id"].as_str().unwrap().to_owned(), row))
        .collect();
    let (mut packages, mut compared) = (0, 0);
    for manifest in json(cache.join("index.json"))["manifests"].as_array().unwrap() {
        let manifest = json(blob(manifest));
        let config = json(blob(&manifest["config"]));
        let (Some(layer), Some(diff_id)) = (
            manifest["layers"].as_array().and_then(|layers| layers.last()),
            config["rootfs"]["diff_ids"].as_array().and_then(|ids| ids.last()),
        ) else {
            // The index of the cache is a manifest too.
            continue;
        };
        packages += 1;
        let path = blob(layer);
        let limits = Limits::for_layer(path.metadata().unwrap().len());
        for threads in [1, 3] {
            let place = Place::new();
            let file = std::fs::File::open(&path).unwrap();
            let unpacked = place.unpack(file, &UnpackOptions { limits, threads }).unwrap();
            assert_eq!(format!("sha256:{}", hex(&unpacked.diff_id)), diff_id.as_str().unwrap());
            if let Some(row) = known.get(diff_id.as_str().unwrap()) {
                compared += 1;
                let entries = row["entries"].as_array().unwrap();
                compare(&walk(&place.destination()), &unpacked.prefix_in_layer, entries);
            }
        }
    }
    if compared == 0 {
        let reason = format!("none of the {packages} packages in cache/ is in layers/layers.jsonl.zst");
        golden::skipped("layers_of_real_packages", &reason);
    }
}
