//! The layers that real Spack made of real packages and of an odd one.

use std::process::Command;

use serde_json::Value;

use super::entries::{self, Entry, hex};
use super::{BuildInfo, CompressorPool, PackRequest, Packed, Path, PathBuf, fs, golden, io, pack, pool};

fn text<'v>(row: &'v Value, key: &str) -> &'v str {
    row[key].as_str().unwrap_or_else(|| panic!("no {key} in a golden row"))
}

/// What to ask for so that the layer of `row` comes out: its `binary_distribution` before packing filled it.
fn request<'a>(
    prefix: &'a Path,
    binary_distribution: &str,
    prefixes: Option<Vec<Vec<u8>>>,
) -> PackRequest<'a> {
    let mut build_info = BuildInfo::parse(binary_distribution.as_bytes()).unwrap();
    build_info.relocate_binaries.clear();
    build_info.relocate_links.clear();
    build_info.relocate_textfiles.clear();
    let prefixes = prefixes.unwrap_or_else(|| {
        let dependencies = build_info.hash_to_prefix.iter().map(|(_, prefix)| prefix);
        let others = build_info.sbang_install_path.iter().chain([&build_info.buildpath]);
        dependencies.chain(others).map(|prefix| prefix.clone().into_bytes()).collect()
    });
    PackRequest { prefix, build_info, prefixes }
}

#[test]
fn packages_of_the_stores_give_spacks_layers_with_any_number_of_threads() {
    let name = "packages_of_the_stores_give_spacks_layers_with_any_number_of_threads";
    let stores = golden::stores();
    let Some(path) = golden::file("layers/layers.jsonl.zst") else {
        return golden::skipped(name, "no layers/layers.jsonl.zst in the golden data");
    };
    if stores.is_empty() {
        return golden::skipped(name, "STRATA_STORES lists no unpacked store");
    }
    let pools = [pool(1), pool(4)];
    let mut wrong = Vec::new();
    for store in stores {
        let mut compared = 0;
        for row in golden::rows(&path) {
            let prefix = Path::new(text(&row, "prefix"));
            if !prefix.starts_with(&store) || !prefix.exists() {
                continue;
            }
            compared += 1;
            let pack_with = |pool: &CompressorPool| -> Packed {
                pack(request(prefix, text(&row, "binary_distribution"), None), pool, io::sink()).unwrap()
            };
            let [one, four] = pools.each_ref().map(pack_with);
            let title = text(&row, "name");
            let yaml = String::from_utf8(one.build_info.to_yaml()).unwrap();
            if yaml != text(&row, "binary_distribution") {
                wrong.push(format!("{title}: binary_distribution is {yaml}"));
            }
            if format!("sha256:{}", hex(one.diff_id)) != text(&row, "diff_id") {
                wrong.push(format!("{title}: other diff id"));
            }
            if one.entries != row["entries"].as_array().unwrap().len() as u64 {
                wrong.push(format!("{title}: {} entries", one.entries));
            }
            if (one.digest, one.size, one.diff_id) != (four.digest, four.size, four.diff_id) {
                wrong.push(format!("{title}: one thread and four differ"));
            }
            println!("{title}: {} bytes, gzip -6 of Spack {}", one.size, row["gzip_size_level6"]);
        }
        if compared == 0 {
            golden::skipped(name, &format!("no golden layer is of a prefix in {}", store.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A place this test made for a prefix: the outermost directory, removed at the end, and the lock that keeps other
/// runs of this test away from it, which the system releases whatever happens to the process.
struct Claim {
    outermost: PathBuf,
    _lock: fs::File,
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.outermost));
    }
}

/// Makes the directory above `prefix`, unless something is at `prefix` already or it may not be made.
fn claim(prefix: &Path) -> Result<Claim, String> {
    let lock = std::env::temp_dir().join("strata-layer-odd-prefix.lock");
    let lock = fs::File::create(&lock).map_err(|error| format!("cannot lock {}: {error}", lock.display()))?;
    lock.lock().map_err(|error| format!("cannot wait for another run of this test: {error}"))?;
    let outermost = prefix.ancestors().filter(|path| !path.exists()).last();
    let outermost = outermost.ok_or_else(|| format!("{} is there already", prefix.display()))?.to_owned();
    let parent = prefix.parent().expect("a prefix is not the root");
    let claim = Claim { outermost, _lock: lock };
    fs::create_dir_all(parent).map_err(|error| format!("cannot make {}: {error}", parent.display()))?;
    Ok(claim)
}

#[test]
fn the_odd_prefix_gives_spacks_layer() {
    let name = "the_odd_prefix_gives_spacks_layer";
    let (Some(tar), Some(description)) =
        (golden::file("synthetic/odd.tar"), golden::file("synthetic/odd.json"))
    else {
        return golden::skipped(name, "no synthetic/odd.tar in the golden data");
    };
    let odd: Value = serde_json::from_str(&golden::text(&description)).unwrap();
    let prefix = Path::new(text(&odd, "prefix"));
    // Its files name the prefix, so it has to lie there.
    let _claim = match claim(prefix) {
        Ok(claim) => claim,
        Err(reason) => return golden::skipped(name, &reason),
    };
    match Command::new("tar").arg("-xpf").arg(&tar).args(["-C", "/"]).status() {
        Ok(status) => assert!(status.success(), "tar: {status}"),
        Err(_) => return golden::skipped(name, "there is no tar program"),
    }

    let prefixes = odd["prefixes_to_relocate"].as_array().unwrap();
    let prefixes = prefixes.iter().map(|prefix| prefix.as_str().unwrap().as_bytes().to_vec()).collect();
    let mut layer = Vec::new();
    let packed =
        pack(request(prefix, text(&odd, "binary_distribution"), Some(prefixes)), &pool(2), &mut layer)
            .unwrap();

    assert_eq!(String::from_utf8(packed.build_info.to_yaml()).unwrap(), text(&odd, "binary_distribution"));
    let expected: Vec<Entry> = odd["entries"].as_array().unwrap().iter().map(golden_entry).collect();
    let found = entries::of_tar(&entries::inflate(&layer));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    assert_eq!((found.len(), packed.entries), (expected.len(), expected.len() as u64));
    assert_eq!(format!("sha256:{}", hex(packed.diff_id)), text(&odd, "diff_id"));
}

fn golden_entry(row: &Value) -> Entry {
    let kinds = ["dir", "symlink", "hardlink", "file"];
    let kind = kinds.into_iter().find(|kind| text(row, "type") == *kind).expect("a known type");
    let mode = text(row, "mode").strip_prefix("0o").expect("an octal mode");
    Entry {
        name: text(row, "name").to_owned(),
        kind,
        mode: u32::from_str_radix(mode, 8).unwrap(),
        link: row["link"].as_str().map(ToOwned::to_owned),
        content: (kind == "file").then(|| (row["size"].as_u64().unwrap(), text(row, "sha256").to_owned())),
    }
}
