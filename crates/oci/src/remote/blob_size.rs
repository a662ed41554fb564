//! How many bytes a blob has, and thereby whether it is there.

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, header};
use url::Url;

use super::answer;
use super::auth::Scope;
use super::client::Client;
use super::head::{self, Head};
use super::request::Request;
use crate::Error;

const WANTED: &str = "a blob";

/// The size of the blob at `url`, asked for with HEAD; with a GET of its first byte where HEAD is not allowed.
/// Registries that redirect to storage with URLs signed for GET answer 401 or 403 to HEAD.
pub(super) async fn ask(client: &Client, name: &str, url: &Url) -> Result<Option<u64>, Error> {
    let request = Request::new(Method::HEAD, url.clone(), Scope::pull(name));
    match head::send(client, &request, WANTED).await? {
        Head::Absent => return Ok(None),
        Head::Found(found) => {
            if let Some(length) = answer::header(&found, header::CONTENT_LENGTH) {
                return request.exchange.parsed("Content-Length", &length).map(Some);
            }
        }
        Head::Unclear => {}
    }
    of_first_byte(client, name, url).await
}

async fn of_first_byte(client: &Client, name: &str, url: &Url) -> Result<Option<u64>, Error> {
    let request = Request::new(Method::GET, url.clone(), Scope::pull(name))
        .header(header::RANGE, HeaderValue::from_static("bytes=0-0"));
    let exchange = &request.exchange;
    let part = client.send(&request).await?;
    let part = client.refuse_html(exchange, WANTED, part).await?;
    let range = answer::header(&part, header::CONTENT_RANGE);
    let total = range.as_deref().and_then(|range| range.rsplit_once('/')).map(|(_, total)| total);
    match part.status() {
        StatusCode::NOT_FOUND => Ok(None),
        // An empty blob has no first byte.
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if total.is_some() => {
            exchange.parsed("Content-Range", total.unwrap_or_default()).map(Some)
        }
        StatusCode::OK => match answer::header(&part, header::CONTENT_LENGTH) {
            Some(length) => exchange.parsed("Content-Length", &length).map(Some),
            None => Err(exchange.protocol("it does not say how long the blob is")),
        },
        _ => Err(client.failure(exchange, part).await),
    }
}
