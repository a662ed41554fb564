//! Several layers as one: what comes out is what went in, one after another.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};
use strata_layer::gzip::writer::{CompressorPool, Finished};
use strata_layer::links::{LinkEntry, write_links};
use strata_layer::merge::{MergeError, merge};
use strata_layer::unpack::{HardLinkProblem, Limits, UnpackError, UnpackOptions};
use strata_testkit::golden;

use crate::support::{Archive, Complaining, Found, OPTIONS, gzip, header, hex, walk};

fn pool(threads: usize) -> CompressorPool {
    CompressorPool::new(NonZeroUsize::new(threads).unwrap()).unwrap()
}

fn merged(layers: &[Vec<u8>]) -> Result<Finished<Vec<u8>>, MergeError> {
    merge(layers.iter().map(|layer| with_diff_id(layer)), &OPTIONS, &pool(2), Vec::new())
}

/// A layer with its diff id; of what is none, that of as much as can be inflated.
fn with_diff_id(layer: &[u8]) -> (&[u8], [u8; 32]) {
    let mut tar = Vec::new();
    let _ = flate2::read::MultiGzDecoder::new(layer).read_to_end(&mut tar);
    (layer, Sha256::digest(&tar).into())
}

fn inflate(layer: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    flate2::read::MultiGzDecoder::new(layer).read_to_end(&mut tar).unwrap();
    tar
}

/// A package of its own, with a name that needs an extended header in it.
fn package(name: &str) -> Archive {
    let prefix = format!("opt/{name}");
    let long = format!("{prefix}/{}/{}", "d".repeat(90), "f".repeat(90));
    Archive::default()
        .directory("opt/")
        .directory(&prefix)
        .file(&format!("{prefix}/tool"), 0o755, name.as_bytes())
        .hard_link(&format!("{prefix}/other"), &format!("{prefix}/tool"))
        .symlink(&format!("{prefix}/link"), "tool")
        .pax(&[("path", long.as_bytes()), ("mtime", b"1.5")])
        .file("cut", 0o644, &[name.as_bytes(), &[b'x'; 700]].concat())
        .file(&format!("{prefix}/.spack/binary_distribution"), 0o644, b"{}")
}

