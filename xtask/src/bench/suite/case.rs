//! What a benchmark is: contestants that do the same job, and what is compared of them.

use super::super::Outcome;
use super::super::timed::Sample;
use super::surroundings::Surroundings;
use std::collections::BTreeMap;

/// A benchmark by name.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Makes everything that is needed beside what is measured.
    pub(super) prepare: for<'s> fn(&'s Surroundings) -> Outcome<Contest<'s>>,
}

/// Contestants, in rounds, and what is said of them.
pub(super) struct Contest<'s> {
    pub(super) contestants: Vec<Contestant<'s>>,
    pub(super) rows: Vec<Row>,
    /// Whether it is counts that are compared: once is enough then.
    pub(super) once: bool,
}

/// Somebody who does the job.
pub(super) struct Contestant<'s> {
    pub(super) name: &'static str,
    /// Does it once, as the n-th time. What it says is what was measured.
    pub(super) run: Box<dyn FnMut(usize) -> Outcome<Reading> + 's>,
}

impl<'s> Contestant<'s> {
    pub(super) fn new(name: &'static str, run: impl FnMut(usize) -> Outcome<Reading> + 's) -> Self {
        Self { name, run: Box::new(run) }
    }
}

/// A row of the table.
pub(super) struct Row {
    /// The job, for the reader.
    pub(super) what: String,
    /// Which of the contestants is ours; most often [`STRATA`].
    pub(super) ours: &'static str,
    /// Whom it is compared with, if with anybody.
    pub(super) against: Option<&'static str>,
    pub(super) quantity: Quantity,
    pub(super) aim: Aim,
}

/// What most rows call our contestant, and the others.
pub(super) const STRATA: &str = "strata";
pub(super) const SPACK: &str = "Spack";
pub(super) const FLOOR: &str = "floor";

impl Row {
    /// A row about the time by the clock.
    pub(super) fn clock(what: &str, against: &'static str, aim: Aim) -> Self {
        Self { what: what.to_owned(), ours: STRATA, against: Some(against), quantity: Quantity::Seconds, aim }
    }

    /// A row about strata alone.
    pub(super) fn alone(what: &str, quantity: Quantity, aim: Aim) -> Self {
        Self { what: what.to_owned(), ours: STRATA, against: None, quantity, aim }
    }

    pub(super) fn of(self, ours: &'static str) -> Self {
        Self { ours, ..self }
    }

    pub(super) fn by(self, quantity: Quantity) -> Self {
        Self { quantity, ..self }
    }
}

/// Something that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quantity {
    /// By the clock.
    Seconds,
    /// Processor time of all threads, in milliseconds.
    ProcessorMs,
    /// The most memory that one process had.
    PeakMib,
    /// Compressed bytes.
    Bytes,
    /// System calls per file.
    CallsPerFile,
    /// Files that were opened below prefixes.
    Opened,
    /// Python modules that had to be compiled.
    Compiled,
}

impl Quantity {
    /// As it is called in the table, unit included.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::ProcessorMs => "ms of CPU",
            Self::PeakMib => "MiB at most",
            Self::Bytes => "bytes",
            Self::CallsPerFile => "calls/file",
            Self::Opened => "files opened",
            Self::Compiled => "modules compiled",
        }
    }
}

/// What a row is to show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aim {
    /// The other needs at least so many times as much.
    Times(f64),
    /// Ours needs at most so many times as much.
    Within(f64),
    /// Ours needs at most this, whatever others do.
    AtMost(f64),
    /// Nothing: it is good to know. With the other one as 1, as in [`Within`](Self::Within).
    Known,
}

/// What was measured of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub(super) values: BTreeMap<Quantity, f64>,
    /// Whether it was ended before it was done.
    pub(super) cut: bool,
}

impl Reading {
    pub(super) fn with(mut self, quantity: Quantity, value: f64) -> Self {
        self.values.insert(quantity, value);
        self
    }
}

impl From<Sample> for Reading {
    fn from(sample: Sample) -> Self {
        Self { cut: sample.cut, ..Self::default() }
            .with(Quantity::Seconds, sample.seconds)
            .with(Quantity::ProcessorMs, sample.cpu_seconds * 1000.0)
            .with(Quantity::PeakMib, sample.peak_kib as f64 / 1024.0)
    }
}
