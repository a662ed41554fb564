//! The page: its blocks of commands, what they are said to print, and what a file is said to have in it.

use std::path::PathBuf;

/// What a line stands for that may be anything, to its end; alone on a line, any number of lines.
const ANYTHING: &str = "…";

/// A command and what it prints.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// Its line on the page, from 1.
    pub(crate) line: usize,
    /// The command, continued lines joined.
    pub(crate) command: String,
    /// Those lines as they are on the page.
    written: Vec<String>,
    /// What it prints, line by line.
    expected: Vec<String>,
}

/// A fenced block of the page.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    /// Its first line on the page, from 1.
    pub(crate) line: usize,
    /// How many lines it has between the fences.
    length: usize,
    /// What is typed, for a block of commands.
    pub(crate) steps: Vec<Step>,
    /// Whether the commands end with an error: `<!-- fails -->` stands before the block.
    pub(crate) fails: bool,
    /// The file that has this text in it: `<!-- FILE has -->` stands before the block.
    pub(crate) file: Option<String>,
    /// All of it.
    pub(crate) text: String,
}

/// The page.
pub(crate) struct Page {
    path: PathBuf,
    lines: Vec<String>,
    /// What is to be followed, in order.
    pub(crate) blocks: Vec<Block>,
    /// Blocks as they would be with what was printed.
    printed: Vec<(usize, Vec<String>)>,
    wrong: Vec<String>,
}

impl Page {
    pub(crate) fn read(path: PathBuf) -> Self {
        let lines: Vec<String> = std::fs::read_to_string(&path).unwrap().lines().map(str::to_owned).collect();
        let blocks = blocks(&lines);
        assert!(!blocks.is_empty(), "{} has no commands", path.display());
        Self { path, lines, blocks, printed: Vec::new(), wrong: Vec::new() }
    }

    /// Compares what the commands of a block printed; nothing is known of those that were left out.
    pub(crate) fn compare(&mut self, number: usize, printed: &[Option<String>]) {
        let block = &self.blocks[number];
        let mut lines = Vec::new();
        for (step, printed) in block.steps.iter().zip(printed) {
            lines.extend(step.written.iter().cloned());
            let Some(printed) = printed else {
                lines.extend(step.expected.iter().cloned());
                continue;
            };
            let found: Vec<&str> = printed.lines().map(str::trim_end).collect();
            let expected: Vec<&str> = step.expected.iter().map(String::as_str).collect();
            if matches(&expected, &found) {
                lines.extend(step.expected.iter().cloned());
            } else {
                lines.extend(found.iter().map(|line| (*line).to_owned()));
                self.wrong.push(format!("line {}: $ {}\n{printed}", step.line, step.command));
            }
        }
        self.printed.push((number, lines));
    }

    /// Fails if something was printed that the page does not say, after writing it there if that was asked for.
    pub(crate) fn finish(mut self) {
        if std::env::var_os("STRATA_BLESS").is_some() {
            for (number, lines) in self.printed.drain(..).rev() {
                let block = &self.blocks[number];
                self.lines.splice(block.line..block.line + block.length, lines);
            }
            std::fs::write(&self.path, self.lines.join("\n") + "\n").unwrap();
        }
        assert!(self.wrong.is_empty(), "not what {} says:\n{}", self.path.display(), self.wrong.join("\n"));
    }
}

fn blocks(lines: &[String]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < lines.len() {
        let Some(language) = lines[at].strip_prefix("```") else {
            at += 1;
            continue;
        };
        let length = lines[at + 1..].iter().position(|line| line == "```").expect("a block that ends");
        let inside = &lines[at + 1..at + 1 + length];
        let note = lines[..at].last().and_then(|line| line.strip_prefix("<!-- ")?.strip_suffix(" -->"));
        let file = note.and_then(|note| note.strip_suffix(" has")).map(str::to_owned);
        if language == "console" || file.is_some() {
            blocks.push(Block {
                line: at + 1,
                length,
                steps: if file.is_none() { steps(inside, at + 2) } else { Vec::new() },
                fails: note == Some("fails"),
                file,
                text: inside.iter().map(|line| format!("{line}\n")).collect(),
            });
        }
        at += length + 2;
    }
    blocks
}

fn steps(inside: &[String], first: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continued = false;
    for (number, line) in inside.iter().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            let (command, written) = (command.to_owned(), vec![line.clone()]);
            steps.push(Step { line: first + number, command, written, expected: Vec::new() });
        } else {
            let step = steps.last_mut().expect("a block of commands begins with one");
            if continued {
                step.command = format!("{}{}", step.command.trim_end_matches('\\'), line.trim_start());
                step.written.push(line.clone());
            } else {
                step.expected.push(line.clone());
            }
        }
        continued = steps.last().is_some_and(|step| step.command.ends_with('\\'));
    }
    steps
}

/// Whether lines are what was expected, [`ANYTHING`] being anything.
fn matches(expected: &[&str], found: &[&str]) -> bool {
    match (expected.split_first(), found.split_first()) {
        (None, found) => found.is_none(),
        (Some((&ANYTHING, rest)), _) => (0..=found.len()).any(|skipped| matches(rest, &found[skipped..])),
        (Some(_), None) => false,
        (Some((line, rest)), Some((first, others))) => line_matches(line, first) && matches(rest, others),
    }
}

fn line_matches(expected: &str, found: &str) -> bool {
    let mut parts = expected.split(ANYTHING);
    let Some(mut left) = found.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return left.is_empty() };
    for part in middle {
        let Some(at) = left.find(part) else { return false };
        left = &left[at + part.len()..];
    }
    left.ends_with(last)
}

#[test]
fn anything_is_anything_and_nothing_else_is() {
    assert!(matches(&["a … c", "…", "end"], &["a b c", "1", "2", "end"]));
    assert!(matches(&["a …", "…"], &["a b"]));
    assert!(!matches(&["a"], &["a", "b"]));
    assert!(!matches(&["a …"], &["b a"]));
    assert!(!matches(&["… b"], &["a bc"]));
}
