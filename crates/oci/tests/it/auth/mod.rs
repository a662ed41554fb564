//! Authorization from outside: how often who is asked for what, and what is said when it does not work.

mod credentials;
mod failures;
mod tokens;

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use strata_oci::{
    Credentials, Digest, RemoteRepository, RetryPolicy, Secret, Timeouts, Transport, TransportOptions,
};

use crate::fault_server::{FaultServer, Request, reply};

const PASSWORD: &str = "hunter2 & co";
/// `user:hunter2 & co`.
const BASIC: &str = "Basic dXNlcjpodW50ZXIyICYgY28=";

fn user() -> Option<Credentials> {
    Some(Credentials::password("user", Secret::new(PASSWORD), "the test's own"))
}

fn options() -> TransportOptions {
    let timeouts = Timeouts {
        connect: Duration::from_secs(5),
        idle: Duration::from_secs(10),
        commit: Duration::from_secs(10),
    };
    let moment = Duration::from_millis(1);
    let retry = RetryPolicy {
        attempts: 3,
        first_delay: moment,
        longest_delay: moment,
        patience: Duration::from_secs(5),
    };
    TransportOptions { timeouts, retry, ..TransportOptions::default() }
}

fn open_with(
    registry: &FaultServer,
    options: TransportOptions,
    credentials: Option<Credentials>,
) -> RemoteRepository {
    let url = format!("oci+http://127.0.0.1:{}/some/cache", registry.port()).parse().unwrap();
    RemoteRepository::open(&url, &Transport::new(options), credentials).unwrap()
}

fn open(registry: &FaultServer, credentials: Option<Credentials>) -> RemoteRepository {
    open_with(registry, options(), credentials)
}

/// A registry that has one blob, takes all others, and lets through what `allows` the request.
fn registry(challenge: String, allows: impl Fn(&Request) -> bool + Send + Sync + 'static) -> FaultServer {
    FaultServer::start(move |request| {
        if !allows(request) {
            let body = r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#;
            return reply(401, &[("WWW-Authenticate", &challenge)], body);
        }
        let target = request.target.as_str();
        match request.method.as_str() {
            "HEAD" if target.ends_with(&Digest::of(b"there").to_string()) => {
                reply(200, &[("Content-Length", "5")], "")
            }
            "POST" => reply(202, &[("Location", "/v2/some/cache/blobs/uploads/1?_state=x")], ""),
            "PUT" => reply(201, &[], ""),
            "DELETE" => reply(202, &[], ""),
            "GET" => reply(200, &[], r#"{"tags":["t"]}"#),
            _ => reply(404, &[], ""),
        }
    })
}

fn challenge(tokens: &FaultServer) -> String {
    // The scope is GHCR's placeholder, which is never to be asked for.
    format!(
        "Negotiate, Bearer realm=\"{}/token\",service=\"the registry\",scope=\"repository:user/image:pull\"",
        tokens.base()
    )
}

/// A token server whose tokens are numbered and say what they are for: `1.repository:some/cache:pull`.
fn token_server() -> FaultServer {
    let issued = AtomicUsize::new(1);
    FaultServer::start(move |request| {
        std::thread::sleep(Duration::from_millis(20));
        let number = issued.fetch_add(1, Ordering::SeqCst);
        let scopes = scopes(request).join("+");
        reply(200, &[], format!(r#"{{"token":"{number}.{scopes}","expires_in":300}}"#))
    })
}

/// The values of the parameter `scope`.
fn scopes(request: &Request) -> Vec<String> {
    let url = url_of(request);
    url.query_pairs().filter(|(key, _)| key == "scope").map(|(_, value)| value.into_owned()).collect()
}

fn url_of(request: &Request) -> reqwest::Url {
    format!("http://token-server{}", request.target).parse().unwrap()
}

fn authorization(request: &Request) -> &str {
    request.header("authorization").unwrap_or_default()
}

/// The token of a request has a scope that allows it.
fn token_allows(request: &Request) -> bool {
    let wanted = match request.method.as_str() {
        "GET" | "HEAD" => "pull",
        "DELETE" => "delete",
        _ => "push",
    };
    let (_, scope) = authorization(request).split_once('.').unwrap_or_default();
    scope.starts_with("repository:some/cache:") && scope.contains(wanted)
}

fn refusals(registry: &FaultServer) -> usize {
    registry.requests().iter().filter(|request| authorization(request).is_empty()).count()
}

fn there() -> Digest {
    Digest::of(b"there")
}

fn in_parallel(count: usize, work: impl Fn() + Sync) {
    let barrier = Barrier::new(count);
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                barrier.wait();
                work();
            });
        }
    });
}
