//! Asking a Spack: it is run once for all images, and computes their environments itself, recipes included.
//!
//! What comes back is believed only for packages that this Spack has installed at the very prefixes that we know.

use super::modification::Modification;
use super::variables::Environment;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use strata_spec::DagHash;

/// What is run in Spack's interpreter.
const SCRIPT: &str = include_str!("ask.py");
/// What the line of an answer begins with: Spack and its recipes may print, too.
const MARK: &str = "== environment == ";
/// How long Spack may be silent.
const SILENCE: Duration = Duration::from_secs(120);
/// How long it may take for each image, beside what it may be silent. Large closures take some seconds.
const EACH: Duration = Duration::from_secs(10);
/// How much of an answer is taken in.
const LONGEST: u64 = 1 << 30;
/// How much of a complaint is kept, from its end.
const COMPLAINT: usize = 64 << 10;

/// One image to ask about.
#[derive(Debug, Serialize)]
pub(super) struct Question<'a> {
    /// Hash and prefix of each root, in order.
    pub(super) roots: Vec<(&'a DagHash, &'a str)>,
    /// The variables to start from.
    pub(super) env: Vec<(&'a str, &'a str)>,
}

/// Roots to ask about, whatever there is to start from.
#[derive(Debug, Serialize)]
pub(super) struct ChangesQuestion<'a> {
    /// Hash and prefix of each root, in order.
    pub(super) roots: Vec<(&'a DagHash, &'a str)>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{} cannot be run: {source}", spack.display())]
    NotRun { spack: PathBuf, source: std::io::Error },
    #[error("{} gave no answer for {} seconds", spack.display(), patience.as_secs())]
    TooSlow { spack: PathBuf, patience: Duration },
    #[error("{} failed{}", spack.display(), complaint(stderr))]
    Failed { spack: PathBuf, stderr: String },
    #[error("{} gave an answer that makes no sense: {reason}", spack.display())]
    Nonsense { spack: PathBuf, reason: String },
}

#[derive(Deserialize)]
struct Answer {
    env: Option<Vec<(String, String)>>,
    changes: Option<Vec<Modification>>,
    error: Option<String>,
}

/// The environments of `questions`, in order, or for each why there is none.
pub(super) fn ask(
    spack: &Path,
    questions: &[Question<'_>],
) -> Result<Vec<Result<Environment, String>>, AskError> {
    let results = answered(spack, questions)?.into_iter().map(|answer| match answer {
        Answer { env: Some(pairs), .. } => {
            Ok(Environment::of_pairs(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))))
        }
        Answer { error, .. } => Err(error.unwrap_or_else(|| "no reason was given".to_owned())),
    });
    Ok(results.collect())
}

/// The changes that are made for `questions`, in order, or for each why that is not known.
pub(super) fn ask_changes(
    spack: &Path,
    questions: &[ChangesQuestion<'_>],
) -> Result<Vec<Result<Vec<Modification>, String>>, AskError> {
    let results = answered(spack, questions)?.into_iter().map(|answer| match answer {
        Answer { changes: Some(changes), .. } => Ok(changes),
        Answer { error, .. } => Err(error.unwrap_or_else(|| "no reason was given".to_owned())),
    });
    Ok(results.collect())
}

/// The answers to `questions`, in order.
fn answered(spack: &Path, questions: &[impl Serialize]) -> Result<Vec<Answer>, AskError> {
    let nonsense = |reason: String| AskError::Nonsense { spack: spack.to_owned(), reason };
    let input = serde_json::to_vec(questions).map_err(|e| nonsense(e.to_string()))?;
    // Spack's interpreter takes one statement. The text of a JSON string is that of a Python string.
    let statement = format!("exec({})", serde_json::Value::from(SCRIPT));
    let patience = Patience {
        silence: SILENCE,
        whole: SILENCE + EACH * u32::try_from(questions.len()).unwrap_or(u32::MAX / 10),
    };
    let lines = run(spack, &["python", "-c", &statement], input, questions.len(), patience)?;
    let parsed = lines.iter().map(|line| serde_json::from_str(line).map_err(|e| nonsense(e.to_string())));
    let answers: Vec<Answer> = parsed.collect::<Result<_, _>>()?;
    if answers.len() != questions.len() {
        return Err(nonsense(format!("{} answers to {} questions", answers.len(), questions.len())));
    }
    Ok(answers)
}

/// How long a program may take.
#[derive(Clone, Copy)]
struct Patience {
    /// Until it says something, or says something again.
    silence: Duration,
    /// In all.
    whole: Duration,
}

/// Runs a program with `input` and gives the first `wanted` answers that it prints. It does not outlive `patience`.
fn run(
    spack: &Path,
    arguments: &[&str],
    input: Vec<u8>,
    wanted: usize,
    patience: Patience,
) -> Result<Vec<String>, AskError> {
    let not_run = |source| AskError::NotRun { spack: spack.to_owned(), source };
    let mut command = Command::new(spack);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let start = Instant::now();
    let mut child = command.spawn().map_err(not_run)?;
    // Pipes are served by threads that end with the pipes.
    if let Some(mut stdin) = child.stdin.take() {
        std::thread::spawn(move || drop(stdin.write_all(&input)));
    }
    let output = answers(child.stdout.take());
    let errors = complaints(child.stderr.take());
    let too_slow = |patience| AskError::TooSlow { spack: spack.to_owned(), patience };
    let mut lines = Vec::new();
    // What keeps the pipe open when all is said is not waited for.
    while lines.len() < wanted {
        let left = patience.whole.saturating_sub(start.elapsed());
        match output.recv_timeout(left.min(patience.silence)) {
            Ok(line) => lines.push(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {
                end(&mut child);
                return Err(too_slow(left.min(patience.silence)));
            }
        }
    }
    // Whoever has closed its output, or said all, is about to end; if not, its group is ended.
    const LAST: Duration = Duration::from_secs(10);
    match wait(&mut child, LAST) {
        Some(true) => Ok(lines),
        Some(false) => {
            let stderr = errors.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
            Err(AskError::Failed { spack: spack.to_owned(), stderr })
        }
        None => {
            end(&mut child);
            Err(too_slow(LAST))
        }
    }
}

/// Reads answers from a pipe to its end, in a thread of its own.
fn answers(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let Some(pipe) = pipe else { return };
        let mut pipe = BufReader::new(pipe.take(LONGEST));
        let mut line = Vec::new();
        // What was read until a pipe broke is what there is.
        while pipe.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            let answer = line.strip_prefix(MARK.as_bytes()).map(String::from_utf8_lossy);
            if answer.is_some_and(|answer| sender.send(answer.into_owned()).is_err()) {
                return;
            }
            line.clear();
        }
    });
    receiver
}