/// Extracts with GNU tar into `directory`, over what is there.
fn extract(directory: &Path, layer: &Path) {
    let output = Command::new("tar").arg("-xpzf").arg(layer).arg("-C").arg(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// What is below, with each file's first name in place of its inode.
fn tree(directory: &Path) -> BTreeMap<PathBuf, (Found, PathBuf)> {
    let mut first = BTreeMap::new();
    let name = |(path, mut found): (PathBuf, Found)| {
        let first = first.entry(found.inode).or_insert_with(|| path.clone()).clone();
        found.inode = 0;
        (path, (found, first))
    };
    walk(directory).into_iter().map(name).collect()
}

/// Merges these files, and compares what GNU tar makes of it with what it makes of each after the other.
fn is_as_one_after_another(layers: &[PathBuf]) -> Finished<Vec<u8>> {
    let place = tempfile::tempdir().unwrap();
    let [single, together] = ["single", "together"].map(|name| place.path().join(name));
    std::fs::create_dir(&single).unwrap();
    std::fs::create_dir(&together).unwrap();
    let options = UnpackOptions { limits: Limits { uncompressed: 1 << 30 }, threads: 3 };
    let bytes: Vec<Vec<u8>> = layers.iter().map(|layer| std::fs::read(layer).unwrap()).collect();
    let finished =
        merge(bytes.iter().map(|layer| with_diff_id(layer)), &options, &pool(3), Vec::new()).unwrap();
    let file = place.path().join("merged.tar.gz");
    std::fs::write(&file, &finished.output).unwrap();
    extract(&together, &file);
    layers.iter().for_each(|layer| extract(&single, layer));
    let (single, together) = (tree(&single), tree(&together));
    assert!(single.len() > layers.len());
    assert!(single == together, "{:?}\n{:?}", single.keys(), together.keys());
    finished
}

#[test]
fn the_headers_and_contents_are_passed_on_and_shared_directories_once() {
    let names = ["a-1", "b-2", "c-3"];
    let place = tempfile::tempdir().unwrap();
    let layers: Vec<PathBuf> = names
        .iter()
        .map(|name| {
            let path = place.path().join(name);
            std::fs::write(&path, package(name).ended()).unwrap();
            path
        })
        .collect();
    let finished = is_as_one_after_another(&layers);
    let tar = inflate(&finished.output);
    // The first tar whole, then the others without their first header.
    let mut expected = package(names[0]).0;
    names[1..].iter().for_each(|name| expected.extend_from_slice(&package(name).0[512..]));
    assert!(tar.starts_with(&expected));
    assert!(tar[expected.len()..].iter().all(|byte| *byte == 0));
    assert_eq!(tar.len(), (expected.len() + 1024).next_multiple_of(10_240));
    assert_eq!(finished.uncompressed_size, tar.len() as u64);
    assert_eq!(hex(&finished.diff_id), hex(&Sha256::digest(&tar)));
    assert_eq!(hex(&finished.digest), hex(&Sha256::digest(&finished.output)));
    assert_eq!(finished.size, finished.output.len() as u64);
}

#[test]
fn layers_of_real_packages_merge_into_what_they_are_one_by_one() {
    const TEST: &str = "merged::layers_of_real_packages_merge_into_what_they_are_one_by_one";
    let Some(cache) = golden::file("cache") else {
        return golden::skipped(TEST, "STRATA_GOLDEN names no directory with cache/");
    };
    let json = |path: PathBuf| -> serde_json::Value {
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    let blob = |descriptor: &serde_json::Value| {
        cache.join("blobs/sha256").join(descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:"))
    };
    let mut layers: Vec<PathBuf> = Vec::new();
    for manifest in json(cache.join("index.json"))["manifests"].as_array().unwrap() {
        let manifest = json(blob(manifest));
        let layer = blob(manifest["layers"].as_array().unwrap().last().unwrap());
        // The index of the cache is a manifest too, whose layer is none.
        if std::fs::read(&layer).unwrap().starts_with(&[0x1f, 0x8b]) && !layers.contains(&layer) {
            layers.push(layer);
        }
    }
    assert!(layers.len() > 1);
    let forward = is_as_one_after_another(&layers);
    layers.reverse();
    let backward = is_as_one_after_another(&layers);
    assert_ne!(forward.diff_id, backward.diff_id);

    // Merged layers can be merged, and one alone stays as it is.
    let options = UnpackOptions { limits: Limits { uncompressed: 1 << 30 }, threads: 1 };
    let again = merge([with_diff_id(&backward.output)], &options, &pool(1), Vec::new()).unwrap();
    assert_eq!(again.diff_id, backward.diff_id);
    for layer in &layers {
        let bytes = std::fs::read(layer).unwrap();
        let (_, diff_id) = with_diff_id(&bytes);
        let alone = merge([(&bytes[..], diff_id)], &options, &pool(1), io::sink()).unwrap();
        assert_eq!(hex(&alone.diff_id), hex(&diff_id), "{}", layer.display());
    }
}

#[test]
fn the_outcome_depends_on_the_tars_alone() {
    let [a, b] =
        ["a-1", "b-2"].map(|name| package(name).file(&format!("opt/{name}/big"), 0o644, &[7; 3 << 20]));
    let expected = merged(&[a.clone().ended(), b.clone().ended()]).unwrap();

    // In many members, with another size of the end, and with something after it.
    let tar = a.clone().raw(&[0; 20_480]).0;
    let members: Vec<u8> = tar.chunks(100_000).flat_map(gzip).collect();
    let padded = gzip(&b.clone().raw(&[0; 1024]).raw(b"what nobody reads").0);
    for threads in [1, 4] {
        let options = UnpackOptions { threads, ..OPTIONS };
        let again =
            merge([&members, &padded].map(|layer| with_diff_id(layer)), &options, &pool(threads), Vec::new())
                .unwrap();
        assert!(again.output == expected.output);
    }
    // As this very writer makes them.
    let layers = [a, b].map(|archive| merged(&[archive.ended()]).unwrap().output);
    assert!(merged(&layers).unwrap().output == expected.output);
}

#[test]
fn of_a_directory_the_first_entry_counts() {
    let a = Archive::default().entry(b'5', b"opt", 0o700, b"", b"").file("opt/a", 0o644, b"a");
    let b = Archive::default().directory("./opt/").directory("opt").file("opt/b", 0o644, b"b");
    let expected = [&a.0[..], &b.0[1024..]].concat();
    assert!(inflate(&merged(&[a.ended(), b.ended()]).unwrap().output).starts_with(&expected));
}

#[test]
fn a_global_header_does_not_reach_the_layers_after() {
    let a = Archive::default().entry(b'g', b"g", 0, b"", b"11 uid=123\n").file("a", 0o644, b"a");
    let b = Archive::default().file("b", 0o644, b"b");
    let expected = [&a.0[1024..], &b.0].concat();
    assert!(inflate(&merged(&[a.ended(), b.ended()]).unwrap().output).starts_with(&expected));
}

#[test]
fn a_name_that_two_layers_have_is_told_with_both() {
    let file = |name: &str| Archive::default().file(name, 0o644, b"").ended();
    let directory = |name: &str| Archive::default().directory(name).ended();
    let link = |name: &str| Archive::default().symlink(name, "/etc").ended();
    let other = file("opt/other");
    for (first, second, name) in [
        (file("opt/f"), file("opt/f"), "opt/f"),
        (file("opt/f"), file("./opt//f"), "opt/f"),
        (file("opt/f"), link("opt/f"), "opt/f"),
        (link("opt/f"), file("opt/f"), "opt/f"),
        (link("opt"), directory("opt"), "opt"),
        (directory("opt"), link("opt"), "opt"),
        (file("opt/f/g"), link("opt/f"), "opt/f"),
        // What would be written through another package's link.
        (link("opt/f"), file("opt/f/passwd"), "opt/f"),
    ] {
        let error = merged(&[first, file("x"), second]).unwrap_err();
        assert_eq!(error.to_string(), format!("layers 0 and 2 both have {name}"));
        assert!(matches!(error, MergeError::Twice { first: 0, second: 2, .. }), "{error:?}");
    }
    let within = Archive::default().file("f", 0o644, b"").file("f", 0o644, b"").ended();
    let error = merged(&[other.clone(), within]).unwrap_err();
    let duplicate =
        |source: &UnpackError| matches!(source, UnpackError::Duplicate { entry, .. } if entry == "f");
    assert!(matches!(&error, MergeError::Layer { number: 1, source } if duplicate(source)), "{error:?}");
    let below = Archive::default().symlink("l", "/etc").file("l/passwd", 0o644, b"").ended();
    let error = merged(&[other, below]).unwrap_err();
    assert!(
        matches!(&error, MergeError::Layer { number: 1, source: UnpackError::NotBelowDirectory { .. } }),
        "{error:?}"
    );
}

#[test]
fn what_is_no_good_layer_is_refused_by_its_number() {
    let good = package("a-1").ended();
    let mut cut = package("b-2").ended();
    cut.truncate(cut.len() / 2);
    let unended = package("b-2").compressed();
    let set_id = Archive::default().file("su", 0o4755, b"").ended();
    let device = Archive::default().entry(b'3', b"null", 0o666, b"", b"").ended();
    let escaping = Archive::default().file("../x", 0o644, b"").ended();
    let huge = gzip(header(b'0', b"huge", 0o644, b"", 2 << 30).as_bytes());
    for bad in [cut, unended, set_id, device, escaping, huge, b"garbage".to_vec(), Vec::new()] {
        let error = merged(&[good.clone(), bad]).unwrap_err();
        assert!(matches!(error, MergeError::Layer { number: 1, .. }), "{error:?}");
    }
}

#[test]
fn a_hard_link_to_what_its_own_layer_did_not_give_before_is_refused() {
    let good = Archive::default().directory("opt").file("opt/f", 0o644, b"").symlink("opt/l", "f");
    let link = |target: &str| Archive::default().hard_link("opt/x", target);
    for (bad, problem) in [
        (link("opt/none"), HardLinkProblem::Missing),
        // No engine links to what another layer has.
        (link("opt/f"), HardLinkProblem::Missing),
        (link("opt/later").file("opt/later", 0o644, b""), HardLinkProblem::Missing),
        (link("opt/x"), HardLinkProblem::Missing),
        (Archive::default().symlink("opt/s", "f").hard_link("opt/x", "opt/s"), HardLinkProblem::NotFile),
        (Archive::default().directory("opt/d").hard_link("opt/x", "opt/d"), HardLinkProblem::NotFile),
        (
            Archive::default().file("opt/d/y", 0o644, b"").hard_link("opt/x", "opt/d"),
            HardLinkProblem::NotFile,
        ),
    ] {
        let error = merged(&[good.clone().ended(), bad.ended()]).unwrap_err();
        let MergeError::Layer { number: 1, source: UnpackError::HardLink { entry, problem: found, .. } } =
            &error
        else {
            panic!("{error:?}")
        };
        assert_eq!((entry.as_str(), *found), ("opt/x", problem));
    }
    let chain = good.hard_link("opt/x", "opt/f").hard_link("opt/y", "./opt/x").ended();
    merged(&[chain]).unwrap();
}

#[test]
fn a_layer_that_is_not_what_its_diff_id_says_is_refused() {
    let [a, b] = ["a-1", "b-2"].map(|name| package(name).ended());
    let said = [with_diff_id(&a), (&b[..], with_diff_id(&a).1)];
    let error = merge(said, &OPTIONS, &pool(2), Vec::new()).unwrap_err();
    let MergeError::DiffId { number: 1, expected, found } = &error else { panic!("{error:?}") };
    assert_eq!((*expected, *found), (with_diff_id(&a).1, with_diff_id(&b).1));
    assert!(error.to_string().contains(&hex(found)), "{error}");
}

#[test]
fn every_layer_is_read_to_its_end_even_if_it_makes_no_sense() {
    let mut broken = package("a-1").ended();
    broken[40] ^= 0xff;
    let trailing = [package("a-1").ended(), vec![0; 100]].concat();
    for layer in [package("a-1").ended(), broken, trailing] {
        let layer = (Complaining(Cursor::new(layer)), [0; 32]);
        let error = merge([layer], &OPTIONS, &pool(1), io::sink()).map(drop).unwrap_err();
        let MergeError::Layer { number: 0, source: UnpackError::Read { source } } = error else {
            panic!("{error:?}")
        };
        assert_eq!(source.to_string(), "the digest is wrong");
    }
}

#[test]
fn a_full_disk_is_told() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error =
        merge([with_diff_id(&package("a-1").ended())], &OPTIONS, &pool(1), Full).map(drop).unwrap_err();
    assert!(matches!(error, MergeError::Write(source) if source.kind() == io::ErrorKind::StorageFull));
}

#[test]
fn no_layers_give_an_empty_one() {
    let finished = merged(&[]).unwrap();
    assert_eq!(inflate(&finished.output), vec![0; 10_240]);
}

#[test]
fn a_layer_of_links_is_extracted_as_it_was_planned() {
    let long = "n".repeat(150);
    let entries = [
        LinkEntry::Directory(b"opt".to_vec()),
        LinkEntry::Directory(b"opt/view".to_vec()),
        LinkEntry::Link { name: b"opt/view/x".to_vec(), target: b"/opt/a/x".to_vec() },
        LinkEntry::Link {
            name: format!("opt/view/{long}").into_bytes(),
            target: format!("/opt/{long}/é").into_bytes(),
        },
    ];
    let finished = write_links(&entries, &pool(2), Vec::new()).unwrap();
    let again = write_links(&entries, &pool(1), Vec::new()).unwrap();
    assert!(finished.output == again.output && finished.digest == again.digest);
    assert_eq!(hex(&finished.diff_id), hex(&Sha256::digest(inflate(&finished.output))));
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("layer");
    std::fs::write(&file, &finished.output).unwrap();
    let root = place.path().join("root");
    std::fs::create_dir(&root).unwrap();
    extract(&root, &file);
    let links: Vec<(PathBuf, Option<PathBuf>)> =
        walk(&root).into_iter().map(|(path, found)| (path, found.link)).collect();
    assert_eq!(
        links,
        [
            ("opt".into(), None),
            ("opt/view".into(), None),
            (format!("opt/view/{long}").into(), Some(format!("/opt/{long}/é").into())),
            ("opt/view/x".into(), Some("/opt/a/x".into())),
        ]
    );
}
