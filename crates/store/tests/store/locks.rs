//! Locks against those of real python3 processes, which is what Spack's are.

use crate::support::{Process, hash, new_store, python, where_nothing_can_be_written};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use strata_store::lock::{ByteRange, Holder, acquire, try_acquire};
use strata_store::{LockError, LockKind, Watcher};

/// Spack's `_poll_lock`: argv is path, kind, length, start. Says what it got, and holds it until it is killed.
const LOCKF: &str = "
import fcntl, os, sys
path, kind, length, start = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
kind = fcntl.LOCK_EX if kind == 'write' else fcntl.LOCK_SH
descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
try:
    fcntl.lockf(descriptor, kind | fcntl.LOCK_NB, length, start, os.SEEK_SET)
except OSError:
    print('busy', flush=True)
else:
    print('held', flush=True)
    sys.stdin.read()
";

/// A python3 process that tried the lock, and whether it got it.
fn python_locks(test: &str, path: &Path, kind: LockKind, length: u64, start: u64) -> Option<(Process, bool)> {
    let mut command = python(test, LOCKF)?;
    command.arg(path).args([kind.to_string(), length.to_string(), start.to_string()]);
    let mut process = Process(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(["held\n", "busy\n"].contains(&line.as_str()), "{line}");
    Some((process, line == "held\n"))
}

#[test]
fn what_python_holds_is_not_to_be_had_and_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    for (theirs, ours, free) in [
        (LockKind::Write, LockKind::Write, false),
        (LockKind::Write, LockKind::Read, false),
        (LockKind::Read, LockKind::Write, false),
        (LockKind::Read, LockKind::Read, true),
    ] {
        let Some((process, held)) = python_locks("locks", &path, theirs, 0, 0) else { return };
        assert!(held);
        let got =
            acquire(&path, ByteRange::WHOLE_FILE, ours, Some(Duration::from_millis(30)), &Watcher::default());
        assert_eq!(got.is_ok(), free, "{theirs} held, {ours} wanted");
        if let Err(error) = got {
            let id = process.0.id() as i32;
            assert!(
                matches!(&error, LockError::Timeout { holder: Some(Holder::Process(p)), .. } if *p == id),
                "{error}"
            );
            assert!(error.to_string().contains(&format!("process {id}")), "{error}");
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        drop(process);
        assert!(
            try_acquire(&path, ByteRange::WHOLE_FILE, ours).unwrap().is_some(),
            "the lock outlives python"
        );
    }
}

#[test]
fn what_we_hold_python_does_not_get() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    for (ours, theirs, free) in [
        (LockKind::Write, LockKind::Write, false),
        (LockKind::Write, LockKind::Read, false),
        (LockKind::Read, LockKind::Write, false),
        (LockKind::Read, LockKind::Read, true),
    ] {
        let guard = acquire(&path, ByteRange::WHOLE_FILE, ours, None, &Watcher::default()).unwrap();
        let Some((_process, held)) = python_locks("locks", &path, theirs, 0, 0) else { return };
        assert_eq!(held, free, "{ours} held, {theirs} wanted");
        drop(guard);
        assert!(python_locks("locks", &path, LockKind::Read, 0, 0).unwrap().1, "the lock outlives its guard");
    }
}

#[test]
fn a_prefix_is_its_byte_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let store = new_store(dir.path());
    let path = store.root().database_directory().join("prefix_lock");
    // All bits set is the last byte that a file can have.
    for (name, neighbour) in [('a', 1), ('7', (1 << 63) - 2), ('m', hash('m').prefix_bits() + 1)] {
        let _guard = store.lock_prefix(&hash(name), LockKind::Write).unwrap();
        let at = hash(name).prefix_bits();
        let Some((_p, held)) = python_locks("locks", &path, LockKind::Read, 1, at) else { return };
        assert!(!held, "{name}");
        assert!(python_locks("locks", &path, LockKind::Write, 1, neighbour).unwrap().1, "{name}");
        assert!(store.try_lock_prefix(&hash(name), LockKind::Read).unwrap().is_none());
        assert!(store.try_lock_prefix(&hash('b'), LockKind::Write).unwrap().is_some());
    }
}

#[test]
fn a_lock_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let guard = acquire(&path, ByteRange::WHOLE_FILE, LockKind::Write, None, &Watcher::default()).unwrap();
    std::thread::scope(|scope| {
        let start = Instant::now();
        let waiting = scope.spawn(|| {
            acquire(
                &path,
                ByteRange::WHOLE_FILE,
                LockKind::Write,
                Some(Duration::from_secs(60)),
                &Watcher::default(),
            )
            .map(drop)
        });
        std::thread::sleep(Duration::from_millis(150));
        assert!(!waiting.is_finished(), "two threads hold one write lock");
        drop(guard);
        waiting.join().unwrap().unwrap();
        assert!(start.elapsed() < Duration::from_secs(30));
    });
}

#[test]
fn our_own_locks_are_known_as_such_and_the_time_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let _guard = acquire(&path, ByteRange::WHOLE_FILE, LockKind::Read, None, &Watcher::default()).unwrap();
    let start = Instant::now();
    let error = acquire(
        &path,
        ByteRange::WHOLE_FILE,
        LockKind::Write,
        Some(Duration::from_millis(200)),
        &Watcher::default(),
    )
    .unwrap_err();
    assert!(matches!(error, LockError::Timeout { holder: Some(Holder::Ourselves), .. }), "{error}");
    assert!((200..5000).contains(&start.elapsed().as_millis()));
}

#[test]
fn a_read_only_lock_file_gives_read_locks_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    std::fs::write(&path, "").unwrap();
    where_nothing_can_be_written(dir.path(), || {
        let error =
            acquire(&path, ByteRange::WHOLE_FILE, LockKind::Write, None, &Watcher::default()).unwrap_err();
        assert!(matches!(&error, LockError::ReadOnly { path: p } if *p == path), "{error}");
        let _guard =
            acquire(&path, ByteRange::WHOLE_FILE, LockKind::Read, None, &Watcher::default()).unwrap();
        if let Some((_p, held)) = python_locks("locks", &path, LockKind::Write, 0, 0) {
            assert!(!held, "the read lock is not one");
        }
        // No lock file at all: nobody can be writing.
        let _nothing = acquire(
            &dir.path().join("none"),
            ByteRange::WHOLE_FILE,
            LockKind::Read,
            None,
            &Watcher::default(),
        )
        .unwrap();
    });
    let error = acquire(
        &dir.path().join("no/such"),
        ByteRange::WHOLE_FILE,
        LockKind::Read,
        None,
        &Watcher::default(),
    )
    .unwrap_err();
    assert!(matches!(error, LockError::Open { .. }), "{error}");
}

#[test]
fn who_waits_is_told_for_whom() {
    let Some(mut python) = python("who_waits_is_told_for_whom", LOCKF) else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lock");
    let mut other = Process(
        python
            .arg(&path)
            .args(["write", "0", "0"])
            .stdout(Stdio::piped())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut said = String::new();
    BufReader::new(other.0.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let watcher = {
        let told = Arc::clone(&told);
        Watcher::new(move |delay| told.lock().unwrap().push(delay.to_string()))
    };
    let timeout = Some(Duration::from_millis(1500));
    acquire(&path, ByteRange::WHOLE_FILE, LockKind::Write, timeout, &watcher).unwrap_err();
    let told = told.lock().unwrap();
    let expected =
        format!("waiting for a write lock on {} (1 s), which process {} holds", path.display(), other.0.id());
    assert_eq!(*told, [expected]);
}
