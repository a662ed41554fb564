//! Stale handles: what a network file system says of a file that was replaced or removed on the server while its client
//! still remembered it. Opening it by its name again finds the new one; if that fails several times, it is an error as
//! any other.

use std::io;
use std::time::Duration;

/// How often it is tried again.
pub(crate) const ATTEMPTS: usize = 5;
/// How long to wait before that: clients believe what they remember of a directory for a moment.
pub(crate) const PAUSE: Duration = Duration::from_millis(100);

/// Whether the error is that of a stale handle.
pub(crate) fn is(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::StaleNetworkFileHandle
}

/// Does `work`, which opens a file by its name, again as long as the handle is stale.
pub(crate) fn again<T>(work: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..ATTEMPTS {
        match work() {
            Err(error) if is(&error) => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
    work()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_stale_handle_is_opened_again_and_given_up_in_the_end() {
        let stale = || io::Error::from_raw_os_error(nix::libc::ESTALE);
        let calls = Cell::new(0);
        let attempt = |good: usize| {
            calls.set(0);
            again(|| {
                calls.set(calls.get() + 1);
                if calls.get() >= good { Ok(()) } else { Err(stale()) }
            })
        };
        assert!(attempt(3).is_ok());
        assert_eq!(calls.get(), 3);
        assert!(is(&attempt(usize::MAX).unwrap_err()));
        assert_eq!(calls.get(), ATTEMPTS + 1);
        let other = again(|| Err::<(), _>(io::Error::from_raw_os_error(nix::libc::ENOENT)));
        assert_eq!(other.unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
