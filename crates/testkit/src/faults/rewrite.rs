//! Changes to what a server answers: the quirks that are in headers and documents.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::Response;

use super::Fault;

/// Any change.
pub fn with(change: impl FnOnce(Response) -> Response + Send + 'static) -> Fault {
    Fault::Rewrite(Box::new(change))
}

/// A header that the server does not send, or sends with another value.
pub fn set_header(name: &'static str, value: impl Into<String>) -> Fault {
    let value = HeaderValue::from_str(&value.into()).expect("a header's value");
    with(move |mut response| {
        response.headers_mut().insert(HeaderName::from_static(name), value);
        response
    })
}

/// A header that gets lost on the way. Without `Content-Length` an answer is sent in chunks.
pub fn remove_header(name: &'static str) -> Fault {
    with(move |mut response| {
        response.headers_mut().remove(name);
        // The server would say again what it knows of the body.
        let is_length = header::CONTENT_LENGTH.as_str() == name;
        if is_length { response.map(|body| Body::from_stream(body.into_data_stream())) } else { response }
    })
}

/// A header that has another value than the server gave it, if it gave it one.
pub fn change_header(name: &'static str, change: impl FnOnce(&str) -> String + Send + 'static) -> Fault {
    with(move |mut response| {
        if let Some(value) = response.headers().get(name).and_then(|value| value.to_str().ok()) {
            let value = HeaderValue::from_str(&change(value)).expect("a header's value");
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
        response
    })
}

/// The `Location` of an upload, as another kind of registry has it.
pub fn change_location(change: impl FnOnce(&str) -> String + Send + 'static) -> Fault {
    change_header("location", change)
}

/// Another body, of another type.
pub fn set_body(content_type: &'static str, body: impl Into<Vec<u8>>) -> Fault {
    let body = body.into();
    with(move |response| {
        let (mut head, _) = response.into_parts();
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        Response::from_parts(head, Body::from(body))
    })
}
