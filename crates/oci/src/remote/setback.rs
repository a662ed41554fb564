//! [`Setback`]: why a transfer cannot go on as it was, and whether it goes on at all.
//!
//! For requests with a body that is streamed, and for answers that break off. They are not simply sent again, as the
//! client does it with others, but continued where they were; so their attempts are counted by whoever continues them.

use reqwest::Response;

use super::client::Client;
use super::exchange::Exchange;
use super::retry::{Backoff, Failure};
use crate::Error;

/// A failure that may pass, or that may not.
pub(super) struct Setback {
    /// What it is if it does not pass.
    error: Error,
    failure: Failure,
}

impl Setback {
    /// There was no answer, or it broke off.
    pub(super) fn silent(client: &Client, exchange: &Exchange, error: Error) -> Self {
        let failure = client.silence(exchange, &error);
        Self { error, failure }
    }

    /// There was an answer, and not the one that was wanted.
    pub(super) async fn answered(client: &Client, exchange: &Exchange, response: Response) -> Self {
        let mut outcome = Ok(response);
        let failure = client.failed(exchange, &mut outcome).await;
        let error = match outcome {
            Ok(response) => client.failure(exchange, response).await,
            Err(error) => error,
        };
        match failure {
            Some(failure) => Self { error, failure },
            // Neither an error nor what was asked for.
            None => Self::disputed(error),
        }
    }

    /// The registry and we are not of one mind; to begin anew may settle it.
    pub(super) fn disputed(error: Error) -> Self {
        let failure = Failure::broken(error.to_string());
        Self { error, failure }
    }

    /// Waits for it to pass; the error if it is not worth it, or has been waited for often enough.
    pub(super) async fn overcome(self, client: &Client, backoff: &mut Backoff) -> Result<(), Error> {
        if client.overcame(&self.failure, backoff).await { Ok(()) } else { Err(backoff.noting(self.error)) }
    }
}
