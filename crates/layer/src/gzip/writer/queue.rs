//! What waits for a compressor thread: the blocks of the stream that began first go first.
//!
//! Streams begin in the order in which their packages matter, the biggest first. Were blocks taken in the order in which they
//! come, streams would share the threads evenly, and the biggest package would end last, when nothing is left that could
//! keep the other cores busy while its end is hashed and written.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Values by the stream that they belong to. `None` comes out once it is closed and empty.
pub(super) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    /// By stream, and within a stream by arrival.
    waiting: BTreeMap<(u64, u64), T>,
    arrived: u64,
    streams: u64,
    closed: bool,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        let state = State { waiting: BTreeMap::new(), arrived: 0, streams: 0, closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// A number for a stream that begins now.
    pub(super) fn begin(&self) -> u64 {
        let mut state = self.lock();
        state.streams += 1;
        state.streams
    }

    /// Puts `value` behind all of its stream and of those that began before it.
    pub(super) fn push(&self, stream: u64, value: T) {
        let mut state = self.lock();
        state.arrived += 1;
        let key = (stream, state.arrived);
        state.waiting.insert(key, value);
        drop(state);
        self.changed.notify_one();
    }

    /// Waits for a value.
    pub(super) fn pop(&self) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some((_, value)) = state.waiting.pop_first() {
                return Some(value);
            }
            if state.closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nothing comes any more: whoever waits is told so once nothing is left.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Queue;

    #[test]
    fn the_stream_that_began_first_goes_first_and_its_blocks_in_order() {
        let queue = Queue::new();
        let (first, second) = (queue.begin(), queue.begin());
        for (stream, block) in [(second, "d"), (first, "a"), (second, "e"), (first, "b"), (first, "c")] {
            queue.push(stream, block);
        }
        queue.close();
        let order: Vec<&str> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(order, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn closing_wakes_everyone_who_waits() {
        let queue = Queue::<()>::new();
        std::thread::scope(|scope| {
            let waiting: Vec<_> = (0..3).map(|_| scope.spawn(|| queue.pop())).collect();
            queue.close();
            assert!(waiting.into_iter().all(|thread| thread.join().unwrap().is_none()));
        });
    }
}
