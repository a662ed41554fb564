//! What real Spack made of the same input: 1,500 strings and files, and whole stores under other roots.

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;
use sha2::{Digest, Sha256};
use strata_layer::BuildInfo;
use strata_layer::relocate::{
    CStringError, Destination, Fit, Platform, PrefixMap, relocate_tree, replace_c_strings, replace_text,
};
use strata_testkit::golden;

#[test]
fn every_case_is_decided_as_spack_does() {
    let Some(file) = golden::file("relocate/cases.jsonl") else {
        return golden::skipped("every_case_is_decided_as_spack_does", "no relocate/cases.jsonl");
    };
    let rows = golden::rows(&file);
    if rows.is_empty() {
        return golden::skipped("every_case_is_decided_as_spack_does", "relocate/cases.jsonl has no rows");
    }
    for (number, row) in rows.iter().enumerate() {
        let pairs = row["map"].as_array().unwrap().iter();
        let map = PrefixMap::new(pairs.map(|pair| (string(&pair[0]), string(&pair[1])))).unwrap();
        let input = BASE64_STANDARD.decode(string(&row["input"])).unwrap();
        let actual = match row["kind"].as_str() {
            Some("text") => Ok(match replace_text(&map, &input) {
                Some(output) => (true, output),
                None => (false, input),
            }),
            Some("binary") => {
                let mut output = input;
                match replace_c_strings(&map, &mut output) {
                    Ok(changed) => Ok((changed, output)),
                    Err(CStringError::CannotGrow { .. }) => Err("CannotGrowString"),
                    Err(CStringError::CannotShrink { .. }) => Err("CannotShrinkCString"),
                }
            }
            kind => panic!("line {}: kind {kind:?}", number + 1),
        };
        let expected = match row["error"].as_str() {
            Some(error) => Err(error),
            None => {
                let output = BASE64_STANDARD.decode(string(&row["output"])).unwrap();
                Ok((row["changed"].as_bool().unwrap(), output))
            }
        };
        assert_eq!(actual, expected, "line {}", number + 1);
    }
}

/// The packages of the unpacked stores, relocated, are file by file what Spack installed under each root.
#[test]
fn stores_relocate_to_what_spack_installs() {
    const NAME: &str = "stores_relocate_to_what_spack_installs";
    let stores = golden::stores();
    if stores.is_empty() {
        return golden::skipped(NAME, "STRATA_STORES is not set");
    }
    let installs = golden::json_files("install");
    let Some(layers) = golden::file("layers/layers.jsonl.zst").filter(|_| !installs.is_empty()) else {
        return golden::skipped(NAME, "no golden layers or installs");
    };
    let layers = golden::rows(&layers);
    let mut compared = 0;
    for install in installs {
        let rows = golden::rows(&install);
        for layer in &layers {
            let info = BuildInfo::parse(string(&layer["binary_distribution"]).as_bytes()).unwrap();
            let Some(source) =
                stores.iter().map(|store| store.join(&info.relative_prefix)).find(|path| path.is_dir())
            else {
                continue;
            };
            let Some(new_root) = root_of(&rows, &layers) else { continue };
            let name = source.file_name().unwrap().to_str().unwrap();
            let expected = installed(&rows, name);
            if expected.is_empty() {
                continue;
            }
            assert_eq!(relocated(&source, &info, &new_root), expected, "{name} under {new_root}");
            compared += 1;
        }
    }
    if compared == 0 {
        golden::skipped(NAME, "no package of the golden layers is in the stores");
    }
}

fn string(value: &Value) -> &str {
    value.as_str().expect("a string")
}

/// The root of the store that `rows` describes: what an absolute link that pointed into the old root begins with.
fn root_of(rows: &[Value], layers: &[Value]) -> Option<String> {
    let new: BTreeMap<&str, &str> = rows
        .iter()
        .filter_map(|row| Some((row["path"].as_str()?, row["link"].as_str()?)))
        .filter(|(_, link)| link.starts_with('/'))
        .collect();
    for layer in layers {
        let info = BuildInfo::parse(string(&layer["binary_distribution"]).as_bytes()).unwrap();
        let parent = Path::new(string(&layer["prefix"])).parent()?.to_str()?;
        for entry in layer["entries"].as_array()? {
            let Some(path) =
                format!("/{}", string(&entry["name"])).strip_prefix(&format!("{parent}/")).map(String::from)
            else {
                continue;
            };
            let rest = entry["link"].as_str().and_then(|link| link.strip_prefix(&info.buildpath));
            if let (Some(rest), Some(link)) = (rest, new.get(path.as_str())) {
                return link.strip_suffix(rest).map(String::from);
            }
        }
    }
    None
}

