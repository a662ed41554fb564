//! [`Incoming`]: the body of a request, given up on when nothing comes any more, and never cut off rudely.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::timeout;

/// How long a client may be silent in the middle of a body.
const SILENCE: Duration = Duration::from_secs(60);
/// For how long, and how many bytes, a body is read on that nobody wants. Closing the connection at once would take
/// the answer away from a client that is still sending: its system discards what it has not read (RFC 9112
/// section 9.6).
const LINGER: Duration = Duration::from_secs(10);
const LINGER_BYTES: usize = 64 << 20;

/// The bytes of a request as they come.
pub(crate) struct Incoming {
    /// `None` once it has ended, or broke.
    stream: Option<BodyDataStream>,
    /// Whether the client sends it only when it is asked for (RFC 9110 section 10.1.1), which to read is to do.
    waits: bool,
}

/// The body ended before its end.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

impl Incoming {
    /// The body of a request with these headers.
    pub(crate) fn new(body: Body, headers: &HeaderMap) -> Self {
        let waits =
            headers.get(EXPECT).is_some_and(|what| what.as_bytes().eq_ignore_ascii_case(b"100-continue"));
        Self { stream: (!body.is_end_stream()).then(|| body.into_data_stream()), waits }
    }

    /// The next bytes; `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Broken> {
        let Some(stream) = &mut self.stream else { return Ok(None) };
        self.waits = false;
        let outcome = match timeout(SILENCE, stream.next()).await {
            Ok(Some(Ok(bytes))) => return Ok(Some(bytes)),
            Ok(Some(Err(error))) => Err(Broken(format!("the connection broke: {error}"))),
            Ok(None) => Ok(None),
            Err(_) => Err(Broken(format!("nothing came for {} seconds", SILENCE.as_secs()))),
        };
        self.stream = None;
        outcome
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take().filter(|_| !self.waits) else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(timeout(LINGER, async move {
            let mut unwanted = 0;
            while let Some(Ok(bytes)) = stream.next().await {
                unwanted += bytes.len();
                if unwanted > LINGER_BYTES {
                    break;
                }
            }
        }));
    }
}
