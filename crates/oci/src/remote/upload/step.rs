//! [`Step`]: one request of an upload session, and what its answer means for the next.

use std::sync::Arc;

use reqwest::header::HeaderValue;
use reqwest::{Response, StatusCode, header};

use super::chunk_size::ChunkSize;
use super::session::Session;
use super::{Upload, range};
use crate::Error;
use crate::remote::answer;
use crate::remote::request::Request;
use crate::remote::setback::Setback;

/// What a request of an upload session came to.
pub(super) enum Step {
    /// The registry has the blob.
    Stored,
    /// The registry took the chunk, and has so many bytes.
    Holds(u64),
    /// The registry does not take so much at once.
    TooLarge(Error),
    /// The registry has other bytes than we think.
    Disputed(Error),
    /// The registry does not know the session.
    Gone(Error),
    /// The authorization was not good enough, not even a new one.
    Denied(Error),
    /// The connection broke.
    Broke(Setback),
    /// The registry cannot do it, for the moment or at all.
    Failed(Setback),
    /// The registry does not take chunks.
    NoChunks(Error),
    /// The registry finds something wrong with it, such as the digest of what it has put together.
    Wrong(Error),
}

impl Upload<'_> {
    /// Sends what comes next to a session that has the first `held` bytes.
    pub(super) async fn step(&mut self, session: &mut Session, held: u64) -> Result<Step, Error> {
        let left = self.size - held;
        let whole = held == 0 && self.chunk == ChunkSize::Whole;
        if left == 0 || whole {
            let request = session.put(self.digest).stream(Arc::new(self.content.part(held, left)));
            return self.send(session, &request, None).await;
        }
        let chunk = held..held + self.chunk.next(left, session.least_chunk);
        let content_range = HeaderValue::from_str(&range::of_chunk(&chunk));
        let mut request = session.patch().stream(Arc::new(self.content.part(held, chunk.end - chunk.start)));
        if let Ok(content_range) = content_range {
            request = request.header(header::CONTENT_RANGE, content_range);
        }
        self.send(session, &request, Some(chunk.end)).await
    }

    /// Sends a PATCH after which the registry should have `until` bytes, or the PUT that ends the session.
    async fn send(
        &mut self,
        session: &mut Session,
        request: &Request,
        until: Option<u64>,
    ) -> Result<Step, Error> {
        let client = self.destination.client;
        let exchange = &request.exchange;
        let response = match client.send_once(request).await {
            Ok(response) => response,
            Err(error @ Error::Transport { .. }) => {
                return Ok(Step::Broke(Setback::silent(client, exchange, error)));
            }
            Err(error) => return Err(error),
        };
        let response = client.refuse_html(exchange, "an acknowledgement", response).await?;
        let status = response.status();
        match (status, until) {
            (StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT, None) => return Ok(Step::Stored),
            (
                StatusCode::ACCEPTED | StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT,
                Some(until),
            ) => {
                session.follow(exchange, &response)?;
                return Ok(match stated(&response) {
                    Some(held) if held != until => {
                        Step::Disputed(exchange.protocol(format!("it has {held} bytes instead of {until}")))
                    }
                    _ => Step::Holds(until),
                });
            }
            // Where to ask what it has instead.
            (StatusCode::RANGE_NOT_SATISFIABLE, _) => session.follow(exchange, &response)?,
            _ => {}
        }
        let meaning: fn(Error) -> Step = match status {
            StatusCode::PAYLOAD_TOO_LARGE => Step::TooLarge,
            StatusCode::RANGE_NOT_SATISFIABLE => Step::Disputed,
            StatusCode::NOT_FOUND => Step::Gone,
            StatusCode::UNAUTHORIZED => Step::Denied,
            StatusCode::BAD_REQUEST => Step::Wrong,
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED if until.is_some() => Step::NoChunks,
            _ => return Ok(Step::Failed(Setback::answered(client, exchange, response).await)),
        };
        Ok(meaning(client.failure(exchange, response).await))
    }
}

/// How many bytes the registry says it has. Of one byte it cannot be told from none: it is not held to that.
fn stated(response: &Response) -> Option<u64> {
    answer::header(response, header::RANGE).and_then(|text| range::held(&text)).filter(|held| *held > 0)
}
