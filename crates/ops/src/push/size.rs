//! How big an installed package is, told without walking it: the biggest is packed first.

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The manifest of about 100,000 files; a longer one is judged by its length.
const LONGEST_MANIFEST: u64 = 32 << 20;
/// What an entry of a manifest takes, roughly: the manifests of packages are compared with each other.
const BYTES_OF_ENTRY: u64 = 256;
/// What packing a file costs beside its bytes, in bytes.
const FILE: u64 = 16 << 10;

/// A number that grows with the work of packing a prefix: the sizes that its install manifest has, or as many files as
/// its length makes likely. Zero where there is none. Nothing depends on it but the order.
pub(super) fn hint(prefix: &Path) -> u64 {
    let path = prefix.join(".spack/install_manifest.json");
    let Ok(mut file) = File::open(path) else { return 0 };
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let likely = length / BYTES_OF_ENTRY * FILE;
    if length > LONGEST_MANIFEST {
        return likely;
    }
    let mut text = Vec::with_capacity(length as usize + 1);
    match file.read_to_end(&mut text) {
        Ok(_) => serde_json::from_slice(&text).map_or(likely, |Sizes(sum)| sum),
        Err(_) => likely,
    }
}

/// The sum over an install manifest: its entries by path, of which those of regular files have a size.
struct Sizes(u64);

#[derive(Deserialize)]
struct Entry {
    size: Option<u64>,
}

impl<'de> Deserialize<'de> for Sizes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Sum;
        impl<'de> Visitor<'de> for Sum {
            type Value = Sizes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("entries by path")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Sizes, A::Error> {
                let mut sum = 0_u64;
                while let Some((_, entry)) = entries.next_entry::<IgnoredAny, Entry>()? {
                    sum = entry.size.map_or(sum, |size| sum.saturating_add(size).saturating_add(FILE));
                }
                Ok(Sizes(sum))
            }
        }
        deserializer.deserialize_map(Sum)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with_manifest(text: &str) -> u64 {
        let prefix = tempfile::tempdir().unwrap();
        std::fs::create_dir(prefix.path().join(".spack")).unwrap();
        std::fs::write(prefix.path().join(".spack/install_manifest.json"), text).unwrap();
        hint(prefix.path())
    }

    #[test]
    fn bytes_count_and_not_how_long_the_names_are() {
        let big = with_manifest(r#"{"/p": {"mode": 16877}, "/p/a": {"mode": 33188, "size": 5000000}}"#);
        let long = format!(r#"{{"/p/{}": {{"mode": 33188, "size": 10}}}}"#, "x".repeat(5000));
        assert_eq!(big, 5_000_000 + FILE);
        assert!(with_manifest(&long) < big);
    }

    #[test]
    fn a_manifest_that_is_none_counts_by_its_length_and_a_missing_one_for_nothing() {
        assert_eq!(with_manifest(&"x".repeat(1000)), 3 * FILE);
        assert_eq!(hint(tempfile::tempdir().unwrap().path()), 0);
    }
}
