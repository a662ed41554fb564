//! [`Session`]: a place in the registry where a blob is put together, and what the registry says of it.

use std::time::Duration;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, header};
use url::Url;

use super::range;
use crate::remote::answer;
use crate::remote::auth::Scope;
use crate::remote::client::Client;
use crate::remote::exchange::Exchange;
use crate::remote::request::Request;
use crate::{Digest, Error};

/// The least number of bytes that a registry takes in a chunk that is not the last (distribution specification 1.1,
/// "pushing a blob in chunks").
const LEAST_CHUNK: HeaderName = HeaderName::from_static("oci-chunk-min-length");

/// The most bytes of an answer's body that are read for the sake of the connection.
const DRAINED: u64 = 256 << 10;

/// How long a registry may take to forget a session that nobody needs any more.
const FAREWELL: Duration = Duration::from_secs(5);

/// An upload session.
pub(super) struct Session {
    /// Where it goes on: what the latest answer said, and nothing older. Its query holds the registry's state.
    place: Url,
    scope: Scope,
    /// The least number of bytes in a chunk that is not the last.
    pub(super) least_chunk: u64,
}

/// What beginning a session came to.
pub(super) enum Begun {
    Session(Session),
    /// The registry has the blob, and needs nothing more.
    Stored,
    /// The registry would not do that.
    Refused(Response),
}

impl Session {
    /// Begins a session with `begin`, which is some kind of POST, of which `response` is the answer.
    pub(super) async fn begun(client: &Client, begin: &Request, response: Response) -> Result<Begun, Error> {
        let exchange = &begin.exchange;
        let response = client.refuse_html(exchange, "a place to upload to", response).await?;
        match response.status() {
            StatusCode::ACCEPTED => {}
            StatusCode::CREATED => return Ok(Begun::Stored),
            _ => return Ok(Begun::Refused(response)),
        }
        let Some(place) = location(exchange, &response)? else {
            return Err(exchange.protocol("it does not say where to upload to"));
        };
        let least_chunk = match answer::header(&response, LEAST_CHUNK) {
            Some(text) => exchange.parsed(LEAST_CHUNK.as_str(), &text)?,
            None => 0,
        };
        // Its body is of no interest, but the connection is.
        let _ = client.body(exchange, response, DRAINED).await;
        Ok(Begun::Session(Self { place, scope: begin.scope.clone(), least_chunk }))
    }

    /// A request that adds to the blob.
    pub(super) fn patch(&self) -> Request {
        Request::new(Method::PATCH, self.place.clone(), self.scope.clone())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
    }

    /// The request that ends the session, with what is still missing as its body. It has no `Content-Range`, which
    /// is for chunks.
    pub(super) fn put(&self, digest: Digest) -> Request {
        Request::new(Method::PUT, with_digest(self.place.clone(), digest), self.scope.clone())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
    }

    /// Takes from an answer where the session goes on.
    pub(super) fn follow(&mut self, exchange: &Exchange, response: &Response) -> Result<(), Error> {
        if let Some(place) = location(exchange, response)? {
            self.place = place;
        }
        Ok(())
    }

    /// How many bytes the registry has; `None` if it has lost the session, or cannot say.
    pub(super) async fn held(&mut self, client: &Client) -> Result<Option<u64>, Error> {
        let request = Request::new(Method::GET, self.place.clone(), self.scope.clone());
        let response = client.send(&request).await?;
        match response.status() {
            StatusCode::NO_CONTENT | StatusCode::OK | StatusCode::ACCEPTED => {}
            StatusCode::UNAUTHORIZED => return Err(client.failure(&request.exchange, response).await),
            _ => return Ok(None),
        }
        self.follow(&request.exchange, &response)?;
        Ok(answer::header(&response, header::RANGE).and_then(|text| range::held(&text)))
    }

    /// Tells the registry that nobody needs the session any more. Some forbid that; it changes nothing for us.
    pub(super) async fn cancel(self, client: &Client) {
        let request = Request::new(Method::DELETE, self.place, self.scope);
        let _ = tokio::time::timeout(FAREWELL, client.send_once(&request)).await;
    }
}

fn location(exchange: &Exchange, response: &Response) -> Result<Option<Url>, Error> {
    answer::header(response, header::LOCATION)
        .map(|location| exchange.pointed_at("Location", &location, response.url()))
        .transpose()
}

/// Appends the digest to whatever query there is. The registry keeps its state in there, and may compare it byte by
/// byte: it is not taken apart.
pub(super) fn with_digest(mut place: Url, digest: Digest) -> Url {
    let query = match place.query() {
        None | Some("") => format!("digest={digest}"),
        Some(query) => format!("{query}&digest={digest}"),
    };
    place.set_query(Some(&query));
    place
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
