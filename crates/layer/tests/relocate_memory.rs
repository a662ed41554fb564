//! Memory stays bounded however large the files of a package are. Alone in its process, whose high-water mark it reads.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use strata_layer::BuildInfo;
use strata_layer::relocate::{
    Destination, Fit, Leftovers, Platform, PrefixMap, Relocated, leftovers, relocate_tree,
};
use strata_testkit::golden;

const SIZE: u64 = 256 << 20;
const OLD: &str = "/old/store/of/the/builder";
const LINE: &str =
    "prefix=/old/store/of/the/builder/lib and some more words, so that lines are as long as lines are\n";

/// The most memory this process ever had resident, in KiB; nothing where there is no `/proc`.
fn high_water_mark() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// A program with a hole behind it, and strings in and behind the hole.
fn write_binary(path: &Path) {
    fs::copy(std::env::current_exe().expect("this test"), path).expect("a copy");
    let mut file = File::options().write(true).open(path).expect("the copy");
    for at in [SIZE / 2, SIZE] {
        file.seek(SeekFrom::Start(at)).expect("a hole");
        file.write_all(format!("\0{OLD}/lib/something\0").as_bytes()).expect("room");
    }
}

fn write_text(path: &Path) -> u64 {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    let lines = SIZE / LINE.len() as u64;
    (0..lines).for_each(|_| file.write_all(LINE.as_bytes()).expect("room"));
    file.flush().expect("room");
    lines
}

fn string_at(path: &Path, at: u64, length: usize) -> String {
    let mut file = File::open(path).expect("the file");
    file.seek(SeekFrom::Start(at)).expect("its end is behind");
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).expect("its end is behind");
    String::from_utf8_lossy(&bytes).into_owned()
}

#[test]
fn two_files_of_256_mebibytes_take_less_than_32() {
    let temporary = tempfile::tempdir().expect("a directory");
    let root = temporary.path();
    let (binary, text) = (root.join("binary"), root.join("text"));
    write_binary(&binary);
    let lines = write_text(&text);
    let info = BuildInfo {
        relocate_binaries: vec!["binary".into()],
        relocate_textfiles: vec!["text".into()],
        ..BuildInfo::default()
    };
    let Some(before) = high_water_mark() else {
        return golden::skipped(
            "two_files_of_256_mebibytes_take_less_than_32",
            "there is no /proc/self/status",
        );
    };

    let longer = PrefixMap::new([(OLD, format!("{OLD}/and/deeper"))]).expect("prefixes");
    let mut fit = Fit::new(&longer, b"/old", b"/old/bin/sbang");
    fit.check_file(Path::new("binary"), &File::open(&binary).expect("it")).expect("readable");
    let misfits = fit.finish().expect_err("strings do not become longer").misfits;
    assert_eq!(misfits.len(), 1);

    // The text becomes longer, so that it has to be moved within its file.
    let relocate = |info: &BuildInfo, new: &str| {
        let map = PrefixMap::new([(OLD, new)]).expect("prefixes");
        let destination = Destination { map: &map, sbang: b"/new/bin/sbang" };
        relocate_tree(root, info, &destination, Platform::Elf).expect("relocated")
    };
    let texts = BuildInfo { relocate_binaries: Vec::new(), ..info.clone() };
    let new = "/a/store/that/has/a/longer/path/than/that/of/the/builder";
    assert_eq!(relocate(&texts, new), Relocated { files_changed: 1, ..Relocated::default() });
    let line = LINE.replace(OLD, new);
    assert_eq!(fs::metadata(&text).expect("it").len(), lines * line.len() as u64);
    assert_eq!(string_at(&text, (lines - 1) * line.len() as u64, line.len()), line);

    let binaries = BuildInfo { relocate_textfiles: Vec::new(), ..info };
    assert_eq!(relocate(&binaries, "/new").files_changed, 1);
    for at in [SIZE / 2, SIZE] {
        assert_eq!(
            string_at(&binary, at, 41),
            format!("\0{}/new/lib/something\0", "/".repeat(OLD.len() - 4))
        );
    }
    let map = PrefixMap::new([(OLD, "/new")]).expect("prefixes");
    assert_eq!(leftovers(root, &map).expect("readable"), Leftovers::default());

    let grown = (high_water_mark().expect("it was there before") - before) >> 10;
    println!("{grown} MiB more");
    assert!(grown < 32, "{grown} MiB more");
}
