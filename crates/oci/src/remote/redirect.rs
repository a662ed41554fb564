//! Where a redirect leads, and what goes along.
//!
//! Redirects are followed here and not by the HTTP client, which forgets about a change of origin one redirect later,
//! and would show a registry's credentials to its storage if that redirected again. It would also not send the stream
//! of an upload a second time.

use reqwest::{Method, Response, StatusCode, header};
use url::Url;

use super::exchange::Exchange;
use crate::Error;

/// How many redirects are followed: registries redirect blobs once, to their storage.
const MOST: usize = 10;

/// A request on its way from one URL to the next.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) url: Url,
    /// Whether it never left the origin that it was made for: only then may it carry credentials.
    pub(super) at_home: bool,
    hops: usize,
}

impl Route {
    /// A request as it was made.
    pub(super) fn of(exchange: &Exchange, at_home: bool) -> Self {
        Self { method: exchange.method.clone(), url: exchange.url.clone(), at_home, hops: 0 }
    }

    /// Whether it still is the request that was made, with its body.
    pub(super) fn keeps_body(&self, exchange: &Exchange) -> bool {
        self.method == exchange.method
    }

    /// Goes to where `response` points; false if it points nowhere and is the answer.
    ///
    /// The method is kept, by 301 and 302 too: a registry has no forms, and a POST made a GET would be another
    /// request. Only 303 says in so many words that the answer is to be had by GET.
    pub(super) fn follow(&mut self, exchange: &Exchange, response: &Response) -> Result<bool, Error> {
        let is_redirect = matches!(
            response.status(),
            StatusCode::MOVED_PERMANENTLY
                | StatusCode::FOUND
                | StatusCode::SEE_OTHER
                | StatusCode::TEMPORARY_REDIRECT
                | StatusCode::PERMANENT_REDIRECT
        );
        let Some(target) = response.headers().get(header::LOCATION).filter(|_| is_redirect) else {
            return Ok(false);
        };
        self.hops += 1;
        if self.hops > MOST {
            return Err(exchange.redirect(format!("too many redirects, more than {MOST}")));
        }
        // The target is not shown: it may be signed.
        let next = target.to_str().ok().and_then(|target| self.url.join(target).ok());
        let Some(next) = next.filter(|url| matches!(url.scheme(), "http" | "https")) else {
            return Err(exchange.redirect("redirected to what is no http URL".to_string()));
        };
        if self.url.scheme() == "https" && next.scheme() == "http" {
            return Err(exchange.redirect("refusing to follow a redirect from https to http".to_string()));
        }
        self.at_home &= next.origin() == self.url.origin();
        if response.status() == StatusCode::SEE_OTHER && self.method != Method::HEAD {
            self.method = Method::GET;
        }
        self.url = next;
        Ok(true)
    }
}
