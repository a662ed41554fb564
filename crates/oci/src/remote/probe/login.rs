//! [`check_login`]: whether a registry takes credentials.

use reqwest::{Method, StatusCode};
use url::Url;

use crate::remote::answer;
use crate::remote::auth::Scope;
use crate::remote::client::Client;
use crate::remote::exchange::Exchange;
use crate::remote::http;
use crate::remote::request::Request;
use crate::{Credentials, Error, ReferenceError, Transport};

/// What a registry says of credentials that it does not refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// It accepts them.
    Accepted,
    /// It does not ask for any, so that nobody knows whether they are right.
    NotAsked,
}

/// Asks the registry `host` (with its port, if it is given) for the root of its API as whom `credentials` say. It says
/// nothing of the rights in any repository.
///
/// # Errors
/// [`Error::Unauthorized`], and any other [`Error`] of a request; [`Error::Reference`] if `host` is none.
pub fn check_login(
    host: &str,
    https: bool,
    credentials: Credentials,
    transport: &Transport,
) -> Result<Login, Error> {
    let scheme = if https { "https" } else { "http" };
    let root = Url::parse(&format!("{scheme}://{host}/v2/"))
        .ok()
        .filter(|url| url.path() == "/v2/" && url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| ReferenceError::Malformed { url: host.to_string() })?;
    http::block_on(async {
        let client = Client::new(&root, host, "", transport, Some(credentials))?;
        if !asks(&root, transport).await? {
            return Ok(Login::NotAsked);
        }
        let request = Request::new(Method::GET, root.clone(), Scope::default());
        let response = client.send(&request).await?;
        let response = client.refuse_html(&request.exchange, "a registry's answer", response).await?;
        match response.status() {
            StatusCode::OK => Ok(Login::Accepted),
            _ => Err(client.failure(&request.exchange, response).await),
        }
    })?
}

/// Whether a registry wants to know who asks: one that does not takes whatever it is shown. What is not an answer to
/// that is left to the request that shows something.
async fn asks(root: &Url, transport: &Transport) -> Result<bool, Error> {
    let exchange = Exchange::new(Method::GET, root.clone());
    let idle = transport.options().timeouts.idle;
    let connections = transport.host(root)?.connections;
    match tokio::time::timeout(idle, connections.client(true).get(root.clone()).send()).await {
        Ok(Ok(answer)) => Ok(answer.status() != StatusCode::OK || answer::Head::of(&answer).is_html()),
        Ok(Err(error)) => Err(exchange.transport(error)),
        Err(_) => Err(exchange.silence(idle)),
    }
}
