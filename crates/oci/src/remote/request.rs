//! [`Request`]: what is sent to a registry, in a form that can be sent again.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Body, Method};
use url::Url;

use super::auth::Scope;
use super::exchange::Exchange;
use super::progress::Progress;

/// A request to a registry.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) exchange: Exchange,
    /// What a token has to allow for it.
    pub(super) scope: Scope,
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody,
}

/// The body of a [`Request`].
#[derive(Clone)]
pub(super) enum RequestBody {
    None,
    Bytes(Bytes),
    /// Something long, read while it is sent.
    Stream(Arc<dyn StreamBody>),
}

/// A body that is too long to be in memory, and can be begun anew.
pub(super) trait StreamBody: Send + Sync {
    /// How many bytes it has.
    fn length(&self) -> u64;

    /// The bytes from the beginning, and how far they are.
    fn open(&self) -> (Body, Arc<Progress>);
}

impl Request {
    pub(super) fn new(method: Method, url: Url, scope: Scope) -> Self {
        let exchange = Exchange::new(method, url);
        Self { exchange, scope, headers: HeaderMap::new(), body: RequestBody::None }
    }

    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(super) fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = RequestBody::Bytes(body.into());
        self
    }

    pub(super) fn stream(mut self, body: Arc<dyn StreamBody>) -> Self {
        self.body = RequestBody::Stream(body);
        self
    }
}
