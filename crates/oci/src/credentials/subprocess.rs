//! Running a program that may hang: with a time limit, after which it and all that it started are ended.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use zeroize::Zeroizing;

/// The most bytes of either output that are read.
const OUTPUT_LIMIT: u64 = 1 << 20;

/// How long to wait before looking again whether a program that closed its outputs has ended.
const EXIT_POLL: Duration = Duration::from_millis(2);

/// A program that came to its end.
pub(super) struct Finished {
    pub(super) status: ExitStatus,
    pub(super) stdout: Zeroizing<Vec<u8>>,
    pub(super) stderr: Zeroizing<Vec<u8>>,
}

enum Stream {
    Stdout,
    Stderr,
}

/// Runs a program in a process group of its own, with `input` on its standard input.
///
/// # Errors
/// That it cannot be run; [`io::ErrorKind::TimedOut`] if it was ended because it took longer than `limit`.
pub(super) fn run(command: &mut Command, input: Zeroizing<Vec<u8>>, limit: Duration) -> io::Result<Finished> {
    let deadline = Instant::now() + limit;
    let command =
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let finished = exchange(&mut child, input).and_then(|outputs| finish(&mut child, &outputs, deadline));
    if finished.is_err() {
        // It was not waited for yet, so that its number is still its own. What it started may have outlived it.
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = child.wait();
    }
    finished
}

/// Feeds the program and reads its outputs, on threads: it may read and write in any order.
fn exchange(
    child: &mut Child,
    input: Zeroizing<Vec<u8>>,
) -> io::Result<Receiver<(Stream, Zeroizing<Vec<u8>>)>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(mut stdin) = child.stdin.take() {
        // A program need not read what it does not want.
        thread::Builder::new().spawn(move || stdin.write_all(&input))?;
    }
    let stdout = child.stdout.take().map(|pipe| (Stream::Stdout, Box::new(pipe) as Box<dyn Read + Send>));
    let stderr = child.stderr.take().map(|pipe| (Stream::Stderr, Box::new(pipe) as Box<dyn Read + Send>));
    for (stream, pipe) in stdout.into_iter().chain(stderr) {
        let sender = sender.clone();
        thread::Builder::new().spawn(move || {
            let mut bytes = Zeroizing::new(Vec::new());
            // What was read before a failure is what there is.
            let _ = pipe.take(OUTPUT_LIMIT).read_to_end(&mut bytes);
            let _ = sender.send((stream, bytes));
        })?;
    }
    Ok(receiver)
}

/// Waits for both outputs and the end.
fn finish(
    child: &mut Child,
    outputs: &Receiver<(Stream, Zeroizing<Vec<u8>>)>,
    deadline: Instant,
) -> io::Result<Finished> {
    let timed_out = || io::Error::from(io::ErrorKind::TimedOut);
    let (mut stdout, mut stderr) = (Zeroizing::default(), Zeroizing::default());
    loop {
        match outputs.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok((Stream::Stdout, bytes)) => stdout = bytes,
            Ok((Stream::Stderr, bytes)) => stderr = bytes,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => return Err(timed_out()),
        }
    }
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Finished { status, stdout, stderr });
        }
        if Instant::now() >= deadline {
            return Err(timed_out());
        }
        thread::sleep(EXIT_POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, input: &[u8], limit: Duration) -> io::Result<Finished> {
        run(Command::new("sh").args(["-c", script]), Zeroizing::new(input.to_vec()), limit)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn input_outputs_and_status_are_passed_on() {
        let finished = sh("cat; echo words >&2; exit 3", b"input", LONG).unwrap();
        assert_eq!(finished.status.code(), Some(3));
        assert_eq!(
            (finished.stdout.as_slice(), finished.stderr.as_slice()),
            (&b"input"[..], &b"words\n"[..])
        );
    }

    #[test]
    fn more_than_a_pipe_holds_stops_nobody() {
        let large = vec![b'x'; 500_000];
        assert_eq!(sh("cat", &large, LONG).unwrap().stdout.len(), large.len());
        assert!(sh("exit 0", &large, LONG).unwrap().status.success(), "nobody has to read");
    }

    #[test]
    fn what_takes_too_long_is_ended_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let pid_file = directory.path().join("pid");
        let script = format!("sleep 600 & echo $! > {}; wait", pid_file.display());
        let error = sh(&script, b"", Duration::from_millis(500)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let pid: i32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        // It is gone, or dead and not yet collected by the init process.
        let deadline = Instant::now() + LONG;
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while !state().is_empty() && !state().contains(") Z") {
            assert!(Instant::now() < deadline, "still there");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn silence_alone_does_not_outlast_the_limit() {
        let error = sh("exec >&- 2>&-; sleep 600", b"", Duration::from_millis(100)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
