//! The same request for many things at once, on plain threads.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many requests to a registry are in flight at the same time.
pub(crate) const REQUESTS: usize = 16;

/// Applies `work` to every item on at most `threads` threads; results in the order of the items. The first error
/// ends it: items not begun by then are left.
pub(crate) fn map<T: Sync, R: Send, E: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> Result<R, E> + Sync,
) -> Result<Vec<R>, E> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(items.len()));
    let failure = Mutex::new(None);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(items.len()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { return };
                    match work(item) {
                        Ok(result) => lock(&results).push((at, result)),
                        Err(error) => {
                            next.store(items.len(), Ordering::Relaxed);
                            lock(&failure).get_or_insert(error);
                            return;
                        }
                    }
                }
            });
        }
    });
    if let Some(error) = lock(&failure).take() {
        return Err(error);
    }
    let mut results = std::mem::take(&mut *lock(&results));
    results.sort_unstable_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// Locks, also if a thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::map;

    #[test]
    fn order_is_kept_and_errors_come_out() {
        let items: Vec<u32> = (0..100).collect();
        assert_eq!(
            map(&items, 7, |n| Ok::<_, ()>(n * 2)).unwrap(),
            items.iter().map(|n| n * 2).collect::<Vec<_>>()
        );
        assert_eq!(map(&items, 7, |n| if *n == 50 { Err(*n) } else { Ok(*n) }), Err(50));
        assert_eq!(map(&[] as &[u32], 7, |n| Ok::<_, ()>(*n)), Ok(vec![]));
    }
}
