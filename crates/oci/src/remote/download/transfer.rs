//! [`Transfer`]: brings the bytes of a blob, through as many answers as it takes.

use std::pin::pin;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use futures_util::future::select;
use reqwest::header::HeaderValue;
use reqwest::{Method, Response, StatusCode, header};
use url::Url;

use super::chunks::Inlet;
use super::content_range;
use crate::Error;
use crate::remote::answer;
use crate::remote::auth::Scope;
use crate::remote::client::Client;
use crate::remote::headway::Headway;
use crate::remote::request::Request;
use crate::remote::retry::Backoff;
use crate::remote::setback::Setback;

/// A blob on its way to a reader.
pub(super) struct Transfer {
    client: Arc<Client>,
    /// Without a range.
    request: Request,
    /// How many bytes the blob should have.
    size: u64,
    /// How many of them were passed on, or were there before.
    offset: u64,
    backoff: Backoff,
    headway: Headway,
}

/// An answer with the bytes of a blob from some place on.
pub(super) struct Answer {
    response: Response,
    /// How many of its first bytes were passed on already.
    skip: u64,
}

/// Why an answer brings no more.
enum Stop {
    /// It was read to its end.
    End,
    /// It broke off.
    Broken(Setback),
    /// It ended too early, and it does not say whether it should.
    Unclear(Setback),
    /// Nobody wants more.
    Unwanted,
}

impl Transfer {
    /// Asks for a blob of `size` bytes from its byte `from` on.
    pub(super) async fn begin(
        client: &Arc<Client>,
        name: &str,
        url: Url,
        size: u64,
        from: u64,
    ) -> Result<(Self, Answer), Error> {
        let transfer = Self {
            client: Arc::clone(client),
            request: Request::new(Method::GET, url, Scope::pull(name)),
            size,
            offset: from,
            backoff: client.backoff(),
            headway: Headway::through(size),
        };
        let request = transfer.rest();
        let response = client.send(&request).await?;
        let answer = match response.status() {
            StatusCode::OK | StatusCode::PARTIAL_CONTENT => transfer.accept(response).await?,
            _ => {
                let exchange = &request.exchange;
                let response = client.refuse_html(exchange, "a blob", response).await?;
                return Err(client.failure(exchange, response).await);
            }
        };
        Ok((transfer, answer))
    }

    /// What errors call it.
    pub(super) fn location(&self) -> String {
        self.request.exchange.shown()
    }

    /// Passes everything on, or until nobody wants it any more.
    pub(super) async fn run(mut self, first: Answer, inlet: Inlet) {
        let moving = pin!(async {
            let outcome = self.pass_all_on(first, &inlet).await;
            inlet.end(outcome).await;
        });
        let unwanted = pin!(inlet.unwanted());
        select(moving, unwanted).await;
    }

    async fn pass_all_on(&mut self, first: Answer, inlet: &Inlet) -> Result<(), String> {
        let mut answer = first;
        loop {
            let stop = self.pass_on(answer, inlet).await;
            let (setback, unclear) = match stop {
                Stop::End | Stop::Unwanted => return Ok(()),
                Stop::Broken(_) if self.offset == self.size => return Ok(()),
                Stop::Broken(setback) => (setback, false),
                Stop::Unclear(setback) => (setback, true),
            };
            answer = match self.ask_again(setback).await {
                Ok(answer) => answer,
                // That it is too short is then for the reader to say.
                Err(_) if unclear => return Ok(()),
                Err(Error::Transport { cause, .. }) => return Err(cause),
                Err(error) => return Err(error.to_string()),
            };
        }
    }

    async fn pass_on(&mut self, answer: Answer, inlet: &Inlet) -> Stop {
        let Answer { mut response, mut skip } = answer;
        let exchange = &self.request.exchange;
        let idle = self.client.options().timeouts.idle;
        let partial = response.status() == StatusCode::PARTIAL_CONTENT;
        let unlimited = response.content_length().is_none()
            && !response.headers().contains_key(header::TRANSFER_ENCODING);
        loop {
            let mut chunk: Bytes = match tokio::time::timeout(idle, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                // Some storage gives no more at once than it likes to; and what has no length ends when it breaks.
                Ok(Ok(None)) if self.offset < self.size && (partial || unlimited) => {
                    let early = format!("it ends after {} of {} bytes", self.offset, self.size);
                    return Stop::Unclear(Setback::disputed(exchange.protocol(early)));
                }
                Ok(Ok(None)) => return Stop::End,
                Ok(Err(error)) => {
                    return Stop::Broken(Setback::silent(&self.client, exchange, exchange.transport(error)));
                }
                Err(_) => {
                    return Stop::Broken(Setback::silent(&self.client, exchange, exchange.silence(idle)));
                }
            };
            let known = skip.min(chunk.len() as u64);
            skip -= known;
            chunk.advance(usize::try_from(known).unwrap_or(usize::MAX));
            if chunk.is_empty() {
                continue;
            }
            self.offset += chunk.len() as u64;
            if self.headway.made(chunk.len() as u64) {
                self.backoff.progressed();
            }
            if !inlet.pass_on(chunk).await {
                return Stop::Unwanted;
            }
        }
    }

    /// Asks for what is missing since there was `setback`.
    async fn ask_again(&mut self, mut setback: Setback) -> Result<Answer, Error> {
        loop {
            setback.overcome(&self.client, &mut self.backoff).await?;
            let request = self.rest();
            setback = match self.client.send_once(&request).await {
                Ok(response) if response.status().is_success() => return self.accept(response).await,
                Ok(response) => Setback::answered(&self.client, &request.exchange, response).await,
                Err(error) => Setback::silent(&self.client, &request.exchange, error),
            };
        }
    }

    /// The request for what is missing.
    fn rest(&self) -> Request {
        let request = self.request.clone();
        if self.offset == 0 {
            return request;
        }
        match HeaderValue::from_str(&format!("bytes={}-", self.offset)) {
            Ok(range) => request.header(header::RANGE, range),
            Err(_) => request,
        }
    }

    /// Finds in an answer what is missing.
    async fn accept(&self, response: Response) -> Result<Answer, Error> {
        let exchange = &self.request.exchange;
        let response = self.client.refuse_html(exchange, "a blob", response).await?;
        let from = match response.status() {
            // Who does not know ranges begins at the beginning.
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT => {
                let value = answer::header(&response, header::CONTENT_RANGE).unwrap_or_default();
                match content_range::first_byte(&value) {
                    Some(from) => from,
                    None => return Err(exchange.protocol(format!("its Content-Range is {value:?}"))),
                }
            }
            _ => return Err(self.client.failure(exchange, response).await),
        };
        match self.offset.checked_sub(from) {
            Some(skip) => Ok(Answer { response, skip }),
            None => Err(exchange.protocol(format!("it begins at byte {from} instead of {}", self.offset))),
        }
    }
}
