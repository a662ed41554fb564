//! The usual rules: a fault for certain requests, for the first few of them, or at random.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::{Answer, Entry, Fault};

/// A fault for each request of this method with this text in its path or query.
pub fn on(
    method: &'static str,
    part: impl Into<String>,
    fault: impl Fn(&Entry) -> Fault + Send + Sync,
) -> impl Fn(&Entry) -> Option<Fault> + Send + Sync {
    let part = part.into();
    move |entry| entry.is(method, &part).then(|| fault(entry))
}

/// A fault for each request for which it is `wanted`.
pub fn when(
    wanted: impl Fn(&Entry) -> bool + Send + Sync,
    fault: impl Fn(&Entry) -> Fault + Send + Sync,
) -> impl Fn(&Entry) -> Option<Fault> + Send + Sync {
    move |entry| wanted(entry).then(|| fault(entry))
}

/// `rule`, until it has given `times` faults.
pub fn first(
    times: usize,
    rule: impl Fn(&Entry) -> Option<Fault> + Send + Sync,
) -> impl Fn(&Entry) -> Option<Fault> + Send + Sync {
    let given = AtomicUsize::new(0);
    move |entry| {
        if given.load(Ordering::SeqCst) >= times {
            return None;
        }
        let fault = rule(entry)?;
        (given.fetch_add(1, Ordering::SeqCst) < times).then_some(fault)
    }
}

/// `rule`, once.
pub fn once(
    rule: impl Fn(&Entry) -> Option<Fault> + Send + Sync,
) -> impl Fn(&Entry) -> Option<Fault> + Send + Sync {
    first(1, rule)
}

/// Faults at random, the same ones for the same seed and order of requests.
#[derive(Debug, Clone)]
pub struct Random {
    /// What the faults depend on.
    pub seed: u64,
    /// After how many bytes of a body, one way or the other, each connection breaks.
    pub breaks_after: Range<u64>,
    /// What is answered now and then in the place of the server, and before a request's body is received.
    pub answers: Vec<Answer>,
    /// How often that is: one request in as many.
    pub one_in: u32,
}

impl Random {
    /// As a rule.
    pub fn rule(self) -> impl Fn(&Entry) -> Option<Fault> + Send + Sync {
        let random = Mutex::new(fastrand::Rng::with_seed(self.seed));
        move |entry| {
            let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.answers.is_empty() && random.u32(0..self.one_in) == 0 {
                return Some(Fault::AnswerEarly(self.answers[random.usize(0..self.answers.len())].clone()));
            }
            let limit = random.u64(self.breaks_after.clone());
            Some(match entry.method.as_str() {
                "PUT" | "PATCH" | "POST" => Fault::BreakRequestAfter(limit),
                _ => Fault::BreakAnswerAfter(limit),
            })
        }
    }
}
