//! The seam between asynchronous code and the disk.

use crate::failure::{Code, Failure};

/// Runs `work`, which may wait for a disk, on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(stopping()),
    }
}

/// The failure of a task that did not come to its end: the server is being stopped, or there is a bug.
pub(crate) fn stopping() -> Failure {
    Failure::new(Code::Unavailable, "the registry could not finish the request")
}
