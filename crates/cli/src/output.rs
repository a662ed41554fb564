//! What goes to standard output: lines of text, or one JSON envelope.

use crate::diagnosis::{self, Diagnosis};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::{self, Write};

/// The version of the envelope's shape.
const SCHEMA: u32 = 1;

/// What a command has to say in the end.
#[must_use = "an outcome decides what is printed and how the process ends"]
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Lines for people.
    pub(crate) text: String,
    /// The same for programs.
    pub(crate) result: Value,
    /// What failed although the command went on.
    pub(crate) failures: Vec<Diagnosis>,
    /// What failed and was said in `text` already.
    pub(crate) misses: Vec<Diagnosis>,
    /// How the process ends.
    pub(crate) exit_code: u8,
    /// Whether all there is to print was printed already.
    told: bool,
}

impl Outcome {
    /// An outcome without failures.
    pub(crate) fn new(text: String, result: &impl Serialize) -> Result<Self, serde_json::Error> {
        Ok(Self {
            text,
            result: serde_json::to_value(result)?,
            failures: Vec::new(),
            misses: Vec::new(),
            exit_code: 0,
            told: false,
        })
    }

    /// Adds to what there is to say to programs.
    pub(crate) fn add(&mut self, name: &str, value: Value) {
        if let Value::Object(result) = &mut self.result {
            result.insert(name.to_owned(), value);
        }
    }

    /// The outcome of a command that has said everything while it ran.
    pub(crate) fn told() -> Self {
        Self { told: true, ..Self::default() }
    }

    /// As [`fail`](Self::fail), where the text says all there is to say of it.
    pub(crate) fn miss(&mut self, misses: Vec<Diagnosis>, nothing_achieved: bool) {
        self.fail(misses, nothing_achieved);
        self.misses = std::mem::take(&mut self.failures);
    }

    /// Adds what failed. If nothing was achieved, the first failure decides how the process ends, as if it had been
    /// the only thing to do; else it is "some of it failed".
    pub(crate) fn fail(&mut self, failures: Vec<Diagnosis>, nothing_achieved: bool) {
        self.exit_code = match failures.first() {
            None => return,
            Some(first) if nothing_achieved => first.exit_code(),
            Some(_) => diagnosis::SOME_FAILED,
        };
        self.failures = failures;
    }
}

/// `; 3 there already; 1 failed`: what there is none of is left out.
pub(crate) fn counts(of: &[(usize, &str)]) -> String {
    of.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("; {count} {what}")).collect()
}

/// `1 package`, `2 packages`.
pub(crate) fn packages(count: usize) -> String {
    format!("{count} package{}", if count == 1 { "" } else { "s" })
}

/// `12 bytes`, `3.4 kB`, `5.6 GB`.
pub(crate) fn bytes(count: u64) -> String {
    let mut size = count as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if size < 999.95 {
            return if unit == "bytes" { format!("{count} {unit}") } else { format!("{size:.1} {unit}") };
        }
        size /= 1000.0;
    }
    format!("{size:.1} TB")
}

/// Writes the result of a command to standard output. A closed pipe is no error: the reader has seen enough.
pub(crate) fn print(json: bool, command: &str, outcome: Result<&Outcome, &Diagnosis>) -> io::Result<()> {
    let text = match (json, outcome) {
        (_, Ok(outcome)) if outcome.told => return Ok(()),
        (true, outcome) => envelope(command, outcome) + "\n",
        (false, Ok(outcome)) => outcome.text.clone(),
        (false, Err(_)) => return Ok(()),
    };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn envelope(command: &str, outcome: Result<&Outcome, &Diagnosis>) -> String {
    let (result, errors) = match outcome {
        Ok(outcome) => {
            let failures = outcome.failures.iter().chain(&outcome.misses);
            (outcome.result.clone(), failures.map(Diagnosis::to_json).collect())
        }
        Err(diagnosis) => (Value::Null, vec![diagnosis.to_json()]),
    };
    json!({
        "schema": SCHEMA, "command": command, "ok": errors.is_empty(), "result": result, "errors": errors,
    })
    .to_string()
}
