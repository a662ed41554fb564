//! [`Storage`]: a second host, to which registries send their clients for what they have signed a URL for.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use crate::faults::{Faults, Log};
use crate::server::Server;

/// A storage of one object, which is had by any path with a signature that was given and not used yet. As the storage
/// services do, it refuses whoever shows it credentials beside a signature (400), and HEAD with a URL that was signed
/// for GET (403).
pub struct Storage {
    server: Server,
    signatures: Arc<Mutex<HashSet<String>>>,
    faults: Faults,
}

impl Storage {
    /// Starts one with this object.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn start(object: impl Into<Vec<u8>>) -> Self {
        let object = Bytes::from(object.into());
        let signatures: Arc<Mutex<HashSet<String>>> = Arc::default();
        let given = Arc::clone(&signatures);
        let faults = Faults::none();
        let router = Router::new().fallback(move |request: Request| {
            let used = given.lock().unwrap_or_else(PoisonError::into_inner).remove(signature(&request));
            let response = answer(&request, used, &object);
            async move { response }
        });
        Self { server: Server::start(faults.around(router), None), signatures, faults }
    }

    /// A URL that is good for one GET. By the name `localhost`: another host than 127.0.0.1, as far as clients know.
    pub fn signed_url(&self) -> String {
        let signature: String = std::iter::repeat_with(fastrand::alphanumeric).take(24).collect();
        let url = format!("http://localhost:{}/bucket/object?X-Blank=&X-Signature={signature}", self.port());
        self.signatures.lock().unwrap_or_else(PoisonError::into_inner).insert(signature);
        url
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// The requests that it was sent.
    pub fn log(&self) -> &Log {
        self.faults.log()
    }

    /// What goes wrong with it.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

fn signature(request: &Request) -> &str {
    // One for HEAD is not used up.
    let query = request.uri().query().filter(|_| *request.method() == Method::GET).unwrap_or_default();
    query.split_once("X-Signature=").map_or("", |(_, signature)| signature)
}

fn answer(request: &Request, is_signed: bool, object: &Bytes) -> Response {
    let mut response = Response::new(Body::empty());
    let status = match *request.method() {
        _ if request.headers().contains_key(header::AUTHORIZATION) => StatusCode::BAD_REQUEST,
        Method::GET if is_signed => StatusCode::OK,
        _ => StatusCode::FORBIDDEN,
    };
    *response.status_mut() = status;
    if status != StatusCode::OK {
        return response.map(|_| Body::from("<Error><Code>SignatureDoesNotMatch</Code></Error>"));
    }
    let Some((first, last)) = range(request.headers(), object.len()) else {
        return response.map(|_| Body::from(object.clone()));
    };
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let stated = format!("bytes {first}-{last}/{}", object.len());
    if let Ok(stated) = HeaderValue::from_str(&stated) {
        response.headers_mut().insert(header::CONTENT_RANGE, stated);
    }
    response.map(|_| Body::from(object.slice(first..=last)))
}

/// The first and last byte that are asked for by `Range: bytes=FIRST-` or `bytes=FIRST-LAST`.
fn range(headers: &HeaderMap, length: usize) -> Option<(usize, usize)> {
    let (first, last) = headers.get(header::RANGE)?.to_str().ok()?.strip_prefix("bytes=")?.split_once('-')?;
    let last = last.parse().unwrap_or(usize::MAX).min(length.checked_sub(1)?);
    let first = first.parse().ok()?;
    (first <= last).then_some((first, last))
}
