//! Layers that want to do harm: refused by name, and nothing of them stays, inside the store or outside.

use crate::support::{Ran, World, text, tree};
use std::io::Write;
use std::path::Path;
use strata_oci::{
    BlobSource, Descriptor, Digest, ManifestRef, Repository, image_config, image_manifest, media_type,
};
use strata_testkit::sample_store::SampleStore;
use tar::{Builder, EntryType, Header};

const CORRUPT: i32 = 65;

/// What is put into the layer beside a package that is all right.
type Entries<'e> = &'e [(EntryType, &'e str, &'e str, u32)];

/// A layer of `greet` with `entries` in it. Names and targets are written as they are, whatever they are.
fn layer(store: &SampleStore, entries: Entries<'_>) -> Vec<u8> {
    let prefix = text(&store.package("greet").prefix).trim_start_matches('/').to_owned();
    let mut tar = Builder::new(Vec::new());
    let mut add = |kind: EntryType, name: &str, target: &str, mode: u32, data: &[u8]| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(data.len() as u64);
        let name = name.replace("PREFIX", &prefix);
        let target = target.replace("PREFIX", &prefix);
        // The crate's own setters refuse what we are after.
        if name.len() < 100 {
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        } else {
            long(&mut tar, b'L', &name);
        }
        if target.len() < 100 {
            header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
        } else {
            long(&mut tar, b'K', &target);
        }
        header.set_cksum();
        tar.append(&header, data).unwrap();
    };
    add(EntryType::Directory, "PREFIX", "", 0o755, b"");
    add(EntryType::Directory, "PREFIX/.spack", "", 0o755, b"");
    let spec = std::fs::read(store.package("greet").prefix.join(".spack/spec.json")).unwrap();
    add(EntryType::Regular, "PREFIX/.spack/spec.json", "", 0o644, &spec);
    add(EntryType::Regular, "PREFIX/file", "", 0o644, b"content");
    for (kind, name, target, mode) in entries {
        let data: &[u8] = if *kind == EntryType::Regular { b"owned" } else { b"" };
        add(*kind, name, target, *mode, data);
    }
    let build_info = format!(
        "{{sbang_install_path: /x/bin/sbang, buildpath: {}, spackprefix: /x, relative_prefix: x, \
         hardlinks_deduped: true, hash_to_prefix: {{}}, relocate_binaries: [], relocate_links: [], \
         relocate_textfiles: []}}\n",
        store.root.display()
    );
    add(EntryType::Regular, "PREFIX/.spack/binary_distribution", "", 0o644, build_info.as_bytes());
    gzip(&tar.into_inner().unwrap())
}

/// A GNU long name or link name.
fn long(tar: &mut Builder<Vec<u8>>, kind: u8, text: &str) {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::new(kind));
    header.set_size(text.len() as u64 + 1);
    header.as_old_mut().name[..13].copy_from_slice(b"././@LongLink");
    header.set_cksum();
    tar.append(&header, format!("{text}\0").as_bytes()).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Puts `layer` in the place of the layer of `greet`, with a config and a manifest that say so.
fn replace_layer(repository: &dyn Repository, store: &SampleStore, layer: Vec<u8>, diff_id: Option<Digest>) {
    let tag = format!("greet-1.0-{}.spack", store.package("greet").hash).parse().unwrap();
    let (_, mut manifest) =
        image_manifest(repository, &ManifestRef::Tag(tag)).unwrap().expect("the sample was pushed");
    let mut config = image_config(repository, &manifest).unwrap();
    match (diff_id, config.root_fs.diff_ids.last_mut()) {
        (Some(diff_id), Some(last)) => *last = diff_id,
        _ => config.root_fs.diff_ids.clear(),
    }
    let source = BlobSource::bytes(layer);
    *manifest.layers.last_mut().unwrap() = source.descriptor(media_type::OCI_LAYER_GZIP);
    let _ = repository.put_blob(&source).unwrap();
    let config = BlobSource::bytes(config.to_bytes().unwrap());
    manifest.config = Descriptor::new(media_type::OCI_CONFIG, config.digest, config.size);
    let _ = repository.put_blob(&config).unwrap();
    let tag = format!("greet-1.0-{}.spack", store.package("greet").hash).parse().unwrap();
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
}

