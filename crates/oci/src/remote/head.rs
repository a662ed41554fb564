//! HEAD, and what its answer is good for: registries, proxies and signed URLs allow it less than they allow GET.

use reqwest::{Response, StatusCode};

use super::answer;
use super::client::Client;
use super::request::Request;
use crate::Error;

/// What came of a HEAD.
pub(super) enum Head {
    /// It is there; how much of it is said is another matter.
    Found(Response),
    /// The registry says that there is no such thing.
    Absent,
    /// It is not allowed, or no registry has answered. GET will tell, and the answer to GET has words, too.
    Unclear,
}

/// Sends `request`, a HEAD for what errors call `wanted`.
pub(super) async fn send(client: &Client, request: &Request, wanted: &'static str) -> Result<Head, Error> {
    let exchange = &request.exchange;
    let head = client.send(request).await?;
    match head.status() {
        // That there is no such thing must come from a registry, and a page does not.
        StatusCode::NOT_FOUND if !answer::Head::of(&head).is_html() => Ok(Head::Absent),
        StatusCode::OK => {
            answer::refuse_html(exchange, wanted, &head, "")?;
            Ok(Head::Found(head))
        }
        StatusCode::UNAUTHORIZED
        | StatusCode::FORBIDDEN
        | StatusCode::NOT_FOUND
        | StatusCode::METHOD_NOT_ALLOWED => Ok(Head::Unclear),
        _ => Err(client.failure(exchange, head).await),
    }
}
