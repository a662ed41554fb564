//! Random and mutated layers: whatever happens, nothing outside of the destination changes, and nothing
//! panics.

use proptest::prelude::*;
use proptest::sample::{Index, select};
use strata_layer::unpack::{for_each_file, read_build_info};

use crate::support::{Archive, OPTIONS, PREFIX, Place, gzip, walk};

/// Unpacks in all ways; [`Place`] checks that there is no effect outside.
fn survive(layer: &[u8]) {
    let place = Place::new();
    let unpacked = place.unpack(layer, &OPTIONS);
    let read = read_build_info(layer, &OPTIONS);
    if let Ok(unpacked) = unpacked {
        for (path, found) in walk(&place.destination()) {
            assert!(found.mode & 0o7000 == 0 && found.kind != "other", "{}: {found:?}", path.display());
        }
        assert_eq!(read.expect("to be read if it unpacks"), unpacked);
    }
    let _ = for_each_file(layer, PREFIX, &OPTIONS, |_, _, content| {
        std::io::copy(content, &mut std::io::sink()).map(drop)
    });
}

fn rich() -> Vec<u8> {
    Archive::package()
        .pax(&[("path", format!("{PREFIX}/a long name").as_bytes()), ("size", b"3")])
        .file("short", 0o644, b"abc")
        .symlink(&format!("{PREFIX}/link"), "../../../victims")
        .hard_link(&format!("{PREFIX}/hard"), &format!("{PREFIX}/bin/tool"))
        .entry(b'L', b"././@LongLink", 0, b"", format!("{PREFIX}/gnu\0").as_bytes())
        .file("short", 0o755, b"gnu")
        .file(&format!("{PREFIX}/.spack/binary_distribution"), 0o644, crate::support::BUILD_INFO.as_bytes())
        .raw(&[0; 1024])
        .0
}

/// Few, for each makes directories; `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(64),
    }
}

#[derive(Clone, Debug)]
struct RandomEntry {
    flag: u8,
    name: String,
    link: String,
    mode: u32,
    size: usize,
    pax: bool,
}

fn random_entry() -> impl Strategy<Value = RandomEntry> {
    let component =
        select(vec!["opt", "pkg-1.0-abc", "bin", "tool", "..", ".", "", "x", "y", ".spack", "victims"]);
    let name = prop::collection::vec(component, 0..6).prop_map(|parts| parts.join("/"));
    let below = name.clone().prop_map(|name| format!("{PREFIX}/{name}"));
    let name = prop_oneof![1 => name, 4 => below];
    let link = prop_oneof![
        Just(format!("{PREFIX}/bin/tool")),
        Just("../../../victims".to_owned()),
        Just("../../../victim".to_owned()),
        Just(".".to_owned()),
        name.clone()
    ];
    let flag = select(&b"00001122225556Lx"[..]);
    let mode = select(vec![0o644, 0o755, 0o4755, 0o700]);
    (flag, name, link, mode, select(vec![0usize, 0, 1, 600]), prop::bool::weighted(0.2))
        .prop_map(|(flag, name, link, mode, size, pax)| RandomEntry { flag, name, link, mode, size, pax })
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
        survive(&bytes);
        survive(&gzip(&bytes));
    }

    #[test]
    fn changed_bytes(
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6),
        fix in any::<bool>(),
    ) {
        let mut plain = rich();
        for (index, value) in changes {
            let position = index.index(plain.len());
            plain[position] = value;
            if fix {
                // With a right checksum the change gets past the first check.
                let start = position / 512 * 512;
                let mut block = tar::Header::new_old();
                block.as_mut_bytes().copy_from_slice(&plain[start..start + 512]);
                block.set_cksum();
                plain[start..start + 512].copy_from_slice(block.as_bytes());
            }
        }
        survive(&gzip(&plain));
    }

    #[test]
    fn removed_and_repeated_blocks(blocks in prop::collection::vec(any::<Index>(), 1..40)) {
        let plain = rich();
        let count = plain.len() / 512;
        let mixed: Vec<u8> = blocks
            .iter()
            .flat_map(|index| plain[index.index(count) * 512..][..512].to_vec())
            .collect();
        survive(&gzip(&mixed));
        survive(&gzip(&[&plain[..blocks[0].index(count) * 512], &mixed, &plain].concat()));
    }

    #[test]
    fn changed_compressed_bytes(index in any::<Index>(), value in any::<u8>(), length in any::<Index>()) {
        let mut layer = gzip(&rich());
        let position = index.index(layer.len());
        layer[position] = value;
        survive(&layer);
        let length = length.index(layer.len());
        survive(&layer[..length]);
    }

    #[test]
    fn random_entries(entries in prop::collection::vec(random_entry(), 0..12)) {
        let mut archive = Archive::package();
        for entry in entries {
            if entry.pax {
                archive = archive.pax(&[("path", entry.name.as_bytes())]);
            }
            let size = if matches!(entry.flag, b'0' | b'L' | b'x') { entry.size } else { 0 };
            let (name, link) = (entry.name.as_bytes(), entry.link.as_bytes());
            archive = archive.entry(entry.flag, name, entry.mode, link, &vec![b'x'; size]);
        }
        survive(&archive.layer());
    }
}
