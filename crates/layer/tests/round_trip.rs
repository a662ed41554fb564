//! What is packed comes out again, whatever the tree and however many threads work on either side; and everybody
//! else's tools read it.

// clippy.toml allows it in test functions; here the helpers around them are tests as well.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::fs;
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use proptest::prelude::*;
use strata_layer::BuildInfo;
use strata_layer::gzip::writer::CompressorPool;
use strata_layer::pack::{PackRequest, Packed, pack};
use strata_layer::unpack::{Limits, UnpackOptions, leading_directories, unpack};
use strata_testkit::golden;

/// What is at a path. A file has its content, whether it is executable, and the first path of the same inode.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(Vec<u8>, bool, PathBuf),
    Symlink(PathBuf),
}

/// Everything below `root` but what packing writes itself.
fn tree(root: &Path) -> BTreeMap<PathBuf, Node> {
    let mut paths = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(entry.path());
            }
            paths.push(entry.path());
        }
    }
    paths.sort();
    let mut first = HashMap::new();
    let node = |path: PathBuf| {
        let relative = path.strip_prefix(root).unwrap().to_owned();
        let metadata = path.symlink_metadata().unwrap();
        let node = if metadata.is_dir() {
            Node::Directory
        } else if metadata.is_symlink() {
            Node::Symlink(fs::read_link(&path).unwrap())
        } else {
            let name = first.entry(metadata.ino()).or_insert_with(|| relative.clone()).clone();
            Node::File(fs::read(&path).unwrap(), metadata.mode() & 0o100 != 0, name)
        };
        (relative, node)
    };
    let mut found: BTreeMap<_, _> = paths.into_iter().map(node).collect();
    found.remove(Path::new(".spack/binary_distribution"));
    found
}

fn packed(prefix: &Path, threads: usize) -> (Packed, Vec<u8>) {
    let request = PackRequest {
        prefix,
        build_info: BuildInfo { buildpath: "/opt/store".to_owned(), ..BuildInfo::default() },
        prefixes: vec![b"/opt/store".to_vec()],
    };
    let mut layer = Vec::new();
    let pool = CompressorPool::new(NonZeroUsize::new(threads).unwrap()).unwrap();
    let packed = pack(request, &pool, &mut layer).unwrap();
    (packed, layer)
}

/// Packs and unpacks `prefix` with these numbers of threads and compares.
fn survives(prefix: &Path, packing: usize, unpacking: usize) {
    let (packed, layer) = packed(prefix, packing);
    let destination = tempfile::tempdir().unwrap();
    let options = UnpackOptions { limits: Limits::for_layer(packed.size), threads: unpacking };
    let unpacked = unpack(&layer[..], destination.path(), &options).unwrap();
    assert_eq!(unpacked.diff_id, packed.diff_id);
    assert_eq!(unpacked.build_info, packed.build_info);
    assert_eq!(Path::new("/").join(&unpacked.prefix_in_layer), prefix);
    let (before, after) = (tree(prefix), tree(destination.path()));
    assert!(before == after, "{:?}\n{:?}", before.keys(), after.keys());
    let mut parents = vec![PathBuf::from(&unpacked.prefix_in_layer)];
    while let Some(parent) = parents.last().unwrap().parent().filter(|path| *path != Path::new("")) {
        parents.push(parent.to_owned());
    }
    let directories = leading_directories(&layer[..]).unwrap();
    let leading: Vec<&Path> = directories.iter().take(parents.len()).map(Path::new).collect();
    assert_eq!(leading, parents.iter().rev().collect::<Vec<_>>());
}

/// Bytes that hardly compress.
fn noise(size: usize, mut state: u64) -> Vec<u8> {
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(size.div_ceil(8)).flatten().take(size).collect()
}

#[derive(Clone, Debug)]
enum Made {
    Directory,
    File(usize, bool),
    Symlink(Vec<u8>),
    /// To the file that was made as the so-manieth, modulo how many there are.
    HardLink(usize),
}

fn component() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-c]{1,2}".prop_map(String::into_bytes),
        1 => "[a-z]{90,120}".prop_map(String::into_bytes),
        1 => Just("é\u{fffd}\n".as_bytes().to_vec()),
        1 => Just(b"\xff\x80 x".to_vec()),
        1 => Just(b".spack".to_vec()),
    ]
}

fn made() -> impl Strategy<Value = Made> {
    let size = prop::sample::select(vec![0usize, 1, 511, 512, 513, 70_000, (1 << 20) + 3]);
    prop_oneof![
        2 => Just(Made::Directory),
        4 => (size, any::<bool>()).prop_map(|(size, executable)| Made::File(size, executable)),
        1 => prop::collection::vec(1u8.., 1..150).prop_map(Made::Symlink),
        2 => any::<usize>().prop_map(Made::HardLink),
    ]
}

/// Makes what is possible: names may be taken, or lie below a file.
fn make(prefix: &Path, plan: &[(Vec<Vec<u8>>, Made)]) {
    fs::create_dir_all(prefix.join(".spack")).unwrap();
    let mut files: Vec<PathBuf> = Vec::new();
    for (number, (components, made)) in plan.iter().enumerate() {
        let path = prefix.join(OsStr::from_bytes(&components.join(&b'/')));
        if path.symlink_metadata().is_ok() || fs::create_dir_all(path.parent().unwrap()).is_err() {
            continue;
        }
        match made {
            Made::Directory => fs::create_dir(&path).unwrap(),
            Made::File(size, executable) => {
                fs::write(&path, noise(*size, 1 + number as u64)).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
                files.push(path);
            }
            Made::Symlink(target) => {
                symlink(std::ffi::OsString::from_vec(target.clone()), &path).unwrap();
            }
            Made::HardLink(_) if files.is_empty() => {}
            Made::HardLink(which) => fs::hard_link(&files[which % files.len()], &path).unwrap(),
        }
    }
}

