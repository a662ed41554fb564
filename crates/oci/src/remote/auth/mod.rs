//! Authorization: from the challenge of a registry to the header that answers it.
//!
//! Nothing is shown to a registry before it asks. Its first challenge is remembered, so that a repository costs one
//! 401 and not one per request. What a token is asked for is what the request needs, and never what the challenge
//! proposes: GHCR's proposes a repository that does not exist, and others more than we may do.

mod authorization;
mod challenge;
mod flight;
mod redaction;
mod scope;
mod token;
mod token_answer;
mod token_refusal;
mod token_server;
mod tokens;
mod wallet;

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Response;
use url::Url;

pub(super) use self::authorization::Authorization;
use self::challenge::Challenge;
use self::flight::Outcome;
pub(super) use self::redaction::of_authorization as without_authorization;
pub(super) use self::scope::Scope;
use self::token::TokenRequest;
use self::token_answer::Token;
use self::token_server::TokenServer;
use self::tokens::Tokens;
use self::wallet::{Held, Wallet};
use super::exchange::Exchange;
use super::http::Connections;
use super::transport::TransportOptions;
use crate::{Credentials, Error, Identity};

/// Knows, for one repository, who to be and what the registry wants to see.
pub(super) struct Authenticator {
    /// Any URL of the registry.
    registry: Url,
    host: String,
    options: TransportOptions,
    wallet: Arc<Wallet>,
    tokens: Tokens,
    wanted: Mutex<Wanted>,
}

/// What the registry wants to see.
#[derive(Debug, Clone)]
enum Wanted {
    /// Nothing so far.
    Nothing,
    /// A token of this server.
    Token(TokenServer),
    /// The credentials themselves.
    Credentials,
    /// Something we do not have: the schemes that it would take.
    Other(Vec<String>),
}

impl Authenticator {
    /// For the repository `repository` of the registry at `registry`, where it is known as `host`: with `given`
    /// credentials, else with those of the options' store, which is asked only when the registry wants some.
    pub(super) fn new(
        registry: &Url,
        host: &str,
        repository: &str,
        given: Option<Credentials>,
        options: &TransportOptions,
    ) -> Self {
        Self {
            registry: registry.clone(),
            host: host.to_string(),
            options: options.clone(),
            wallet: Arc::new(Wallet::new(host, repository, given, options.credentials.clone())),
            tokens: Tokens::default(),
            wanted: Mutex::new(Wanted::Nothing),
        }
    }

    /// What to send with a request before anything was refused: what answers the last challenge for this scope.
    /// Only for URLs that are [`the registry's`](Self::is_registry).
    pub(super) async fn authorization(
        &self,
        connections: &Connections,
        scope: &Scope,
    ) -> Result<Option<Authorization>, Error> {
        let known = match self.wanted() {
            Wanted::Nothing | Wanted::Other(_) => return Ok(None),
            Wanted::Token(server) => {
                self.tokens.get(scope, || self.fetch(connections, &server, scope)).await.map(Some)
            }
            Wanted::Credentials => {
                self.wallet.credentials().await.map(|held| held.and_then(|held| held.authorization()))
            }
        };
        known.map_err(Error::Authorization)
    }

