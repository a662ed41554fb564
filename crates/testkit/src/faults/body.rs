//! Bodies that are counted, cut off, or never come.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use futures_util::{Stream, StreamExt, stream};

/// `body`, of which `count` is told each piece's length when it is asked for.
pub(super) fn counted(body: Body, count: impl Fn(u64) + Send + 'static) -> Body {
    Body::from_stream(body.into_data_stream().inspect(move |piece| {
        if let Ok(bytes) = piece {
            count(bytes.len() as u64);
        }
    }))
}

/// Takes all of a body, and forgets it.
pub(super) async fn drain(body: Body) {
    let mut pieces = body.into_data_stream();
    while let Some(Ok(_)) = pieces.next().await {}
}

/// Whether a body was cut off.
#[derive(Clone, Default)]
pub(super) struct Broken(Arc<AtomicBool>);

impl Broken {
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A request whose body fails after `limit` bytes if it has more, and whether it came to that.
pub(super) fn broken_after(request: Request, limit: u64) -> (Request, Broken) {
    let broken = Broken::default();
    let told = broken.clone();
    let request = request.map(|body| {
        Body::from_stream(limited(body, limit, false, move || told.0.store(true, Ordering::SeqCst)))
    });
    (request, broken)
}

/// A body that fails after `limit` bytes if it has as many.
pub(super) fn cut(body: Body, limit: u64) -> Body {
    Body::from_stream(limited(body, limit, true, || {}))
}

/// An answer in whose place the connection is closed: its body fails before anything of it can be sent.
pub(super) fn no_answer() -> Response {
    Response::new(Body::from_stream(stream::iter([Err::<Bytes, _>(broken())])))
}

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "broken by a test")
}

/// The pieces of `body` up to `limit` bytes, then an error: when there is more, or when there is not less (`at_end`).
fn limited(
    body: Body,
    limit: u64,
    at_end: bool,
    on_break: impl FnOnce() + Send + 'static,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let pieces = body.into_data_stream();
    let state = Some((pieces, limit, on_break));
    stream::unfold(state, move |state| async move {
        let (mut pieces, mut left, on_break) = state?;
        if left == 0 && at_end {
            return Some((Err(fail(on_break).await), None));
        }
        let mut bytes = match pieces.next().await? {
            Ok(bytes) => bytes,
            Err(error) => return Some((Err(io::Error::other(error)), None)),
        };
        if left == 0 && !bytes.is_empty() {
            return Some((Err(fail(on_break).await), None));
        }
        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        left -= bytes.len() as u64;
        Some((Ok(bytes), Some((pieces, left, on_break))))
    })
}

/// Gives what was sent before the chance to leave: a server that is told of an error at once throws away what it has
/// not written yet.
async fn fail(on_break: impl FnOnce()) -> io::Error {
    on_break();
    tokio::time::sleep(Duration::from_millis(2)).await;
    broken()
}
