//! How many requests a registry gets at the same time: fewer when it says that it is too much, and none while it wants
//! to be left alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The most requests in flight. Enough to hide the latency of small blobs, and no registry minds it.
const MOST: usize = 32;

/// The pace of requests to one registry.
pub(super) struct Pace {
    host: String,
    state: Mutex<State>,
    /// Told whenever there may be room for one more.
    room: Notify,
}

/// The right to have a request in flight, until dropped.
pub(super) struct Permit {
    pace: Arc<Pace>,
    since: Instant,
}

impl Pace {
    pub(super) fn new(host: String) -> Self {
        Self { host, state: Mutex::new(State::new()), room: Notify::new() }
    }

    /// The registry, for messages.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// Waits until another request may be sent.
    pub(super) async fn permit(self: &Arc<Self>) -> Permit {
        // Whoever was told of room tells the next one, whether it took the room or gave up waiting: there may be more.
        let _next = TellNext(&self.room);
        loop {
            let told = self.room.notified();
            let since = Instant::now();
            let admission = self.state().admit(since);
            match admission {
                Admission::Go => return Permit { pace: Arc::clone(self), since },
                Admission::Held(until) => tokio::time::sleep_until(until).await,
                Admission::Full => told.await,
            }
        }
    }

    /// Sends nothing for `delay`. True if that is news: others who were refused in the same moment know it already.
    pub(super) fn hold(&self, delay: Duration) -> bool {
        self.state().hold(Instant::now(), delay)
    }

    /// How many requests were answered.
    pub(super) fn served(&self) -> u64 {
        self.state().served
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The request was answered.
    pub(super) fn succeeded(&self) {
        self.pace.state().succeeded();
    }

    /// The registry wants fewer requests.
    pub(super) fn refused(&self) {
        self.pace.state().refused(self.since, Instant::now());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.pace.state().in_flight -= 1;
        self.pace.room.notify_one();
    }
}

struct TellNext<'a>(&'a Notify);

impl Drop for TellNext<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// The rules, without the waiting.
struct State {
    limit: usize,
    in_flight: usize,
    /// Answers since the limit was last changed.
    successes: usize,
    /// Answers in all.
    served: u64,
    halved: Option<Instant>,
    held_until: Option<Instant>,
}

#[derive(Debug, PartialEq, Eq)]
enum Admission {
    Go,
    Held(Instant),
    Full,
}

impl State {
    fn new() -> Self {
        Self { limit: MOST, in_flight: 0, successes: 0, served: 0, halved: None, held_until: None }
    }

    fn admit(&mut self, now: Instant) -> Admission {
        if let Some(until) = self.held_until {
            if now < until {
                return Admission::Held(until);
            }
            self.held_until = None;
        }
        if self.in_flight >= self.limit {
            return Admission::Full;
        }
        self.in_flight += 1;
        Admission::Go
    }

    /// One more at a time, once as many as may be in flight were answered.
    fn succeeded(&mut self) {
        self.served += 1;
        self.successes += 1;
        if self.successes >= self.limit {
            self.successes = 0;
            self.limit = (self.limit + 1).min(MOST);
        }
    }

    /// Half as many. Of requests that were sent together many are refused together: what was sent before the last
    /// halving tells nothing about the pace since.
    fn refused(&mut self, sent: Instant, now: Instant) {
        self.successes = 0;
        if self.halved.is_none_or(|halved| sent >= halved) {
            self.limit = (self.limit / 2).max(1);
            self.halved = Some(now);
        }
    }

    /// News is a hold where there was none, or one that lasts twice as long as was known.
    fn hold(&mut self, now: Instant, delay: Duration) -> bool {
        let until = now + delay;
        let left = self.held_until.map_or(Duration::ZERO, |held| held.saturating_duration_since(now));
        if self.held_until.is_none_or(|held| held < until) {
            self.held_until = Some(until);
        }
        left.is_zero() || delay > left * 2
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_burst_of_refusals_halves_once() {
        let begun = Instant::now();
        let mut state = State::new();
        for _ in 0..32 {
            state.refused(begun, begun + SECOND);
        }
        assert_eq!(state.limit, 16);
        for _ in 0..32 {
            state.refused(begun + 2 * SECOND, begun + 3 * SECOND);
        }
        assert_eq!(state.limit, 8);
        for again in 2..20 {
            state.refused(begun + 2 * again * SECOND, begun + (2 * again + 1) * SECOND);
        }
        assert_eq!(state.limit, 1, "never none");
    }

    #[test]
    fn a_limits_worth_of_answers_allows_one_more() {
        let now = Instant::now();
        let mut state = State::new();
        state.refused(now, now);
        (0..15).for_each(|_| state.succeeded());
        assert_eq!(state.limit, 16);
        state.succeeded();
        assert_eq!(state.limit, 17);
        (0..100_000).for_each(|_| state.succeeded());
        assert_eq!(state.limit, MOST);
    }

    #[test]
    fn nobody_goes_while_the_registry_wants_to_be_left_alone() {
        let now = Instant::now();
        let mut state = State::new();
        assert!(state.hold(now, 10 * SECOND));
        assert!(!state.hold(now + SECOND, 10 * SECOND), "known already");
        assert!(state.hold(now + SECOND, 60 * SECOND), "much longer");
        assert_eq!(state.admit(now + 20 * SECOND), Admission::Held(now + 61 * SECOND));
        assert_eq!(state.admit(now + 61 * SECOND), Admission::Go);
        assert!(state.hold(now + 62 * SECOND, SECOND), "another time");
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(test);
    }

    #[test]
    fn no_more_than_the_limit_are_in_flight_and_all_get_their_turn() {
        run(async {
            let pace = Arc::new(Pace::new("h".to_string()));
            let (in_flight, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let tasks: Vec<_> = (0..300)
                .map(|index| {
                    let (pace, in_flight, peak) = (pace.clone(), in_flight.clone(), peak.clone());
                    tokio::spawn(async move {
                        let permit = pace.permit().await;
                        peak.fetch_max(in_flight.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        if index == 100 {
                            permit.refused();
                            pace.hold(Duration::from_millis(20));
                        }
                        in_flight.fetch_sub(1, Ordering::SeqCst);
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(peak.load(Ordering::SeqCst), MOST);
            assert_eq!(pace.state().in_flight, 0);
        });
    }

    #[test]
    fn after_a_pause_all_room_is_used_again() {
        const BUSY: Duration = Duration::from_millis(100);
        run(async {
            let pace = Arc::new(Pace::new("h".to_string()));
            let mut all = Vec::new();
            for _ in 0..MOST {
                all.push(pace.permit().await);
            }
            let begun = Instant::now();
            let waiting: Vec<_> = (0..MOST)
                .map(|_| {
                    let pace = Arc::clone(&pace);
                    tokio::spawn(async move {
                        let _permit = pace.permit().await;
                        tokio::time::sleep(BUSY).await;
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            // One of them is told of room, waits for the end of the pause, and gives up.
            pace.hold(Duration::from_millis(50));
            drop(all);
            tokio::task::yield_now().await;
            waiting[0].abort();
            for task in waiting.into_iter().skip(1) {
                task.await.unwrap();
            }
            let elapsed = begun.elapsed();
            assert!(elapsed >= BUSY + Duration::from_millis(50));
            assert!(elapsed < BUSY * 10, "they ran side by side: {elapsed:?}");
        });
    }
}