    /// What to send instead of `refused`, to which `response` was 401; `None` if there is nothing better, so that
    /// the answer stands.
    pub(super) async fn answer(
        &self,
        connections: &Connections,
        exchange: &Exchange,
        response: &Response,
        scope: &Scope,
        refused: Option<&Authorization>,
    ) -> Result<Option<Authorization>, Error> {
        // A storage that the registry redirects to has no business with our credentials.
        if !self.is_registry(response.url()) {
            return Ok(None);
        }
        let challenges = challenge::of(response.headers());
        if !challenges.iter().any(|challenge| matches!(challenge.scheme.as_str(), "bearer" | "basic")) {
            // What it wanted before, it goes on to want: there are registries that refuse HEAD without a challenge.
            if matches!(self.wanted(), Wanted::Nothing | Wanted::Other(_)) {
                self.want(Wanted::Other(challenges.into_iter().map(|challenge| challenge.scheme).collect()));
            }
            return Ok(None);
        }
        if let Some(refused) = refused {
            self.tokens.forget(refused);
            // RFC 6750 section 3.1: one that is not good may be replaced, one that is good for less will stay so.
            let lacks_rights = |challenge: &Challenge| {
                challenge.scheme == "bearer" && challenge.parameter("error") == Some("insufficient_scope")
            };
            if refused.fresh && challenges.iter().any(lacks_rights) {
                return Ok(None);
            }
        }
        let mut held = self.wallet.credentials().await.map_err(Error::Authorization)?;
        if let (Some(refused), Some(credentials)) = (refused, &held)
            && credentials.is(refused)
        {
            if !self.wallet.renew(credentials) {
                return Ok(None);
            }
            held = self.wallet.credentials().await.map_err(Error::Authorization)?;
        }
        let held = held.as_deref();
        let wanted = self.choose(&challenges, held).map_err(|problem| exchange.protocol(problem))?;
        self.want(wanted.clone());
        match wanted {
            Wanted::Token(server) => {
                let token = self.tokens.get_exact(scope, || self.fetch(connections, &server, scope)).await;
                token.map(Some).map_err(Error::Authorization)
            }
            _ => Ok(held.and_then(Held::authorization)),
        }
    }

    /// Whether `url` is the registry's own. What a registry points at may not be, and must not get an authorization.
    pub(super) fn is_registry(&self, url: &Url) -> bool {
        url.origin() == self.registry.origin()
    }

    /// That the registry did not refuse `authorization`. Credentials it accepted are worth looking up again when it
    /// refuses them later.
    pub(super) fn accepted(&self, authorization: &Authorization) {
        if let Some(held) = self.wallet.held().filter(|held| held.is(authorization)) {
            held.accept();
        }
    }

    /// Whether the registry, by its last challenge, takes credentials of a kind that we could have.
    pub(super) fn takes_credentials(&self) -> bool {
        matches!(self.wanted(), Wanted::Token(_) | Wanted::Credentials)
    }

    /// For a message about a 401 or 403 that stands: who we were.
    pub(super) fn tried(&self) -> String {
        let nobody =
            format!("without credentials, and none are configured for {0} (strata login {0})", self.host);
        match (self.wanted(), self.wallet.held()) {
            (Wanted::Nothing, _) => "without credentials, which the registry did not ask for".to_string(),
            (Wanted::Other(schemes), _) if schemes.is_empty() => {
                "without credentials, for the registry does not say how it would take them".to_string()
            }
            (Wanted::Other(schemes), _) => format!(
                "without credentials, for the registry takes them by {} only, and we know Bearer and Basic",
                schemes.join(" or ")
            ),
            (_, None) => nobody,
            (Wanted::Credentials, Some(held)) if held.authorization().is_none() => format!(
                "without credentials, for the registry wants a password, and {} has an identity token",
                held.credentials.origin
            ),
            (_, Some(held)) => held.described(),
        }
    }

    /// What answers one of the challenges: a token if tokens are offered, else the password. The error says why
    /// there is nothing.
    fn choose(&self, challenges: &[Challenge], held: Option<&Held>) -> Result<Wanted, String> {
        let identity = held.map(|held| &held.credentials.identity);
        if matches!(identity, Some(Identity::RegistryToken(_))) {
            return Ok(Wanted::Credentials);
        }
        let offered = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        match offered("bearer").map(|challenge| TokenServer::of(challenge, &self.registry)) {
            Some(Ok(server)) => Ok(Wanted::Token(server)),
            Some(Err(problem)) if offered("basic").is_none() => Err(problem),
            _ => Ok(Wanted::Credentials),
        }
    }