/// Reads a pipe to its end, in a thread of its own, and gives what it ends with.
fn complaints(pipe: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let Some(mut pipe) = pipe else { return };
        let (mut kept, mut read) = (Vec::new(), vec![0; COMPLAINT]);
        while let Ok(count @ 1..) = pipe.read(&mut read) {
            kept.extend_from_slice(&read[..count]);
            kept.drain(..kept.len().saturating_sub(COMPLAINT));
        }
        let _ = sender.send(String::from_utf8_lossy(&kept).into_owned());
    });
    receiver
}

/// Whether the child succeeded, once it has ended.
fn wait(child: &mut Child, patience: Duration) -> Option<bool> {
    const STEP: Duration = Duration::from_millis(10);
    for _ in 0..patience.as_millis() / STEP.as_millis() {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status.success()),
            Ok(None) => std::thread::sleep(STEP),
            Err(_) => return None,
        }
    }
    None
}

/// Ends the child and what it started, which is in its process group.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The last lines of what was said on standard error.
fn complaint(stderr: &str) -> String {
    const SHOWN: usize = 3;
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines[lines.len().saturating_sub(SHOWN)..].join("; ");
    if text.is_empty() { text } else { format!(": {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program that takes the place of Spack.
    fn program(directory: &Path, script: &str) -> PathBuf {
        let path = directory.join("spack");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    #[test]
    fn an_answer_is_read_whatever_was_printed_before_it() {
        let directory = tempfile::tempdir().unwrap();
        let spack = program(
            directory.path(),
            r#"cat >/dev/null; echo noise; echo '== environment == {"env": [["PATH", "/bin"], ["A", "=b"]]}'
            echo more noise; echo '== environment == {"error": "no such package"}'; printf 'and more'"#,
        );
        let questions: Vec<Question<'_>> = (0..3).map(|_| Question { roots: vec![], env: vec![] }).collect();
        let answers = ask(&spack, &questions[..2]).unwrap();
        assert_eq!(answers[0].as_ref().unwrap().to_entries(), ["PATH=/bin", "A==b"]);
        assert_eq!(answers[1].as_ref().unwrap_err(), "no such package");
        assert!(matches!(ask(&spack, &questions), Err(AskError::Nonsense { .. })));
    }

    #[test]
    fn each_way_to_fail_is_told_with_the_program() {
        let directory = tempfile::tempdir().unwrap();
        let missing = directory.path().join("nothing");
        let error = ask(&missing, &[]).unwrap_err().to_string();
        assert!(error.contains("nothing cannot be run"), "{error}");
        for (script, expected) in [
            ("echo oops >&2; exit 3", "failed: oops"),
            ("echo hello", "makes no sense"),
            ("echo '== environment == {'", "makes no sense"),
            // As much as it likes, and then the reason.
            ("yes x | head -c 3000000 >&2; echo reason >&2; exit 1", "failed: x; x; reason"),
        ] {
            let error = ask(&program(directory.path(), script), &[Question { roots: vec![], env: vec![] }])
                .unwrap_err()
                .to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_what_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let note = directory.path().join("pid");
        let spack = program(directory.path(), &format!("sleep 600 & echo $! > {}; wait", note.display()));
        let start = Instant::now();
        let patience = Patience { silence: Duration::from_millis(500), whole: Duration::from_secs(60) };
        let error = run(&spack, &[], Vec::new(), 8, patience).unwrap_err();
        assert!(matches!(error, AskError::TooSlow { .. }), "{error}");
        assert!(start.elapsed() < Duration::from_secs(20));
        let pid = std::fs::read_to_string(&note).unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
        let deadline = Instant::now() + Duration::from_secs(10);
        while stat().is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "the process that was started still runs");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn it_may_take_long_if_it_is_heard_of_but_not_forever() {
        let directory = tempfile::tempdir().unwrap();
        let talking = "n=0; while [ $n -lt 8 ]; do echo '== environment == {}'; sleep 0.25; n=$((n+1)); done";
        let spack = program(directory.path(), talking);
        let patience = Patience { silence: Duration::from_millis(1500), whole: Duration::from_secs(60) };
        assert_eq!(run(&spack, &[], Vec::new(), 8, patience).unwrap().len(), 8);
        let forever =
            program(directory.path(), "while true; do echo '== environment == {}'; sleep 0.05; done");
        let patience = Patience { whole: Duration::from_secs(2), ..patience };
        let error = run(&forever, &[], Vec::new(), usize::MAX, patience).unwrap_err();
        assert!(matches!(error, AskError::TooSlow { .. }), "{error}");
    }
}
