//! What may be tried again, how often, and after how long.
//!
//! The rules are here; waiting, and telling that it is waited, is the [`Client`](super::client::Client)'s.

use std::time::{Duration, SystemTime};

use reqwest::StatusCode;
use reqwest::header::HeaderMap;

use super::delay;
use super::exchange::Exchange;
use super::transport::RetryPolicy;
use super::trouble::Trouble;
use crate::Error;

/// How often something is tried at most that will hardly change: nobody listens on a port.
const FEW: u32 = 3;

/// How often something is asked for at most that was just put and is not there yet.
const UNSETTLED: u32 = 5;

/// How an attempt failed, as far as trying again depends on it.
#[derive(Debug)]
pub(super) struct Failure {
    kind: Kind,
    /// How long the registry wants to be left alone.
    asked: Option<Duration>,
    /// What failed and why, for a notice.
    cause: String,
    /// How many requests of anybody the registry had served by then.
    served: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Trying again gives the same.
    Lasting,
    /// May pass: a connection that broke, a registry that is restarted.
    Passing,
    /// Nobody answers, or ever did: passes only if something is just being started.
    Unreached,
    /// Just put, and not there yet, or just allowed, and not any more: registries that are in several places answer
    /// so for some seconds.
    Unsettled,
    /// The registry wants fewer requests.
    Throttled,
}

impl Failure {
    /// Of a request that came to no answer.
    pub(super) fn of_error(exchange: &Exchange, error: &Error) -> Self {
        let kind = match error {
            // Another URL is that of a token server, whose errors come here after trying again was of no use.
            Error::Transport { trouble, url, .. } if *url == exchange.shown() => match trouble {
                Trouble::Lost => Kind::Passing,
                Trouble::Unreached => Kind::Unreached,
                _ => Kind::Lasting,
            },
            _ => Kind::Lasting,
        };
        Self { kind, asked: None, cause: error.to_string(), served: 0 }
    }

    /// Of a transfer that broke off.
    pub(super) fn broken(cause: impl Into<String>) -> Self {
        Self { kind: Kind::Passing, asked: None, cause: cause.into(), served: 0 }
    }

    /// Of a request whose answer is a refusal. `unsettled` says that it refuses what was just put, or just allowed.
    pub(super) fn of_answer(
        exchange: &Exchange,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        unsettled: bool,
    ) -> Self {
        let kind = match status.as_u16() {
            429 => Kind::Throttled,
            403 if wants_fewer(body) => Kind::Throttled,
            // The last are those of Cloudflare, which stands before many registries: the registry did not answer it.
            408 | 425 | 500 | 502..=504 | 520..=524 => Kind::Passing,
            _ if unsettled => Kind::Unsettled,
            _ => Kind::Lasting,
        };
        let asked = delay::asked(status, headers, body, SystemTime::now());
        let cause = format!("{} {}: {}", exchange.verb(), exchange.shown(), crate::Status(status));
        Self { kind, asked, cause, served: 0 }
    }

    /// With the number of requests that the registry has served. One that wants fewer requests and serves some of them
    /// is at work: a request that it refuses meanwhile has only to wait for its turn. And one that served some and is
    /// not there any more may be about to start again.
    pub(super) fn while_serving(mut self, served: u64) -> Self {
        self.served = served;
        if self.kind == Kind::Unreached && served > 0 {
            self.kind = Kind::Passing;
        }
        self
    }

    /// Whether the registry is not there, or not able to answer.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self.kind, Kind::Passing | Kind::Unreached)
    }

    /// What failed and why.
    pub(super) fn cause(&self) -> &str {
        &self.cause
    }

    /// Whether the registry wants fewer requests, or none at all for a time.
    pub(super) fn concerns_everybody(&self) -> bool {
        self.kind == Kind::Throttled || (self.kind == Kind::Passing && self.asked.is_some())
    }
}

/// Whether a refusal means the rate of requests, and not a missing right.
pub(super) fn wants_fewer(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    ["rate limit", "ratelimit", "toomanyrequests", "too many requests", "abuse"]
        .iter()
        .any(|words| text.contains(words))
}