    /// Asks `server` for a token; once more if it refuses credentials that may have been replaced since.
    fn fetch(
        &self,
        connections: &Connections,
        server: &TokenServer,
        scope: &Scope,
    ) -> impl Future<Output = Outcome<Arc<Token>>> + Send + 'static {
        let (wallet, options) = (Arc::clone(&self.wallet), self.options.clone());
        let (connections, server, host) = (connections.clone(), server.clone(), self.host.clone());
        let scope = scope.clone();
        async move {
            let ask = async |held: Option<&Held>| -> Result<Arc<Token>, Error> {
                let (connections, options, server) = (&connections, &options, &server);
                let credentials = held.map(|held| &held.credentials);
                let request =
                    TokenRequest { connections, options, server, host: &host, scope: &scope, credentials };
                let token = request.send().await?;
                held.inspect(|held| held.accept());
                Ok(Arc::new(token))
            };
            let held = wallet.credentials().await?;
            match (ask(held.as_deref()).await, held) {
                (Err(Error::TokenRefused { .. }), Some(held)) if wallet.renew(&held) => {
                    Ok(ask(wallet.credentials().await?.as_deref()).await?)
                }
                (outcome, _) => Ok(outcome?),
            }
        }
    }

    fn wanted(&self) -> Wanted {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn want(&self, wanted: Wanted) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn authenticator(given: Option<Credentials>) -> Authenticator {
        let registry = Url::parse("https://ghcr.io/v2/org/cache/").unwrap();
        Authenticator::new(&registry, "ghcr.io", "org/cache", given, &TransportOptions::default())
    }

    fn given(identity: Identity) -> Option<Credentials> {
        Some(Credentials { identity, origin: "the file".to_string() })
    }

    fn password() -> Option<Credentials> {
        given(Identity::Password { username: "user".to_string(), password: Secret::new("hunter2") })
    }

    /// What was tried, with these credentials, after the registry wanted something.
    async fn tried(given: Option<Credentials>, wanted: Wanted) -> String {
        let authenticator = authenticator(given);
        let _ = authenticator.wallet.credentials().await.unwrap();
        authenticator.want(wanted);
        authenticator.tried()
    }

    #[tokio::test]
    async fn it_says_who_we_were() {
        let refresh = given(Identity::RefreshToken(Secret::new("hunter2")));
        let other =
            |schemes: &[&str]| Wanted::Other(schemes.iter().map(|scheme| scheme.to_string()).collect());
        for (credentials, wanted, expected) in [
            (password(), Wanted::Credentials, "as user (from the file)"),
            (password(), Wanted::Nothing, "without credentials, which the registry did not ask for"),
            (
                None,
                Wanted::Credentials,
                "without credentials, and none are configured for ghcr.io (strata login ghcr.io)",
            ),
            (password(), other(&["negotiate", "ntlm"]), "by negotiate or ntlm only"),
            (password(), other(&[]), "does not say how"),
            (refresh, Wanted::Credentials, "wants a password, and the file has an identity token"),
        ] {
            let tried = tried(credentials, wanted).await;
            assert!(tried.contains(expected) && !tried.contains("hunter2"), "{tried}");
        }
    }

    #[test]
    fn tokens_go_before_passwords_and_passwords_before_servers_that_cannot_be_asked() {
        let choose = |line: &str| {
            let mut headers = reqwest::header::HeaderMap::new();
            headers.insert(reqwest::header::WWW_AUTHENTICATE, line.parse().unwrap());
            authenticator(None).choose(&challenge::of(&headers), None)
        };
        let token = "Bearer realm=\"https://auth/token\"";
        let insecure = "Bearer realm=\"http://auth/token\"";
        assert!(matches!(choose(&format!("Basic realm=x, {token}")), Ok(Wanted::Token(_))));
        assert!(matches!(choose("Basic realm=x"), Ok(Wanted::Credentials)));
        assert!(matches!(choose(&format!("{insecure}, Basic realm=x")), Ok(Wanted::Credentials)));
        assert!(choose(insecure).unwrap_err().contains("over plain http"));
    }
}
