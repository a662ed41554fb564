//! From a request's body to an upload's file: what comes while one batch is written and hashed is the next one.

use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;

use super::session::Session;
use crate::blocking::stopping;
use crate::failure::{Code, Failure};
use crate::incoming::{Broken, Incoming};

/// How many bytes may wait to be written, and in how many pieces.
const BATCH: usize = 128 << 10;
const PIECES: usize = 64;

type Written = (OwnedMutexGuard<Session>, Result<(), Failure>);

/// Adds the body to the session. If the connection breaks, what came before stays in the session.
pub(super) async fn receive(
    session: OwnedMutexGuard<Session>,
    body: &mut Incoming,
) -> Result<OwnedMutexGuard<Session>, Failure> {
    let mut batch = Batch::default();
    let mut writer = Writer::Idle(session);
    let ended = loop {
        // Nothing waits for more to come: what has come counts for a client that asks, and for a resumption.
        writer = writer.begin(&mut batch);
        tokio::select! {
            written = writer.written() => writer = Writer::Idle(written?),
            next = body.next(), if !batch.is_full() => match next {
                Ok(Some(bytes)) => batch.push(bytes),
                Ok(None) => break Ok(()),
                Err(broken) => break Err(broken),
            },
        }
    };
    if let Writer::Busy(_) = writer {
        writer = Writer::Idle(writer.written().await?);
    }
    let mut session = match writer.begin(&mut batch) {
        Writer::Idle(session) => session,
        mut busy => busy.written().await?,
    };
    session.pause();
    match ended {
        Ok(()) => Ok(session),
        Err(Broken(why)) => {
            let message = format!("{why}; {} bytes of the upload are here", session.received());
            Err(Failure::new(Code::BlobUploadInvalid, message))
        }
    }
}

/// The session: where it is when nobody writes, and on its way back when somebody does.
enum Writer {
    Idle(OwnedMutexGuard<Session>),
    Busy(JoinHandle<Written>),
}

impl Writer {
    /// Begins to write the batch, if there is something in it and nothing else is being written.
    fn begin(self, batch: &mut Batch) -> Self {
        match self {
            Self::Idle(mut session) if !batch.pieces.is_empty() => {
                let pieces = std::mem::take(batch).pieces;
                Self::Busy(tokio::task::spawn_blocking(move || {
                    let outcome = session.append(&pieces);
                    (session, outcome)
                }))
            }
            other => other,
        }
    }

    /// The session, once what is being written is written; never, if nothing is.
    async fn written(&mut self) -> Result<OwnedMutexGuard<Session>, Failure> {
        match self {
            Self::Idle(_) => std::future::pending().await,
            Self::Busy(writing) => {
                let (session, outcome) = writing.await.map_err(|_| stopping())?;
                outcome.map(|()| session)
            }
        }
    }
}

/// Bytes that wait to be written.
#[derive(Default)]
struct Batch {
    pieces: Vec<Bytes>,
    size: usize,
}

impl Batch {
    fn push(&mut self, bytes: Bytes) {
        self.size += bytes.len();
        self.pieces.push(bytes);
    }

    fn is_full(&self) -> bool {
        self.size >= BATCH || self.pieces.len() >= PIECES
    }
}