/// Counts the attempts at something, and says how long to wait before the next one.
#[derive(Debug)]
pub(super) struct Backoff {
    policy: RetryPolicy,
    /// Attempts that failed since there was progress.
    failed: u32,
    /// Those of them that count.
    counted: u32,
    /// How many requests the registry had served when it last wanted fewer.
    served: u64,
    /// For how long it was waited because it wants fewer.
    throttled: Duration,
    /// Whether the registry asked for more time than there is.
    too_long: Option<Duration>,
}

impl Backoff {
    pub(super) fn new(policy: &RetryPolicy) -> Self {
        Self { policy: *policy, failed: 0, counted: 0, served: 0, throttled: Duration::ZERO, too_long: None }
    }

    /// How long to wait before the next attempt after one that failed; `None` if there should be none.
    pub(super) fn after(&mut self, failure: &Failure) -> Option<Duration> {
        self.failed += 1;
        let others_go_on = failure.kind == Kind::Throttled && failure.served > self.served && self.failed > 1;
        self.served = failure.served;
        if !others_go_on || self.throttled > self.policy.patience {
            self.counted += 1;
        }
        let most = match failure.kind {
            Kind::Lasting => 1,
            Kind::Passing | Kind::Throttled => self.policy.attempts,
            Kind::Unreached => self.policy.attempts.min(FEW),
            Kind::Unsettled => self.policy.attempts.min(UNSETTLED),
        };
        if self.counted >= most {
            return None;
        }
        let asked = failure.asked.unwrap_or_default();
        if asked > self.policy.patience {
            self.too_long = Some(asked);
            return None;
        }
        let delay = self.own_delay().max(asked);
        if failure.kind == Kind::Throttled {
            self.throttled += delay;
        }
        Some(delay)
    }

    /// Whether there was an attempt that failed, since there was progress.
    pub(super) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// Something moved: what was counted is forgotten.
    pub(super) fn progressed(&mut self) {
        self.failed = 0;
        self.counted = 0;
        self.throttled = Duration::ZERO;
    }

    /// A final error, which says how often it was tried.
    pub(super) fn noting(&self, error: Error) -> Error {
        match self.note() {
            Some(note) => error.noting(&note),
            None => error,
        }
    }

    /// What a final error should say beside its cause.
    pub(super) fn note(&self) -> Option<String> {
        let times = format!("tried {} times", self.failed);
        match self.too_long {
            Some(asked) => Some(format!(
                "the registry wants to be left alone for {} s, longer than the {} s that are waited for it{}",
                asked.as_secs_f64().ceil(),
                self.policy.patience.as_secs(),
                if self.failed > 1 { format!("; {times}") } else { String::new() }
            )),
            None if self.failed > 1 => Some(times),
            None => None,
        }
    }

    /// Twice as long each time, and made random so that those who failed together do not come back together.
    fn own_delay(&self) -> Duration {
        let doubled = self.policy.first_delay.saturating_mul(1 << (self.failed - 1).min(20));
        doubled.min(self.policy.longest_delay).mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;
    use reqwest::header::RETRY_AFTER;
    use url::Url;

    use super::*;

    fn exchange() -> Exchange {
        Exchange::new(Method::GET, Url::parse("https://h/v2/n/manifests/t?x=y").unwrap())
    }

    fn answer(status: u16, body: &str, unsettled: bool) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        Failure::of_answer(&exchange(), status, &HeaderMap::new(), body.as_bytes(), unsettled)
    }

    fn asking(seconds: u64) -> Failure {
        let headers = HeaderMap::from_iter([(RETRY_AFTER, seconds.into())]);
        Failure::of_answer(&exchange(), StatusCode::TOO_MANY_REQUESTS, &headers, b"", false)
    }