/// Few, for each makes files; `PROPTEST_CASES` asks for more.
fn cases() -> ProptestConfig {
    match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(48),
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn a_random_tree_survives(
        plan in prop::collection::vec((prop::collection::vec(component(), 1..4), made()), 0..25),
        packing in 1usize..=4,
        unpacking in 1usize..=4,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let prefix = directory.path().join("pkg-1-hash");
        make(&prefix, &plan);
        survives(&prefix, packing, unpacking);
    }
}

#[test]
fn a_stream_of_more_members_than_are_in_flight_survives() {
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("pkg-1-hash");
    fs::create_dir_all(prefix.join(".spack")).unwrap();
    fs::write(prefix.join("noise"), noise(29 << 20, 7)).unwrap();
    fs::write(prefix.join("same"), vec![b's'; 3 << 20]).unwrap();
    // A first file of more than is looked at by those who want the directories alone must not worry them.
    let (_, one) = packed(&prefix, 1);
    let (_, four) = packed(&prefix, 4);
    assert!(one == four, "the bytes depend on the threads");
    for (packing, unpacking) in [(1, 4), (4, 1), (4, 4)] {
        survives(&prefix, packing, unpacking);
    }
}

/// Lists a layer's entries, one line for each: name as hexadecimal digits, type, mode, sizes and digest.
const PYTHON: &str = r"
import hashlib, os, sys, tarfile
with tarfile.open(sys.argv[1], 'r:gz') as tar:
    for entry in tar:
        content = tar.extractfile(entry).read() if entry.isreg() else b''
        print(os.fsencode(entry.name).hex(), entry.type.decode(), oct(entry.mode), len(content),
              os.fsencode(entry.linkname).hex(), hashlib.sha256(content).hexdigest())
";

#[test]
fn python_tar_and_gzip_read_a_layer() {
    const NAME: &str = "python_tar_and_gzip_read_a_layer";
    let directory = tempfile::tempdir().unwrap();
    let prefix = directory.path().join("pkg-1-hash");
    fs::create_dir_all(prefix.join("a".repeat(120))).unwrap();
    let plan = [
        (&b"big"[..], Made::File(3 << 20, true)),
        (b"again", Made::HardLink(0)),
        ("é".as_bytes(), Made::File(513, false)),
        (b"b\xff", Made::File(0, false)),
        (b"link", Made::Symlink(b"../somewhere else".to_vec())),
    ];
    make(&prefix, &plan.map(|(name, made)| (vec![name.to_vec()], made)));
    fs::write(prefix.join("a".repeat(120)).join("deep"), "deep").unwrap();
    let (packed, layer) = packed(&prefix, 2);
    let file = directory.path().join("layer.tar.gz");
    fs::write(&file, layer).unwrap();

    let run = |program: &str, arguments: &[&OsStr]| -> Option<Output> {
        let Ok(output) = Command::new(program).args(arguments).output() else {
            golden::skipped(NAME, &format!("no {program}"));
            return None;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
        Some(output)
    };
    run("gzip", &["-t".as_ref(), file.as_ref()]);
    if let Some(output) = run("tar", &["-tzf".as_ref(), file.as_ref()]) {
        assert_eq!(output.stdout.split(|&byte| byte == b'\n').count() as u64, packed.entries + 1);
        let out = directory.path().join("out");
        fs::create_dir(&out).unwrap();
        run("tar", &["-xzf".as_ref(), file.as_ref(), "-C".as_ref(), out.as_ref()]);
        assert!(tree(&out.join(prefix.strip_prefix("/").unwrap())) == tree(&prefix));
    }
    let arguments = ["-X".as_ref(), "utf8".as_ref(), "-c".as_ref(), OsStr::new(PYTHON), file.as_ref()];
    if let Some(output) = run("python3", &arguments) {
        let listing = String::from_utf8(output.stdout).unwrap();
        assert_eq!(listing.lines().count() as u64, packed.entries, "{listing}");
        for (path, node) in tree(&prefix) {
            let name = prefix.join(path).into_os_string().into_vec();
            let name: String = name[1..].iter().map(|byte| format!("{byte:02x}")).collect();
            let line = listing.lines().find(|line| line.split(' ').next() == Some(&name)).unwrap();
            let fields: Vec<&str> = line.split(' ').collect();
            match node {
                Node::Directory => assert_eq!(fields[1..4], ["5", "0o755", "0"]),
                Node::Symlink(_) => assert_eq!(fields[1..4], ["2", "0o755", "0"]),
                Node::File(content, executable, _) => {
                    let mode = if executable { "0o755" } else { "0o644" };
                    assert_eq!(fields[2], mode);
                    if fields[1] == "0" {
                        assert_eq!(fields[3], content.len().to_string());
                    } else {
                        assert_eq!(fields[1], "1");
                    }
                }
            }
        }
    }
}
