//! A small token server as the distribution project specifies them ("Token Authentication Specification" and
//! "Oauth2 Token Authentication"): GET with Basic or without credentials, POST with a refresh token.

mod book;
mod jwt;
mod request;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use strata_registry::ServerCertificate;

pub use self::book::{Grant, TokenBook, Verdict};
use self::jwt::Signer;
pub use self::request::TokenRequest;
use crate::faults::{Faults, Log};
use crate::server::Server;

/// What the server calls the registry that its tokens are for.
pub const SERVICE: &str = "test registry";
/// What the server calls itself.
pub const ISSUER: &str = "test token server";

/// What somebody may do with all repositories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rights {
    /// No token at all.
    Nothing,
    /// Read.
    Pull,
    /// Read, write and delete.
    Everything,
}

/// In which field of the answer the token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// `token`, as most have it.
    Token,
    /// `access_token`, as OAuth 2 has it.
    AccessToken,
}

/// How a [`TokenServer`] behaves.
pub struct TokenOptions {
    /// Users, their passwords and what they may do.
    pub users: Vec<(String, String, Rights)>,
    /// Refresh tokens, which stand for users who may do everything.
    pub refresh_tokens: Vec<String>,
    /// What those may do who say nothing of themselves.
    pub anonymous: Rights,
    /// Whether whoever asks for more than he may do is refused (403); else he gets a token for what he may.
    pub refuse_excess: bool,
    /// Where the token is.
    pub field: Field,
    /// For how long a token is good.
    pub valid_for: Duration,
    /// What is said about that, in seconds, if anything is.
    pub expires_in: Option<u64>,
    /// Whether tokens are signed (JWT), for a registry that checks them by a certificate; else they are random, and
    /// whoever has the [`TokenBook`] knows what they are good for.
    pub signed: bool,
    /// With TLS, if there is a certificate.
    pub certificate: Option<ServerCertificate>,
}

impl Default for TokenOptions {
    /// Everybody may do everything, with random tokens for five minutes.
    fn default() -> Self {
        Self {
            users: Vec::new(),
            refresh_tokens: Vec::new(),
            anonymous: Rights::Everything,
            refuse_excess: false,
            field: Field::Token,
            valid_for: Duration::from_secs(300),
            expires_in: Some(300),
            signed: false,
            certificate: None,
        }
    }
}

impl TokenOptions {
    /// Nobody may do anything but `user`.
    pub fn only(user: &str, password: &str, rights: Rights) -> Self {
        let users = vec![(user.to_string(), password.to_string(), rights)];
        Self { users, anonymous: Rights::Nothing, ..Self::default() }
    }
}

/// A running token server.
pub struct TokenServer {
    server: Server,
    shared: Arc<Shared>,
    faults: Faults,
}

struct Shared {
    options: TokenOptions,
    book: TokenBook,
    signer: Option<Signer>,
    requests: Mutex<Vec<TokenRequest>>,
}

impl TokenServer {
    /// Starts one.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn start(options: TokenOptions) -> Self {
        let certificate = options.certificate.clone();
        let signer = options.signed.then(Signer::new);
        let shared =
            Arc::new(Shared { options, book: TokenBook::default(), signer, requests: Mutex::default() });
        let asked = Arc::clone(&shared);
        let answer = move |request: axum::extract::Request| {
            let shared = Arc::clone(&asked);
            async move { shared.answer(TokenRequest::receive(request).await) }
        };
        let faults = Faults::none();
        let router = faults.around(Router::new().route("/token", get(answer.clone()).post(answer)));
        Self { server: Server::start(router, certificate), shared, faults }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Where tokens are asked for: what a challenge names as its realm.
    pub fn realm(&self) -> String {
        let scheme = if self.shared.options.certificate.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}/token", self.port())
    }

    /// What its random tokens are good for.
    pub fn book(&self) -> &TokenBook {
        &self.shared.book
    }

    /// The certificate by which its signed tokens can be checked, PEM; `None` if it does not sign them.
    pub fn certificate_bundle(&self) -> Option<PathBuf> {
        self.shared.signer.as_ref().map(Signer::certificate_bundle)
    }

    /// Who asked for what.
    pub fn requests(&self) -> Vec<TokenRequest> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a token for exactly these scopes was asked for.
    pub fn count(&self, scopes: &[&str]) -> usize {
        self.requests().iter().filter(|request| request.scopes == scopes).count()
    }

    /// The requests as they came.
    pub fn log(&self) -> &Log {
        self.faults.log()
    }

    /// What goes wrong with it.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }
}

impl Shared {
    fn answer(&self, request: TokenRequest) -> Response {
        let rights = self.rights(&request);
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        let Some(rights) = rights.filter(|rights| *rights > Rights::Nothing) else {
            return refusal(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "authentication required");
        };
        let asked: Vec<Grant> = request.scopes.iter().map(|scope| Grant::parse(scope)).collect();
        let granted: Vec<Grant> = asked.iter().map(|grant| grant.clone().limited_to(rights)).collect();
        if granted != asked && self.options.refuse_excess {
            return refusal(StatusCode::FORBIDDEN, "DENIED", "requested access to the resource is denied");
        }
        let user = request.user.as_deref().unwrap_or_default();
        let token = match &self.signer {
            Some(signer) => signer.token(user, &granted, self.options.valid_for),
            None => self.book.issue(granted, self.options.valid_for),
        };
        let mut document = serde_json::Map::new();
        let field = match self.options.field {
            Field::Token => "token",
            Field::AccessToken => "access_token",
        };
        document.insert(field.to_string(), token.into());
        if let Some(seconds) = self.options.expires_in {
            document.insert("expires_in".to_string(), seconds.into());
        }
        json(StatusCode::OK, &document.into())
    }

    /// What whoever made the request may do; `None` if he is not who he says.
    fn rights(&self, request: &TokenRequest) -> Option<Rights> {
        if request.method == Method::POST {
            let token = request.refresh_token.as_ref()?;
            return self.options.refresh_tokens.contains(token).then_some(Rights::Everything);
        }
        let Some(user) = &request.user else { return Some(self.options.anonymous) };
        let known = self.options.users.iter();
        known
            .filter(|(name, password, _)| name == user && Some(password) == request.password.as_ref())
            .map(|(_, _, rights)| *rights)
            .next()
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> Response {
    json(status, &serde_json::json!({"errors": [{"code": code, "message": message}]}))
}

fn json(status: StatusCode, document: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
