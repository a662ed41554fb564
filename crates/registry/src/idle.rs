//! [`Idle`]: a connection that ends when nothing goes over it any more.
//!
//! A peer whose machine has lost power closes nothing, and one that reads nothing keeps what is being sent to it in
//! memory. Neither may hold a connection for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A connection, and when something last went over it.
pub(crate) struct Idle<Io> {
    io: Io,
    limit: Duration,
    last: Instant,
    /// Rings no earlier than the limit allows; set anew only when it rings.
    alarm: Pin<Box<Sleep>>,
}

impl<Io> Idle<Io> {
    /// `io`, which ends with an error when neither side has sent anything for `limit`.
    pub(crate) fn new(io: Io, limit: Duration) -> Self {
        Self { io, limit, last: Instant::now(), alarm: Box::pin(sleep(limit)) }
    }

    /// `outcome`, unless it is that nothing has happened for too long.
    fn watched<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.last = Instant::now();
            return outcome;
        }
        while self.alarm.as_mut().poll(context).is_ready() {
            let end = self.last + self.limit;
            if end <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.alarm.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Idle<Io> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_read(context, buffer);
        self.watched(context, outcome)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Idle<Io> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write(context, bytes);
        self.watched(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.io).poll_write_vectored(context, slices);
        self.watched(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There is mostly nothing to flush: that it is done says nothing about the peer.
        match Pin::new(&mut self.io).poll_flush(context) {
            Poll::Pending => self.watched(context, Poll::Pending),
            done => done,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.io).poll_shutdown(context);
        self.watched(context, outcome)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_peer_that_says_nothing_is_given_up_and_one_that_does_is_not() {
        let (near, mut far) = duplex(16);
        let mut near = Idle::new(near, LIMIT);
        let begun = Instant::now();
        let talking = tokio::spawn(async move {
            for _ in 0..6 {
                sleep(LIMIT / 3).await;
                far.write_all(b"x").await.unwrap();
            }
            far
        });
        let mut bytes = [0; 6];
        near.read_exact(&mut bytes).await.unwrap();
        assert!(begun.elapsed() > LIMIT);
        let _far = talking.await.unwrap();
        let error = near.read(&mut bytes).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_given_up() {
        let (near, _far) = duplex(16);
        let error = Idle::new(near, LIMIT).write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
