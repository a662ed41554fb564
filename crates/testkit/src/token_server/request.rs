//! [`TokenRequest`]: what a client says when it asks for a token.

use std::fmt;

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{Method, header};
use base64::Engine as _;

/// The most bytes of a form.
const FORM_LIMIT: usize = 64 << 10;

/// Who asked for a token, and for which.
#[derive(Clone)]
pub struct TokenRequest {
    /// GET or POST.
    pub method: Method,
    /// Whom the client says it is, by Basic.
    pub user: Option<String>,
    /// The password that it gave.
    pub password: Option<String>,
    /// The refresh token that it gave.
    pub refresh_token: Option<String>,
    /// The service that the token is to be for.
    pub service: Option<String>,
    /// The scopes, one by one, in the order asked for.
    pub scopes: Vec<String>,
    /// What else there was, as name and value.
    pub others: Vec<(String, String)>,
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {:?} for {:?}", self.method, self.user, self.scopes)
    }
}

impl TokenRequest {
    pub(super) async fn receive(request: Request) -> Self {
        let (head, body) = request.into_parts();
        let basic = head.headers.get(header::AUTHORIZATION).and_then(|value| basic(value.to_str().ok()?));
        let (user, password) = basic.unzip();
        let form = to_bytes(body, FORM_LIMIT).await.unwrap_or_default();
        let fields = match head.method {
            Method::POST => &form[..],
            _ => head.uri.query().unwrap_or_default().as_bytes(),
        };
        let mut request = Self {
            method: head.method,
            user,
            password,
            refresh_token: None,
            service: None,
            scopes: Vec::new(),
            others: Vec::new(),
        };
        for (name, value) in url::form_urlencoded::parse(fields).into_owned() {
            match name.as_str() {
                "service" => request.service = Some(value),
                "refresh_token" => request.refresh_token = Some(value),
                // A form has one field with all of them, a query has one for each.
                "scope" => request.scopes.extend(value.split_whitespace().map(String::from)),
                _ => request.others.push((name, value)),
            }
        }
        request
    }
}

/// User and password of `Basic …` (RFC 7617).
fn basic(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let (user, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    scheme.eq_ignore_ascii_case("basic").then(|| (user.to_string(), password.to_string()))
}
