//! A blob as a stream: chunks arrive on the runtime and are read by a plain thread.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use reqwest::{Response, StatusCode};
use tokio::sync::mpsc;

use super::Timeouts;
use super::client::{self, Client, Exchange, runtime};
use crate::{BlobError, Digest, Error};

/// How many chunks may wait for the reader. A chunk is what one read of the connection gives, a few hundred KiB at
/// the most; a reader that is slower than the network holds the network back.
const WAITING: usize = 16;

/// Asks for a blob, and reads it as it comes once the registry agreed.
pub(super) async fn start(
    client: &Client,
    exchange: Exchange,
    digest: Digest,
) -> Result<impl Read + Send + use<>, Error> {
    let response = client.send(&exchange, |request| request).await?;
    let response = client.refuse_html(&exchange, "a blob", response).await?;
    if response.status() != StatusCode::OK {
        return Err(client.failure(&exchange, response).await);
    }
    let (sender, chunks) = mpsc::channel(WAITING);
    let timeouts = client.timeouts;
    let location = exchange.shown();
    runtime()?.spawn(transfer(response, timeouts, sender));
    Ok(Chunks { chunks, current: Bytes::new(), received: 0, failure: None, ended: false, location, digest })
}

/// Passes the body on until it ends, breaks off, or nobody wants it any more.
async fn transfer(
    mut response: Response,
    timeouts: Timeouts,
    sender: mpsc::Sender<Result<Option<Bytes>, String>>,
) {
    loop {
        // The end is said: a sender that is merely dropped was killed.
        let chunk = match tokio::time::timeout(timeouts.idle, response.chunk()).await {
            Ok(outcome) => outcome.map_err(client::cause),
            Err(_) => Err(format!("nothing was heard for {} s", timeouts.idle.as_secs_f32())),
        };
        let last = !matches!(chunk, Ok(Some(_)));
        if sender.send(chunk).await.is_err() || last {
            return;
        }
    }
}

/// The reading end.
struct Chunks {
    chunks: mpsc::Receiver<Result<Option<Bytes>, String>>,
    current: Bytes,
    received: u64,
    failure: Option<String>,
    ended: bool,
    location: String,
    digest: Digest,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A chunk may be empty without being the last.
        while self.current.is_empty() && !self.ended && self.failure.is_none() && !buffer.is_empty() {
            match self.chunks.blocking_recv() {
                Some(Ok(Some(chunk))) => {
                    self.received += chunk.len() as u64;
                    self.current = chunk;
                }
                Some(Ok(None)) => self.ended = true,
                Some(Err(cause)) => self.failure = Some(cause),
                None => self.failure = Some("the transfer was abandoned".to_string()),
            }
        }
        if let Some(cause) = &self.failure {
            return Err(BlobError::Interrupted {
                location: self.location.clone(),
                digest: self.digest,
                received: self.received,
                cause: cause.clone(),
            }
            .into());
        }
        let count = self.current.len().min(buffer.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
