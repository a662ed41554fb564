//! [`Flight`]: something that is fetched once, however many wait for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::Shared;

use crate::Error;

/// What everybody gets who waited: the same thing, or the same error.
pub(super) type Outcome<T> = Result<T, Arc<Error>>;

/// A fetch that is under way or done. Whoever waits drives it: that the first one gives up does not end it for the
/// others.
#[derive(Clone)]
pub(super) struct Flight<T: Clone>(Shared<Pin<Box<dyn Future<Output = Outcome<T>> + Send>>>);

impl<T: Clone + Send + Sync> Flight<T> {
    /// `fetch`, which begins when somebody waits for it.
    pub(super) fn new(fetch: impl Future<Output = Outcome<T>> + Send + 'static) -> Self {
        let fetch: Pin<Box<dyn Future<Output = Outcome<T>> + Send>> = Box::pin(fetch);
        Self(fetch.shared())
    }

    /// What came of it, if it is done.
    pub(super) fn landed(&self) -> Option<&Outcome<T>> {
        self.0.peek()
    }

    /// Waits until it is done.
    pub(super) async fn outcome(&self) -> Outcome<T> {
        self.0.clone().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_goes_on_when_the_first_to_wait_gives_up() {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let flight = Flight::new(async {
            STARTED.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(7)
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), flight.outcome()).await.is_err());
        assert!(flight.landed().is_none());
        let (one, other) = futures_util::future::join(flight.outcome(), flight.outcome()).await;
        assert_eq!((one.unwrap(), other.unwrap()), (7, 7));
        assert_eq!(STARTED.load(Ordering::SeqCst), 1);
        assert!(matches!(flight.landed(), Some(Ok(7))));
    }

    #[tokio::test]
    async fn a_failure_is_everybodys() {
        let flight = Flight::<u8>::new(async { Err(Error::Client { cause: "no".into() }.into()) });
        for _ in 0..2 {
            assert!(flight.outcome().await.unwrap_err().to_string().ends_with("no"));
        }
    }
}
