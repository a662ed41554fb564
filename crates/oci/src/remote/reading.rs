//! Reading what a registry answered: whole bodies, and of refusals as much as it takes to quote them.

use bytes::Bytes;
use reqwest::Response;
use reqwest::header::HeaderValue;
use tokio::time::Instant;

use super::answer;
use super::auth::without_authorization;
use super::client::Client;
use super::exchange::Exchange;
use crate::Error;

/// The most bytes of an error's document that are read.
const ERROR_LIMIT: u64 = 64 << 10;

/// The beginning of an answer's body that was read to decide about it, kept with the answer for its error.
#[derive(Clone)]
struct Beginning(Bytes);

/// What an answer's request showed, which the answer may quote.
#[derive(Clone)]
pub(super) struct Shown(pub(super) HeaderValue);

/// What the error of an answer should say beside the answer: how often it was tried.
#[derive(Clone)]
pub(super) struct Note(pub(super) String);

impl Client {
    /// The whole body of an answer, if it has no more than `limit` bytes.
    pub(super) async fn body(
        &self,
        exchange: &Exchange,
        mut response: Response,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        self.read(exchange, &mut response, limit).await
    }

    /// As [`body`](Self::body), of an answer whose head is still wanted.
    pub(super) async fn read(
        &self,
        exchange: &Exchange,
        response: &mut Response,
        limit: u64,
    ) -> Result<Vec<u8>, Error> {
        let mut body = Vec::new();
        loop {
            let chunk = match tokio::time::timeout(self.options().timeouts.idle, response.chunk()).await {
                Ok(outcome) => outcome.map_err(|error| exchange.transport(error))?,
                Err(_) => return Err(exchange.silence(self.options().timeouts.idle)),
            };
            let Some(chunk) = chunk else { return Ok(body) };
            let size = body.len() as u64 + chunk.len() as u64;
            if size > limit {
                return Err(Error::TooLarge { location: exchange.shown(), size, limit });
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// The error that an answer is, with the registry's own words if they can be had.
    pub(super) async fn failure(&self, exchange: &Exchange, mut response: Response) -> Error {
        let body = self.beginning(&mut response).await;
        let tried = self.is_registry(response.url()).then(|| self.tried());
        let error = answer::failure(exchange, &answer::Head::of(&response), &body, tried);
        match response.extensions().get::<Note>() {
            Some(Note(note)) => error.noting(note),
            None => error,
        }
    }

    /// An answer that is not a page for people; that is an error, with the page's first words.
    pub(super) async fn refuse_html(
        &self,
        exchange: &Exchange,
        wanted: &'static str,
        mut response: Response,
    ) -> Result<Response, Error> {
        let head = answer::Head::of(&response);
        if !head.is_html() {
            return Ok(response);
        }
        let body = self.beginning(&mut response).await;
        match answer::html(exchange, wanted, &head, &body) {
            Some(error) => Err(error),
            None => Ok(response),
        }
    }

    /// As much of a body as arrives in reasonable time: that it breaks off must not hide what it says. What it quotes
    /// of our credentials is left out. Kept with the answer, so that it can be asked for again.
    pub(super) async fn beginning(&self, response: &mut Response) -> Bytes {
        if let Some(Beginning(body)) = response.extensions().get() {
            return body.clone();
        }
        let mut body = Vec::new();
        // All of it: nobody waits for the end of an error that comes a byte at a time.
        let end = Instant::now() + self.options().timeouts.idle;
        while (body.len() as u64) < ERROR_LIMIT {
            match tokio::time::timeout_at(end, response.chunk()).await {
                Ok(Ok(Some(chunk))) => body.extend_from_slice(&chunk),
                _ => break,
            }
        }
        if let Some(Shown(shown)) = response.extensions().get() {
            body = without_authorization(shown, &body);
        }
        let body = Bytes::from(body);
        response.extensions_mut().insert(Beginning(body.clone()));
        body
    }
}
