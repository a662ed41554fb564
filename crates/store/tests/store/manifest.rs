//! `install_manifest.json` as Python reads it.

use crate::support::python;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use strata_store::write_install_manifest;

/// What `spack verify manifest` checks, of the prefix argv names; prints what it finds wrong.
const VERIFY: &str = "
import base64, hashlib, json, os, stat, sys
prefix = sys.argv[1]
own = prefix + '/.spack/install_manifest.json'
manifest = json.load(open(own, encoding='utf-8'))
paths = [prefix]
for root, directories, files in os.walk(prefix):
    paths += [os.path.join(root, name) for name in directories + files]
for path in paths:
    if path == own or os.path.basename(path) == 'install_times.json':
        continue
    s, data, wrong = os.lstat(path), manifest.pop(path, None), []
    if data is None:
        print(ascii(path), 'added')
        continue
    wanted = {'mode': s.st_mode, 'owner': s.st_uid, 'group': s.st_gid}
    if stat.S_ISLNK(s.st_mode):
        wanted['dest'] = os.readlink(path)
    elif stat.S_ISREG(s.st_mode):
        digest = hashlib.sha1(open(path, 'rb').read()).digest()
        wanted |= {'hash': base64.b32encode(digest).decode(), 'time': s.st_mtime, 'size': s.st_size}
    if data != wanted:
        print(ascii(path), data, wanted)
for path in manifest:
    print(ascii(path), 'deleted')
";

fn write(dir: &Path, name: &[u8], content: &[u8]) -> std::path::PathBuf {
    let path = dir.join(OsStr::from_bytes(name));
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, content).unwrap();
    path
}

fn complaints(test: &str, prefix: &Path) -> Option<String> {
    let output = python(test, VERIFY)?.arg(prefix).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn python_finds_what_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let (staged, prefix) = (dir.path().join("staged"), dir.path().join("sto\"re/pre\\fix"));
    for name in [
        &b"bin/tool"[..],
        b"share/na\xc3\xafve \xf0\x9f\x8c\x8d",
        b"share/\xff\xed\xa0\x80 bad",
        b"tab\there\x7f",
    ] {
        write(&staged, name, name);
    }
    write(&staged, b".spack/spec.json.strata-staged", b"{}");
    write(&staged, b".spack/install_manifest.json", b"one from the cache");
    write(&staged, b".spack/install_times.json", b"{}");
    write(&staged, b"share/install_times.json/file", b"in a directory of that name");
    write(&staged, b"empty", b"");
    std::fs::set_permissions(staged.join("bin/tool"), PermissionsExt::from_mode(0o4751)).unwrap();
    std::os::unix::fs::symlink("../bin/tool", staged.join("share/link")).unwrap();
    std::os::unix::fs::symlink(OsStr::from_bytes(b"no\xfewhere"), staged.join("dangling")).unwrap();
    std::os::unix::fs::symlink(".", staged.join("share/loop")).unwrap();
    std::fs::hard_link(staged.join("empty"), staged.join("again")).unwrap();
    // Times that no binary fraction holds, and one before the epoch.
    for (number, nanoseconds) in [0, 1, 99, 100_000_000, 123_456_789, 999_999_999].into_iter().enumerate() {
        let path = write(&staged, format!("times/{number}").as_bytes(), b"x");
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_795_167_429 + number as u64, nanoseconds);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
    let path = write(&staged, b"times/before", b"x");
    let time = SystemTime::UNIX_EPOCH - Duration::new(5, 250_000_001);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();

    write_install_manifest(&staged, &prefix).unwrap();
    std::fs::create_dir_all(prefix.parent().unwrap()).unwrap();
    std::fs::rename(&staged, &prefix).unwrap();
    std::fs::rename(prefix.join(".spack/spec.json.strata-staged"), prefix.join(".spack/spec.json")).unwrap();
    let text = std::fs::read_to_string(prefix.join(".spack/install_manifest.json")).unwrap();
    assert!(text.is_ascii());
    let Some(found) = complaints("install manifest", &prefix) else { return };
    assert_eq!(found, "");

    // And that it would find what is not.
    std::fs::write(prefix.join("empty"), "no more").unwrap();
    write(&prefix, b"new", b"");
    std::fs::remove_file(prefix.join("dangling")).unwrap();
    let found = complaints("install manifest", &prefix).unwrap();
    assert_eq!(found.lines().count(), 4, "{found}"); // `again` is `empty`
}

#[test]
fn many_odd_times_are_pythons() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join(".spack")).unwrap();
    for number in 0u32..500 {
        let path = write(dir.path(), number.to_string().as_bytes(), b"");
        let nanoseconds = number.wrapping_mul(2_654_435_761) % 1_000_000_000;
        let time = SystemTime::UNIX_EPOCH + Duration::new(u64::from(number) * 4_000_037, nanoseconds);
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    }
    write_install_manifest(dir.path(), dir.path()).unwrap();
    let Some(found) = complaints("install manifest", dir.path()) else { return };
    assert_eq!(found, "");
}

#[test]
fn a_real_prefix_is_accepted() {
    let Some(store) = strata_testkit::golden::stores().into_iter().next() else {
        return strata_testkit::golden::skipped("install manifest", "STRATA_STORES is not set");
    };
    let database = std::fs::read_to_string(store.join(".spack-db/index.json")).unwrap();
    let database = strata_spec::Database::parse(&database).unwrap();
    let smallest = database.records.values().filter(|r| r.installed && !r.node.is_external());
    let smallest =
        smallest.min_by_key(|r| std::fs::read_dir(r.path.as_ref().unwrap()).unwrap().count()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let copy = dir.path().join("copy");
    let copied =
        std::process::Command::new("cp").arg("-a").arg(smallest.path.as_ref().unwrap()).arg(&copy).status();
    assert!(copied.unwrap().success());
    write_install_manifest(&copy, &copy).unwrap();
    let Some(found) = complaints("install manifest", &copy) else { return };
    assert_eq!(found, "");
}

#[test]
fn a_missing_metadata_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = write_install_manifest(dir.path(), dir.path()).unwrap_err();
    assert!(error.to_string().contains(".spack/install_manifest.json"), "{error}");
    let error = write_install_manifest(&dir.path().join("none"), dir.path()).unwrap_err();
    assert!(error.path.ends_with("none"), "{error}");
}
