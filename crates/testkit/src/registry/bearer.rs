//! [`Bearer`]: token authentication in front of a registry that does not have it itself.
//!
//! What a request needs is decided as the distribution project's registry does: GET and HEAD need pull; POST, PUT and
//! PATCH need pull and push; DELETE needs delete; and a mount needs pull of where it mounts from.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;

use crate::token_server::{SERVICE, TokenBook, Verdict};

/// Lets through only what shows a token that allows it.
#[derive(Clone)]
pub(super) struct Bearer {
    realm: String,
    book: TokenBook,
}

impl Bearer {
    pub(super) fn new(realm: String, book: TokenBook) -> Self {
        Self { realm, book }
    }

    pub(super) fn around(self, router: Router) -> Router {
        router.layer(from_fn(move |request: Request, next: Next| {
            let bearer = self.clone();
            async move {
                let wanted = wanted(&request);
                match bearer.refusal(&request, &wanted) {
                    Some(refusal) => refusal,
                    None => next.run(request).await,
                }
            }
        }))
    }

    fn refusal(&self, request: &Request, wanted: &[(String, &'static str)]) -> Option<Response> {
        let shown = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown.and_then(|value| value.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let problem = match token.map(|(_, token)| self.book.check(token, wanted)) {
            Some(Verdict::Good) => return None,
            Some(Verdict::Insufficient) => ",error=\"insufficient_scope\"",
            Some(Verdict::Invalid) => ",error=\"invalid_token\"",
            None => "",
        };
        let scope = match wanted.first() {
            Some((repository, _)) => {
                let actions: Vec<&str> =
                    wanted.iter().filter(|(name, _)| name == repository).map(|(_, action)| *action).collect();
                format!(",scope=\"repository:{repository}:{}\"", actions.join(","))
            }
            None => String::new(),
        };
        let challenge = format!("Bearer realm=\"{}\",service=\"{SERVICE}\"{scope}{problem}", self.realm);
        let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
        let mut response = match *request.method() {
            Method::HEAD => Response::new(Body::empty()),
            _ => Response::new(Body::from(body)),
        };
        *response.status_mut() = StatusCode::UNAUTHORIZED;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_str(&challenge).ok()?);
        Some(response)
    }
}

/// What a request needs, as repository and action; nothing, but a token all the same, if it is for no repository.
fn wanted(request: &Request) -> Vec<(String, &'static str)> {
    let path = request.uri().path().strip_prefix("/v2/").unwrap_or_default();
    let end =
        ["/blobs/", "/manifests/", "/tags/", "/referrers/"].iter().filter_map(|part| path.rfind(part)).max();
    let Some(end) = end else { return Vec::new() };
    let repository = path[..end].to_string();
    let mut wanted: Vec<_> = match *request.method() {
        Method::GET | Method::HEAD => vec![(repository, "pull")],
        Method::DELETE => vec![(repository, "delete")],
        _ => vec![(repository.clone(), "pull"), (repository, "push")],
    };
    let query = request.uri().query().unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if name == "from" {
            wanted.push((value.into_owned(), "pull"));
        }
    }
    wanted
}
