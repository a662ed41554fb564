//! The real registry in each of its forms, and the token server that it believes.

#[allow(dead_code, missing_docs, unreachable_pub)]
mod http;

use http::{Reply, send};
use strata_testkit::certificates::Authority;
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden::skipped;
use strata_testkit::token_server::{Field, Rights, TokenOptions, TokenServer};

const TAGS: &str = "GET /v2/some/cache/tags/list";

/// The token in a token server's answer.
fn token(reply: &Reply) -> String {
    let text = String::from_utf8_lossy(&reply.body);
    let at = text.find("token\":\"").expect("a token") + "token\":\"".len();
    text[at..].split('"').next().unwrap_or_default().to_string()
}

#[test]
fn passwords_are_asked_for() {
    let Some(registry) = DockerRegistry::builder().user("me", "secret").start() else {
        return skipped("passwords_are_asked_for", "docker-registry is not installed");
    };
    let refused = send(registry.port(), TAGS, &[], b"");
    assert_eq!(refused.status(), Some(401));
    assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"test\""));
    let taken = send(registry.port(), TAGS, &[("Authorization", "Basic bWU6c2VjcmV0")], b"");
    assert_eq!(taken.status(), Some(404), "no such repository yet");
}

#[test]
fn signed_tokens_are_believed() {
    let options = TokenOptions { signed: true, ..TokenOptions::only("me", "secret", Rights::Pull) };
    let tokens = TokenServer::start(options);
    let Some(registry) = DockerRegistry::builder().tokens(&tokens).start() else {
        return skipped("signed_tokens_are_believed", "docker-registry is not installed");
    };
    let refused = send(registry.port(), TAGS, &[], b"");
    let challenge = refused.header("www-authenticate").expect("a challenge");
    assert!(challenge.contains(&format!("realm=\"{}\"", tokens.realm())), "{challenge}");
    let port = tokens.port();
    let scope = "scope=repository:some/cache:pull,push&service=test+registry";
    assert_eq!(send(port, &format!("GET /token?{scope}"), &[], b"").status(), Some(401));
    let basic = ("Authorization", "Basic bWU6c2VjcmV0");
    let reply = send(port, &format!("GET /token?{scope}"), &[basic], b"");
    let bearer = format!("Bearer {}", token(&reply));
    let shown = ("Authorization", bearer.as_str());
    assert_eq!(send(registry.port(), TAGS, &[shown], b"").status(), Some(404), "no such repository yet");
    let put = send(registry.port(), "POST /v2/some/cache/blobs/uploads/", &[shown], b"");
    assert_eq!(put.status(), Some(401), "the token allows only pull");
    assert_eq!(tokens.count(&["repository:some/cache:pull,push"]), 2);
}

#[test]
fn tls_is_with_a_certificate_of_the_authority() {
    let authority = Authority::new();
    // That it starts says it all: its readiness is asked for by TLS that trusts this authority alone.
    let Some(registry) = DockerRegistry::builder().tls(&authority).start() else {
        return skipped("tls_is_with_a_certificate_of_the_authority", "docker-registry is not installed");
    };
    assert!(registry.url("x").starts_with("oci://127.0.0.1:"));
    assert_eq!(send(registry.port(), TAGS, &[], b"").status(), Some(400), "plain http is refused");
}

#[test]
fn a_token_server_takes_refresh_tokens_and_refuses_what_it_should() {
    let options = TokenOptions {
        refresh_tokens: vec!["refresh-me".to_string()],
        refuse_excess: true,
        field: Field::AccessToken,
        expires_in: None,
        anonymous: Rights::Pull,
        ..TokenOptions::default()
    };
    let tokens = TokenServer::start(options);
    let port = tokens.port();
    let form = b"grant_type=refresh_token&service=s&client_id=c&refresh_token=refresh-me\
                 &scope=repository:a:pull,push%20repository:b:pull";
    let kind = ("Content-Type", "application/x-www-form-urlencoded");
    let reply = send(port, "POST /token", &[kind], form);
    assert_eq!(reply.status(), Some(200));
    assert!(String::from_utf8_lossy(&reply.body).starts_with("{\"access_token\":\""));
    assert!(!String::from_utf8_lossy(&reply.body).contains("expires_in"));
    let request = &tokens.requests()[0];
    assert_eq!(request.scopes, ["repository:a:pull,push", "repository:b:pull"]);
    let wrong = send(port, "POST /token", &[kind], b"grant_type=refresh_token&refresh_token=other");
    assert_eq!(wrong.status(), Some(401));
    assert_eq!(send(port, "GET /token?scope=repository:a:pull", &[], b"").status(), Some(200));
    assert_eq!(send(port, "GET /token?scope=repository:a:pull,push", &[], b"").status(), Some(403));
}
