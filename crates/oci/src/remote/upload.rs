//! Putting a blob: POST for a place to put it, then one PUT with all of it.
//!
//! Not in chunks: their size is limited by some registries without a way to ask for the limit, and each costs a round
//! trip. Without `Content-Range`, which is for chunks.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::Stream;
use reqwest::{Body, Method, Response, StatusCode, header};
use tokio::io::AsyncReadExt;
use url::Url;

use super::answer;
use super::client::{Client, Exchange};
use crate::{BlobKind, BlobSource, Digest, Error};

/// How much of a file is read at once.
const CHUNK: usize = 256 << 10;

/// Puts a blob into the repository whose uploads begin at `uploads`.
pub(super) async fn put(client: &Client, uploads: Url, source: &BlobSource) -> Result<(), Error> {
    let body = UploadBody::of(source).await?;
    let begin = Exchange::new(Method::POST, uploads);
    let response = client.send(&begin, |request| request.header(header::CONTENT_LENGTH, 0)).await?;
    let response = client.refuse_html(&begin, "a place to upload to", response).await?;
    if response.status() != StatusCode::ACCEPTED {
        return Err(client.failure(&begin, response).await);
    }
    let Some(location) = answer::header(&response, header::LOCATION) else {
        return Err(begin.protocol("it does not say where to upload to"));
    };
    let place = begin.pointed_at("Location", &location, response.url())?;
    // Its body is of no interest, but the connection is.
    let _ = client.body(&begin, response, CHUNK as u64).await;

    let exchange = Exchange::new(Method::PUT, with_digest(place, source.digest));
    let response = send(client, &exchange, body, source.size).await?;
    let response = client.refuse_html(&exchange, "an acknowledgement", response).await?;
    match response.status() {
        StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT => Ok(()),
        _ => Err(client.failure(&exchange, response).await),
    }
}

/// Appends the digest to whatever query there is. The registry keeps its state in there, and may compare it byte by
/// byte: it is not taken apart.
fn with_digest(mut place: Url, digest: Digest) -> Url {
    let query = match place.query() {
        None | Some("") => format!("digest={digest}"),
        Some(query) => format!("{query}&digest={digest}"),
    };
    place.set_query(Some(&query));
    place
}

/// Sends the body, and gives up when it does not move: neither the registry nor a limit on the whole says how long an
/// upload may take.
async fn send(client: &Client, exchange: &Exchange, body: UploadBody, size: u64) -> Result<Response, Error> {
    let progress = Arc::clone(&body.progress);
    let request = client
        .request(exchange)
        .header(header::CONTENT_TYPE, "application/octet-stream")
        .header(header::CONTENT_LENGTH, size)
        .body(Body::wrap_stream(body.stream()));
    // Until now the body waited for a place to go to.
    progress.with(|state| state.moved = Instant::now());
    let mut sending = std::pin::pin!(request.send());
    loop {
        let (moved, allowed) = progress.allowance(client.timeouts.idle, client.timeouts.commit);
        let left = allowed.saturating_sub(moved.elapsed());
        match tokio::time::timeout(left, &mut sending).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(error)) => {
                return Err(progress.take_failure().unwrap_or_else(|| exchange.transport(error)));
            }
            Err(_) => {
                let (moved, allowed) = progress.allowance(client.timeouts.idle, client.timeouts.commit);
                if moved.elapsed() >= allowed {
                    return Err(exchange.silence(allowed));
                }
            }
        }
    }
}

/// How far an upload is.
struct Progress {
    state: Mutex<ProgressState>,
}

struct ProgressState {
    /// When the connection last took a chunk.
    moved: Instant,
    /// Whether it took the last one.
    all_sent: bool,
    /// Why the file could not be read on. The HTTP client knows only that the body failed.
    failure: Option<Error>,
}

impl Progress {
    fn with<T>(&self, use_it: impl FnOnce(&mut ProgressState) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Since when nothing has moved, and for how long that is all right.
    fn allowance(&self, idle: Duration, commit: Duration) -> (Instant, Duration) {
        self.with(|state| (state.moved, if state.all_sent { commit } else { idle }))
    }

    fn take_failure(&self) -> Option<Error> {
        self.with(|state| state.failure.take())
    }
}

/// The bytes of a blob on their way.
struct UploadBody {
    content: Content,
    left: u64,
    progress: Arc<Progress>,
}

enum Content {
    Bytes(Bytes),
    File { file: tokio::fs::File, path: Arc<Path> },
}

impl UploadBody {
    async fn of(source: &BlobSource) -> Result<Self, Error> {
        let content = match &source.kind {
            BlobKind::Bytes(bytes) => Content::Bytes(Bytes::copy_from_slice(bytes)),
            BlobKind::File(path) => {
                let file = tokio::fs::File::open(path).await.map_err(Error::io("read", path))?;
                Content::File { file, path: Arc::from(path.as_path()) }
            }
        };
        let state = ProgressState { moved: Instant::now(), all_sent: source.size == 0, failure: None };
        let progress = Arc::new(Progress { state: Mutex::new(state) });
        Ok(Self { content, left: source.size, progress })
    }

    fn stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send + use<> {
        futures_util::stream::try_unfold(self, |mut body| async move {
            if body.left == 0 {
                return Ok(None);
            }
            let chunk = body.next().await?;
            body.left -= chunk.len() as u64;
            // Whoever asks for a chunk has sent the one before; and nobody asks again after the last.
            body.progress.with(|state| {
                state.moved = Instant::now();
                state.all_sent = body.left == 0;
            });
            Ok(Some((chunk, body)))
        })
    }

    /// The next chunk: never empty, never more than what is left.
    async fn next(&mut self) -> std::io::Result<Bytes> {
        let most = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
        let ends_early =
            || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it is shorter than it was");
        match &mut self.content {
            Content::Bytes(bytes) if bytes.is_empty() => Err(ends_early()),
            Content::Bytes(bytes) => Ok(bytes.split_to(most.min(bytes.len()))),
            Content::File { file, path } => {
                let mut chunk = vec![0; most];
                let outcome = match file.read(&mut chunk).await {
                    Ok(0) => Err(ends_early()),
                    other => other,
                };
                match outcome {
                    Ok(count) => {
                        chunk.truncate(count);
                        Ok(chunk.into())
                    }
                    Err(cause) => {
                        let message = cause.to_string();
                        let failure = Error::Io { action: "read", path: path.to_path_buf(), cause };
                        self.progress.with(|state| state.failure = Some(failure));
                        Err(std::io::Error::other(message))
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_appended_to_the_query_as_it_is() {
        let digest = Digest::of(b"");
        for (place, expected) in [
            ("http://h/u", "http://h/u?digest="),
            ("http://h/u?", "http://h/u?digest="),
            ("http://h/u?_state=a%2Bb%3D&blank=&z", "http://h/u?_state=a%2Bb%3D&blank=&z&digest="),
        ] {
            let url = with_digest(Url::parse(place).unwrap(), digest);
            assert_eq!(url.as_str(), format!("{expected}{digest}"));
        }
    }
}