    /// How often something that always fails in the same way is tried.
    fn tries(failure: &Failure) -> u32 {
        let mut backoff = Backoff::new(&RetryPolicy::default());
        let mut tries = 1;
        while backoff.after(failure).is_some() {
            tries += 1;
        }
        tries
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for (status, expected) in [
            (400, 1),
            (401, 1),
            (403, 1),
            (404, 1),
            (405, 1),
            (408, 6),
            (413, 1),
            (416, 1),
            (425, 6),
            (429, 6),
            (500, 6),
            (501, 1),
            (502, 6),
            (503, 6),
            (504, 6),
            (507, 1),
        ] {
            assert_eq!(tries(&answer(status, "no", false)), expected, "{status}");
        }
        assert_eq!(tries(&answer(403, "You have exceeded a secondary rate limit", false)), 6);
        assert_eq!(tries(&answer(404, "", true)), 5);
        for (trouble, expected) in [
            (Trouble::Lost, 6),
            (Trouble::Unreached, 3),
            (Trouble::UnknownHost, 1),
            (Trouble::Tls, 1),
            (Trouble::NoTls, 1),
            (Trouble::Redirect, 1),
        ] {
            let error = |url: &str| Error::Transport {
                method: "GET",
                url: url.to_string(),
                trouble,
                cause: "broken".to_string(),
            };
            assert_eq!(tries(&Failure::of_error(&exchange(), &error(&exchange().shown()))), expected);
            assert_eq!(tries(&Failure::of_error(&exchange(), &error("https://h/token"))), 1);
        }
    }

    #[test]
    fn delays_double_and_are_random_between_half_and_all() {
        let policy = RetryPolicy {
            attempts: 8,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_millis(1000),
            patience: Duration::from_secs(10),
        };
        for _ in 0..50 {
            let mut backoff = Backoff::new(&policy);
            for full in [100, 200, 400, 800, 1000, 1000, 1000] {
                let delay = backoff.after(&Failure::broken("x")).unwrap();
                let full = Duration::from_millis(full);
                assert!(delay >= full / 2 && delay <= full, "{delay:?} of {full:?}");
            }
            assert_eq!(backoff.after(&Failure::broken("x")), None);
            assert_eq!(backoff.note().unwrap(), "tried 8 times");
        }
        let distinct: std::collections::HashSet<_> =
            (0..20).map(|_| Backoff::new(&policy).after(&Failure::broken("x"))).collect();
        assert!(distinct.len() > 1);
    }

    #[test]
    fn what_the_registry_asks_for_is_waited_and_no_longer_than_there_is_patience() {
        let mut backoff = Backoff::new(&RetryPolicy::default());
        assert_eq!(backoff.after(&asking(7)), Some(Duration::from_secs(7)));
        assert_eq!(backoff.after(&asking(3600)), None);
        let note = backoff.note().unwrap();
        assert!(
            note.contains("3600 s") && note.contains("300 s") && note.contains("tried 2 times"),
            "{note}"
        );
        assert!(
            Backoff::new(&RetryPolicy::default()).after(&asking(0)).unwrap() >= Duration::from_millis(125)
        );
    }

    #[test]
    fn a_request_waits_for_its_turn_while_others_are_served() {
        let policy = RetryPolicy {
            attempts: 2,
            longest_delay: Duration::from_secs(1),
            patience: Duration::from_secs(100),
            ..RetryPolicy::default()
        };
        let mut backoff = Backoff::new(&policy);
        let waits =
            (1..).take_while(|served| backoff.after(&asking(1).while_serving(*served)).is_some()).count();
        assert_eq!(waits, 101, "as long as there is patience");
        let mut backoff = Backoff::new(&policy);
        assert!(backoff.after(&asking(1).while_serving(5)).is_some());
        assert!(backoff.after(&asking(1).while_serving(6)).is_some());
        assert!(backoff.after(&asking(1).while_serving(6)).is_none(), "nobody is served any more");
        assert_eq!(backoff.note().unwrap(), "tried 3 times");
    }

    #[test]
    fn whoever_waits_for_its_turn_asks_less_and_less_often() {
        let policy = RetryPolicy::default();
        let mut backoff = Backoff::new(&policy);
        let refusal = |served| answer(429, "", false).while_serving(served);
        let delays: Vec<Duration> = (1..).map_while(|served| backoff.after(&refusal(served))).collect();
        assert!(delays.len() < 60, "{} attempts", delays.len());
        assert!(delays[10..].iter().all(|delay| *delay >= policy.longest_delay / 2), "{delays:?}");
    }

    #[test]
    fn progress_makes_it_the_first_attempt_again() {
        let mut backoff = Backoff::new(&RetryPolicy { attempts: 2, ..RetryPolicy::default() });
        for _ in 0..10 {
            assert!(backoff.after(&Failure::broken("x")).is_some());
            backoff.progressed();
        }
        assert!(backoff.after(&Failure::broken("x")).is_some());
        assert!(backoff.after(&Failure::broken("x")).is_none());
    }
}
