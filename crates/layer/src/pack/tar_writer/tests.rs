use std::io::Write as _;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use strata_testkit::golden;

use super::*;

/// Entries as both this writer and Python's are told about them.
#[derive(Clone, Debug)]
enum Entry {
    Directory(Vec<u8>),
    Symlink(Vec<u8>, Vec<u8>),
    HardLink(Vec<u8>, Vec<u8>, u32),
    File(Vec<u8>, u32, usize),
    /// A header that announces `8 GiB + n` bytes, without them.
    Huge(Vec<u8>, u64),
}

fn write(entries: &[Entry]) -> Vec<u8> {
    let mut tar = TarWriter::new(Vec::new());
    for entry in entries {
        match entry {
            Entry::Directory(name) => tar.directory(name),
            Entry::Symlink(name, target) => tar.symlink(name, target),
            Entry::HardLink(name, first, mode) => tar.hard_link(name, first, *mode),
            Entry::File(name, mode, size) => tar
                .start_file(name, *mode, *size as u64)
                .and_then(|()| tar.data(&vec![b'x'; *size]))
                .and_then(|()| tar.end_file()),
            Entry::Huge(name, more) => tar.start_file(name, 0o644, SIZE_LIMIT + more),
        }
        .unwrap();
    }
    assert_eq!(tar.entries(), entries.len() as u64);
    tar.finish().unwrap()
}

/// Python's `tarfile` as Spack calls it, reading entries as lines of JSON with hexadecimal names.
const PYTHON: &str = r#"
import io, json, os, sys, tarfile
out = io.BytesIO()
tar = tarfile.TarFile(name="", mode="w", fileobj=out)
for line in sys.stdin:
    kind, name, link, mode, size = json.loads(line)
    info = tarfile.TarInfo(os.fsdecode(bytes.fromhex(name)))
    info.type, info.mode = kind.encode(), mode
    info.linkname = os.fsdecode(bytes.fromhex(link))
    if size < 1 << 30:
        info.size = size
        tar.addfile(info, io.BytesIO(b"x" * size))
    else:
        info.size = size
        header = info.tobuf(tar.format, tar.encoding, tar.errors)
        out.write(header)
        tar.offset += len(header)
tar.close()
sys.stdout.buffer.write(out.getvalue())
"#;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What Python writes; nothing if there is no Python.
fn python(entries: &[Entry]) -> Option<Vec<u8>> {
    let mut child = Command::new("python3")
        .args(["-X", "utf8", "-c", PYTHON])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take().unwrap();
    for entry in entries {
        let line = match entry {
            Entry::Directory(name) => serde_json::json!(["5", hex(name), "", 0o755, 0]),
            Entry::Symlink(name, target) => serde_json::json!(["2", hex(name), hex(target), 0o755, 0]),
            Entry::HardLink(name, first, mode) => serde_json::json!(["1", hex(name), hex(first), mode, 0]),
            Entry::File(name, mode, size) => serde_json::json!(["0", hex(name), "", mode, size]),
            Entry::Huge(name, more) => serde_json::json!(["0", hex(name), "", 0o644, SIZE_LIMIT + more]),
        };
        writeln!(input, "{line}").unwrap();
    }
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    Some(output.stdout)
}

fn samples() -> Vec<Entry> {
    let mut entries = vec![Entry::Directory(b"opt".to_vec()), Entry::Huge(b"huge".to_vec(), 0)];
    let bytes = |text: &str| text.as_bytes().to_vec();
    // Around the length of the field, and where the digits of a record's length change.
    for length in (95..=105).chain([240, 980, 985, 986, 987, 988, 989, 990, 991, 992, 993, 994, 9990]) {
        entries.push(Entry::Directory(vec![b'd'; length]));
        entries.push(Entry::Symlink(vec![b'l'; length], vec![b't'; 201 - length.min(200)]));
        entries.push(Entry::HardLink(bytes("h"), vec![b't'; length], 0o644));
    }
    for name in ["é", "é/日本語/ファイル", &"é".repeat(101), &format!("{}é", "n".repeat(99))] {
        entries.push(Entry::File(bytes(name), 0o755, 3));
        entries.push(Entry::Symlink(bytes("link"), bytes(name)));
    }
    for name in [&b"\xff"[..], b"a\xe6\x97/b", b"\xed\xa0\x80", b"caf\xc3\xa9-\x80"] {
        entries.push(Entry::File(name.to_vec(), 0o644, 0));
        entries.push(Entry::Symlink(bytes("日本"), name.to_vec()));
    }
    for size in [1, 511, 512, 513, 10_239, 10_240, 10_241] {
        entries.push(Entry::File(bytes("content"), 0o644, size));
    }
    entries.push(Entry::Huge(vec![b'n'; 150], 12_345_678_901));
    entries
}

/// The digest was made with the Python of [`PYTHON`], 3.11.7; the test below compares with the Python at hand.
#[test]
fn headers_are_those_of_pythons_tarfile() {
    let digest = Sha256::digest(write(&samples()));
    assert_eq!(hex(&digest), "ca60e9c695fc457c3f4511f871a973445e18befb1a20d669cbe984fc533a6415");
}

#[test]
fn the_python_at_hand_writes_the_same() {
    match python(&samples()) {
        Some(expected) => assert!(write(&samples()) == expected),
        None => golden::skipped("the_python_at_hand_writes_the_same", "there is no python3"),
    }
}

#[test]
fn the_stream_ends_with_a_full_record() {
    assert_eq!(write(&[]), vec![0; 10_240]);
    // One header and 18 blocks of content leave exactly one block too few for the end.
    for (size, expected) in [(17 * 512, 10_240), (17 * 512 + 1, 20_480)] {
        assert_eq!(write(&[Entry::File(b"f".to_vec(), 0o644, size)]).len(), expected);
    }
}

fn entry() -> impl Strategy<Value = Entry> {
    let name = prop_oneof![
        "[a-z]{1,12}(/[a-z]{1,60}){0,3}".prop_map(String::into_bytes),
        "\\PC{1,40}".prop_map(String::into_bytes),
        prop::collection::vec(1..=255u8, 1..120),
    ];
    let mode = prop_oneof![Just(0o755u32), Just(0o644)];
    (name.clone(), name, mode, 0..2000usize, 0..5u8).prop_map(|(name, link, mode, size, kind)| match kind {
        // A slash at the end of a directory's name is not doubled; a walk never makes one.
        0 => Entry::Directory([name.as_slice(), b"d"].concat()),
        1 => Entry::Symlink(name, link),
        2 => Entry::HardLink(name, link, mode),
        3 => Entry::Huge(name, size as u64),
        _ => Entry::File(name, mode, size),
    })
}

#[test]
fn any_names_are_written_as_by_python() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    // One stream of many entries: starting Python for each would take longer than the test is worth.
    let mut runner = TestRunner::deterministic();
    let strategy = prop::collection::vec(entry(), 800..=800);
    let entries = strategy.new_tree(&mut runner).unwrap().current();
    let Some(expected) = python(&entries) else {
        return golden::skipped("any_names_are_written_as_by_python", "there is no python3");
    };
    let written = write(&entries);
    let differs = written.iter().zip(&expected).position(|(a, b)| a != b);
    assert!(differs.is_none() && written.len() == expected.len(), "first difference at {differs:?}");
}