/// Installs `greet` from a cache whose layer of it is this one, beside a file that must not change.
fn install(world: &World, store: &SampleStore, cache: &str, layer: Vec<u8>, diff_id: Option<Digest>) -> Ran {
    let repository =
        strata_oci::open_or_create(&cache.parse().unwrap(), &strata_oci::Transport::default(), None).unwrap();
    replace_layer(&*repository, store, layer, diff_id);
    let root = world.path("root");
    let ran = world.run(["--store", text(&root), "install", "-m", cache, "greet"]);
    if ran.code != Some(0) {
        let left = tree(&root);
        assert!(
            !left.iter().any(|p| p.starts_with("linux-") || text(p).contains("strata-stage/")),
            "{left:?}"
        );
        assert_eq!(std::fs::read(world.path("outside")).unwrap(), b"untouched");
        assert!(!world.path("escaped").exists() && !Path::new("/escaped-from-strata-test").exists());
    }
    if root.exists() {
        std::fs::remove_dir_all(root).unwrap();
    }
    ran
}

#[test]
fn each_is_refused_by_name() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    std::fs::write(world.path("outside"), "untouched").unwrap();
    let outside = text(&world.path("outside")).to_owned();
    let escape = text(&world.path("")).to_owned();
    use EntryType as T;

    assert_eq!(
        install(&world, &store, &cache, layer(&store, &[]), None).code,
        Some(0),
        "without mischief it installs"
    );
    let cases: &[(Entries<'_>, &str)] = &[
        (&[(T::Regular, "PREFIX/../../escaped", "", 0o644)], ".."),
        (&[(T::Regular, "../escaped", "", 0o644)], ".."),
        (&[(T::Regular, "/escaped-from-strata-test", "", 0o644)], "absolute"),
        (&[(T::Regular, "elsewhere/file", "", 0o644)], "elsewhere"),
        (&[(T::Link, "PREFIX/hard", &outside, 0o644)], "PREFIX/hard"),
        (&[(T::Link, "PREFIX/hard", "../../outside", 0o644)], "PREFIX/hard"),
        (&[(T::Link, "PREFIX/hard", "PREFIX/not-there", 0o644)], "PREFIX/hard"),
        (
            &[(T::Symlink, "PREFIX/away", &escape, 0o777), (T::Regular, "PREFIX/away/escaped", "", 0o644)],
            "PREFIX/away/escaped",
        ),
        (
            &[
                (T::Symlink, "PREFIX/away", "../../../..", 0o777),
                (T::Regular, "PREFIX/away/escaped", "", 0o644),
            ],
            "PREFIX/away/escaped",
        ),
        (
            &[(T::Symlink, "PREFIX/link", &outside, 0o777), (T::Regular, "PREFIX/link", "", 0o644)],
            "PREFIX/link",
        ),
        (
            &[(T::Symlink, "PREFIX/link", &outside, 0o777), (T::Link, "PREFIX/hard", "PREFIX/link", 0o644)],
            "PREFIX/hard",
        ),
        (&[(T::Char, "PREFIX/null", "", 0o666)], "PREFIX/null"),
        (&[(T::Block, "PREFIX/disk", "", 0o666)], "PREFIX/disk"),
        (&[(T::Fifo, "PREFIX/pipe", "", 0o666)], "PREFIX/pipe"),
        (&[(T::Regular, "PREFIX/root-shell", "", 0o4755)], "PREFIX/root-shell"),
        (&[(T::Regular, "PREFIX/group-shell", "", 0o2755)], "PREFIX/group-shell"),
        (&[(T::Regular, "PREFIX/file", "", 0o644)], "PREFIX/file"),
    ];
    let prefix = text(&store.package("greet").prefix).trim_start_matches('/').to_owned();
    for (entries, word) in cases {
        let ran = install(&world, &store, &cache, layer(&store, entries), None);
        ran.fails(CORRUPT, &["greet@1.0", &word.replace("PREFIX", &prefix)]);
    }
}

