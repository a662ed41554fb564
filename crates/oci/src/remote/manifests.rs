//! Manifests and indexes by tag or digest: bytes as they are, with their digest checked.

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Response, StatusCode, header};
use url::Url;

use super::answer;
use super::auth::Scope;
use super::client::{self, Client};
use super::exchange::Exchange;
use super::head::{self, Head};
use super::request::Request;
use crate::repository::MANIFEST_LIMIT;
use crate::{Descriptor, Digest, Error, RawManifest, media_type};

const WANTED: &str = "a manifest";

/// In which a registry states the digest of what it sends or took.
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// What the manifest at `url` is, by HEAD; by GET if the registry does not do that or does not say enough.
pub(super) async fn resolve(client: &Client, name: &str, url: Url) -> Result<Option<Descriptor>, Error> {
    let request = Request::new(Method::HEAD, url.clone(), Scope::pull(name)).header(header::ACCEPT, accept());
    match head::send(client, &request, WANTED).await? {
        Head::Absent => return Ok(None),
        Head::Found(found) => {
            let digest = stated_digest(&found);
            let size = answer::header(&found, header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
            let media_type = media_type(&found);
            if let (Some(digest), Some(size)) = (digest, size)
                && media_type::ALL_MANIFESTS.contains(&media_type.as_str())
            {
                return Ok(Some(Descriptor::new(media_type, digest, size)));
            }
        }
        Head::Unclear => {}
    }
    let raw = get(client, name, url, None).await?;
    Ok(raw.map(|raw| Descriptor::new(raw.media_type, raw.digest, raw.bytes.len() as u64)))
}

/// The manifest at `url`, of which the digest must be `expected` if it is known.
pub(super) async fn get(
    client: &Client,
    name: &str,
    url: Url,
    expected: Option<Digest>,
) -> Result<Option<RawManifest>, Error> {
    let request = Request::new(Method::GET, url, Scope::pull(name)).header(header::ACCEPT, accept());
    let exchange = &request.exchange;
    let (response, bytes) = client.receive(&request, MANIFEST_LIMIT).await?;
    let response = client.refuse_html(exchange, WANTED, response).await?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => return Ok(None),
        _ => return Err(client.failure(exchange, response).await),
    }
    let expected = expected.or_else(|| stated_digest(&response));
    let media_type = media_type(&response);
    let digest = Digest::of(&bytes);
    check_digest(exchange, expected, digest)?;
    Ok(Some(RawManifest { media_type, digest, bytes }))
}

/// Puts a manifest at `url`. The same one is put by one thread at a time: registries have been seen to fail over
/// several that arrive together.
pub(super) async fn put(
    client: &Client,
    name: &str,
    url: Url,
    media_type: &str,
    bytes: &[u8],
) -> Result<Digest, Error> {
    let request = Request::new(Method::PUT, url, Scope::push(name)).bytes(bytes.to_vec());
    let exchange = &request.exchange;
    let media_type = HeaderValue::from_str(media_type)
        .map_err(|_| exchange.protocol(format!("{media_type:?} is no media type")))?;
    let request = request.clone().header(header::CONTENT_TYPE, media_type);
    let turn = client.turns().of(Digest::of(bytes));
    let _turn = turn.lock().await;
    let response = client.send(&request).await?;
    let response = client.refuse_html(exchange, "an acknowledgement", response).await?;
    if !matches!(response.status(), StatusCode::CREATED | StatusCode::OK | StatusCode::NO_CONTENT) {
        return Err(client.failure(exchange, response).await);
    }
    let digest = Digest::of(bytes);
    // A registry that rewrote the manifest would have tagged something that nobody knows.
    check_digest(exchange, stated_digest(&response), digest)?;
    Ok(digest)
}

/// Deletes what is at `url`; false if there is nothing.
pub(super) async fn delete(client: &Client, name: &str, url: Url) -> Result<bool, Error> {
    let request = Request::new(Method::DELETE, url, Scope::delete(name));
    let response = client.send(&request).await?;
    match response.status() {
        StatusCode::ACCEPTED | StatusCode::OK | StatusCode::NO_CONTENT => Ok(true),
        // The answer to an earlier attempt may have been lost, after it was done.
        StatusCode::NOT_FOUND if !answer::Head::of(&response).is_html() => {
            Ok(client::was_tried_again(&response))
        }
        _ => Err(client.failure(&request.exchange, response).await),
    }
}

fn accept() -> HeaderValue {
    // Media types are plain text.
    HeaderValue::from_str(&media_type::ALL_MANIFESTS.join(", ")).unwrap_or(HeaderValue::from_static("*/*"))
}

fn media_type(response: &Response) -> String {
    media_type::essence(&answer::header(response, header::CONTENT_TYPE).unwrap_or_default())
}

/// One that is not sha256 cannot be compared, and is no reason to fail.
fn stated_digest(response: &Response) -> Option<Digest> {
    answer::header(response, CONTENT_DIGEST)?.parse().ok()
}

fn check_digest(exchange: &Exchange, expected: Option<Digest>, actual: Digest) -> Result<(), Error> {
    match expected {
        Some(expected) if expected != actual => {
            Err(Error::ManifestDigest { location: exchange.shown(), expected, actual })
        }
        _ => Ok(()),
    }
}
