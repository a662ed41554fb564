//! Python byte-code after installing: a real Python must take it, and write nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::FileTimes;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use strata_layer::BuildInfo;
use strata_layer::relocate::keep_bytecode_valid;
use strata_testkit::golden;

use crate::support::unpacked;

/// Runs Python over `directory`; `None` if there is none.
fn python(directory: &Path, arguments: &[&str]) -> Option<Output> {
    let mut command = Command::new("python3");
    command.env_remove("PYTHONPYCACHEPREFIX").env_remove("PYTHONDONTWRITEBYTECODE");
    command.env_remove("SOURCE_DATE_EPOCH").env("PYTHONPATH", directory);
    let output = command.args(arguments).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output)
}

fn set_time(path: &Path, time: SystemTime) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

/// A package that was built at `/built/sample`.
fn build_info() -> BuildInfo {
    BuildInfo { buildpath: "/built".to_owned(), relative_prefix: "sample".to_owned(), ..BuildInfo::default() }
}

/// The install manifest of the builder, with the times of some files.
fn write_manifest(directory: &Path, times: &[(String, f64)]) {
    let entries = times.iter().map(|(path, time)| {
        (format!("/built/sample/{path}"), serde_json::json!({"mode": 33188, "time": time, "size": 1}))
    });
    let manifest: serde_json::Map<String, serde_json::Value> = entries.collect();
    std::fs::create_dir_all(directory.join(".spack")).unwrap();
    let text = serde_json::Value::from(manifest).to_string();
    std::fs::write(directory.join(".spack/install_manifest.json"), text).unwrap();
}

/// Modification times and contents of all files below `root`.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (SystemTime, Vec<u8>)> {
    let mut files = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            if metadata.is_dir() {
                left.push(path);
            } else if metadata.is_file() {
                files.insert(path.clone(), (metadata.modified().unwrap(), std::fs::read(path).unwrap()));
            }
        }
    }
    files
}

#[test]
fn python_takes_the_bytecode_that_was_shipped_and_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("lib/sample");
    std::fs::create_dir_all(&package).unwrap();
    let built = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    for name in ["__init__", "kept", "edited", "listed", "linked", "stale"] {
        let path = package.join(name).with_extension("py");
        std::fs::write(&path, format!("name = '{name}'\n")).unwrap();
        set_time(&path, built);
    }
    let compile = ["-m", "compileall", "-q", "-o", "0", "-o", "2"];
    let lib = directory.path().join("lib");
    if python(&lib, &[&compile[..], &[package.to_str().unwrap()]].concat()).is_none() {
        return golden::skipped("python_takes_the_bytecode_that_was_shipped", "no python3");
    }
    // As it is when it is installed: one source longer, one listed for relocation; all times are new then.
    std::fs::write(package.join("edited.py"), "name = 'edited again'\n").unwrap();
    std::fs::hard_link(package.join("linked.py"), package.join("other.txt")).unwrap();

    let info = BuildInfo { relocate_textfiles: vec![OsString::from("lib/sample/listed.py")], ..build_info() };
    let (installed, mut notes) = unpacked(directory.path(), &info, 2);
    assert_eq!(
        keep_bytecode_valid(installed.path(), &info, &mut notes).unwrap(),
        0,
        "without a manifest nothing is known"
    );
    // `stale` was edited where it was built, after it was compiled, and has the size it had.
    let files = ["__init__", "kept", "edited", "listed", "linked", "stale"];
    let times = files.map(|name| {
        (format!("lib/sample/{name}.py"), if name == "stale" { 1_600_000_001.5 } else { 1_600_000_000.25 })
    });
    write_manifest(directory.path(), &times);
    let (installed, mut notes) = unpacked(directory.path(), &info, 2);
    let lib = installed.path().join("lib");
    let before = snapshot(&lib);
    assert_eq!(
        keep_bytecode_valid(installed.path(), &info, &mut notes).unwrap(),
        2,
        "each source counts once"
    );
    let after = snapshot(&lib);
    for (path, (time, content)) in &after {
        assert!(before[path].1 == *content, "{} was written", path.display());
        let dated = path.ends_with("kept.py") || path.ends_with("__init__.py");
        assert_eq!(*time == built, dated, "{}", path.display());
        let noted = notes.iter().find(|note| installed.path().join(&note.path) == *path).unwrap();
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let since = (since.as_secs() as i64, since.subsec_nanos());
        assert_eq!(notes.file(noted).unwrap().modified, since, "{}", path.display());
    }

    let output = python(&lib, &["-v", "-c", "import sample.kept"]).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let matches = said.lines().filter(|line| line.contains("matches") && line.contains("sample")).count();
    assert_eq!(matches, 2, "{said}");
    python(&lib, &["-OO", "-c", "import sample.kept"]).unwrap();
    assert!(snapshot(&lib) == after, "Python wrote something");
    let output = python(&lib, &["-c", "import sample.edited; print(sample.edited.name)"]).unwrap();
    assert_eq!(output.stdout, b"edited again\n");
    assert!(snapshot(&lib) != after, "this test would not notice if Python wrote something");
}

#[test]
fn links_and_odd_files_are_left_alone() {
    let outside = tempfile::tempdir().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let header = |size: u8| [b"\xa7\x0d\r\n\0\0\0\0\x01\0\0\0".as_slice(), &[size, 0, 0, 0]].concat();
    let victim = outside.path().join("victim.py");
    let cache = directory.path().join("__pycache__");
    std::fs::create_dir(&cache).unwrap();
    std::fs::create_dir(outside.path().join("__pycache__")).unwrap();
    std::fs::create_dir(directory.path().join("directory.py")).unwrap();
    for path in [victim.clone(), directory.path().join("short.py"), directory.path().join("py.py")] {
        std::fs::write(path, "1\n").unwrap();
    }
    symlink(&victim, directory.path().join("link.py")).unwrap();
    symlink(outside.path(), directory.path().join("away")).unwrap();
    for name in ["link", "missing", "directory"] {
        std::fs::write(cache.join(format!("{name}.x.pyc")), header(2)).unwrap();
    }
    std::fs::write(outside.path().join("__pycache__/victim.x.pyc"), header(2)).unwrap();
    std::fs::write(cache.join("short.x.pyc"), &header(2)[..15]).unwrap();
    symlink(outside.path().join("__pycache__/victim.x.pyc"), cache.join("py.x.pyc")).unwrap();
    let all = ["link", "missing", "directory", "short", "py", "away/victim"];
    write_manifest(directory.path(), &all.map(|name| (format!("{name}.py"), 1.0)));
    let (installed, mut notes) = unpacked(directory.path(), &build_info(), 2);
    let before = (snapshot(outside.path()), snapshot(installed.path()));
    assert_eq!(keep_bytecode_valid(installed.path(), &build_info(), &mut notes).unwrap(), 0);
    assert!((snapshot(outside.path()), snapshot(installed.path())) == before);
    std::fs::write(cache.join("py.y.pyc"), header(2)).unwrap();
    let (installed, mut notes) = unpacked(directory.path(), &build_info(), 2);
    assert_eq!(keep_bytecode_valid(installed.path(), &build_info(), &mut notes).unwrap(), 1);
}