/// Path below the platform directory → what is there.
type Listing = BTreeMap<PathBuf, String>;

fn installed(rows: &[Value], package: &str) -> Listing {
    rows.iter()
        .map(|row| (Path::new(string(&row["path"])), row))
        .filter(|(path, _)| path.starts_with(package) && !path.starts_with(Path::new(package).join(".spack")))
        .map(|(path, row)| {
            let description = match string(&row["type"]) {
                "dir" => "dir".to_owned(),
                "symlink" => format!("link {}", string(&row["link"])),
                _ => format!("{} {}", string(&row["mode"]), string(&row["sha256"])),
            };
            (path.to_owned(), description)
        })
        .collect()
}

/// Copies the package with the modes a layer gives it, relocates the copy and lists it.
fn relocated(source: &Path, info: &BuildInfo, root: &str) -> Listing {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join(source.file_name().unwrap());
    copy_as_layer(source, &copy, &mut BTreeMap::new());
    let unpadded = root.split("/__spack_path_placeholder__").next().unwrap();
    let sbang = format!("{unpadded}/bin/sbang");
    let new_prefix = |old: &str| format!("{root}{}", old.strip_prefix(&info.buildpath).unwrap()).into_bytes();
    let old_of = |hash: &str| info.hash_to_prefix.iter().find(|(known, _)| known == hash).unwrap().1.clone();
    let map =
        PrefixMap::for_layer(info, sbang.as_bytes(), |hash| Some(new_prefix(&old_of(hash))), root.as_bytes())
            .unwrap();
    let mut fit = Fit::new(&map, root.as_bytes(), sbang.as_bytes());
    for path in &info.relocate_binaries {
        fit.check(Path::new(path), &std::fs::read(copy.join(path)).unwrap());
    }
    assert!(fit.longest_root().is_none_or(|longest| longest >= root.len()));
    fit.finish().unwrap();
    let destination = Destination { map: &map, sbang: sbang.as_bytes() };
    relocate_tree(&copy, info, &destination, Platform::Elf).unwrap();
    let mut listing = Listing::new();
    list(directory.path(), Path::new(source.file_name().unwrap()), &mut listing);
    listing
}

fn copy_as_layer(from: &Path, to: &Path, inodes: &mut BTreeMap<(u64, u64), PathBuf>) {
    let metadata = from.symlink_metadata().unwrap();
    if metadata.is_dir() {
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let name = entry.unwrap().file_name();
            copy_as_layer(&from.join(&name), &to.join(&name), inodes);
        }
    } else if metadata.is_symlink() {
        std::os::unix::fs::symlink(std::fs::read_link(from).unwrap(), to).unwrap();
    } else if let Some(first) = inodes.get(&(metadata.dev(), metadata.ino())) {
        std::fs::hard_link(first, to).unwrap();
    } else {
        std::fs::write(to, std::fs::read(from).unwrap()).unwrap();
        let mode = if metadata.mode() & 0o100 != 0 { 0o755 } else { 0o644 };
        std::fs::set_permissions(to, Permissions::from_mode(mode)).unwrap();
        if metadata.nlink() > 1 {
            inodes.insert((metadata.dev(), metadata.ino()), to.to_owned());
        }
    }
}

fn list(root: &Path, path: &Path, listing: &mut Listing) {
    let full = root.join(path);
    let metadata = full.symlink_metadata().unwrap();
    let description = if metadata.is_dir() {
        for entry in std::fs::read_dir(&full).unwrap() {
            let child = path.join(entry.unwrap().file_name());
            if child.components().nth(1).is_none_or(|second| second.as_os_str() != ".spack") {
                list(root, &child, listing);
            }
        }
        "dir".to_owned()
    } else if metadata.is_symlink() {
        format!("link {}", String::from_utf8_lossy(std::fs::read_link(&full).unwrap().as_os_str().as_bytes()))
    } else {
        let digest: String =
            Sha256::digest(std::fs::read(&full).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("0o{:o} {digest}", metadata.mode() & 0o7777)
    };
    listing.insert(path.to_owned(), description);
}