#[test]
fn what_a_layer_has_under_names_of_ours_does_no_harm() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    std::fs::write(world.path("outside"), "untouched").unwrap();
    let outside = text(&world.path("outside")).to_owned();
    let names = [".install_manifest.json.tmp", "install_manifest.json", "spec.json.strata-staged"];
    for (kind, target) in [
        (EntryType::Symlink, &*outside),
        (EntryType::Link, "PREFIX/file"),
        (EntryType::Link, "PREFIX/.spack/spec.json"),
        (EntryType::Regular, ""),
    ] {
        let names = names.map(|name| format!("PREFIX/.spack/{name}"));
        let entries: Vec<_> = names.iter().map(|name| (kind, &**name, target, 0o644)).collect();
        let repository =
            strata_oci::open_or_create(&cache.parse().unwrap(), &strata_oci::Transport::default(), None)
                .unwrap();
        replace_layer(&*repository, &store, layer(&store, &entries), None);
        let root = world.path("root");
        world.ok(["--store", text(&root), "install", "-m", &cache, "greet"]);
        assert_eq!(std::fs::read(world.path("outside")).unwrap(), b"untouched");
        let files = tree(&root);
        let prefix = files.iter().find(|path| path.ends_with(".spack/spec.json")).unwrap();
        let prefix = root.join(prefix.ancestors().nth(2).unwrap());
        assert_eq!(std::fs::read(prefix.join("file")).unwrap(), b"content");
        let spec = std::fs::read(store.package("greet").prefix.join(".spack/spec.json")).unwrap();
        assert_eq!(std::fs::read(prefix.join(".spack/spec.json")).unwrap(), spec);
        let manifest = std::fs::read_to_string(prefix.join(".spack/install_manifest.json")).unwrap();
        assert_eq!(manifest.matches("/.spack/spec.json\"").count(), 1, "{manifest}");
        let listed: std::collections::HashMap<std::path::PathBuf, serde_json::Value> =
            serde_json::from_str(&manifest).unwrap();
        for path in listed.keys() {
            assert!(path.symlink_metadata().is_ok(), "{}", path.display());
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}

#[test]
fn more_bytes_than_allowed_are_refused() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    std::fs::write(world.path("outside"), "untouched").unwrap();
    // A file that claims two gigabytes, in a layer of a few hundred bytes.
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(2 << 30);
    header.set_path("bomb").unwrap();
    header.set_cksum();
    let bomb = gzip(&[&header.as_bytes()[..], &[0; 4096]].concat());
    install(&world, &store, &cache, bomb, None).fails(CORRUPT, &["bomb", "1073741824"]);

    // What a manifest says of the size counts, even if the blob is longer.
    let repository =
        strata_oci::open_or_create(&cache.parse().unwrap(), &strata_oci::Transport::default(), None).unwrap();
    let good = layer(&store, &[]);
    replace_layer(&*repository, &store, good.clone(), None);
    let blob = world.path("cache/blobs/sha256").join(Digest::of(&good).hex());
    std::fs::write(blob, [&good[..], &vec![0; 1 << 20]].concat()).unwrap();
    let ran = world.run(["--store", text(&world.path("root")), "install", "-m", &cache, "greet"]);
    ran.fails(CORRUPT, &["longer than", &Digest::of(&good).hex()]);
}

#[test]
fn a_layer_that_is_not_what_its_config_says_is_refused() {
    let world = World::new();
    let (store, cache) = world.sample_cache();
    std::fs::write(world.path("outside"), "untouched").unwrap();
    let ran = install(&world, &store, &cache, layer(&store, &[]), Some(Digest::of(b"something else")));
    ran.fails(CORRUPT, &["unpacks to", &Digest::of(b"something else").hex()]);
    for nonsense in [b"".to_vec(), b"not gzip at all".to_vec(), gzip(b"not tar at all"), gzip(b"")] {
        install(&world, &store, &cache, nonsense, None)
            .fails(CORRUPT, &["cannot extract the layer of greet@1.0"]);
    }
}
