//! What is found out about a registry, and that nothing is left there by it.

use std::path::Path;

use strata_oci::{Credentials, Probe, Secret, probe};
use strata_oci::{
    ErrorKind, Outcome, RemoteRepository, RetryPolicy, Transport, TransportOptions, check_login,
};
use strata_testkit::docker_registry::DockerRegistry;
use strata_testkit::golden::skipped;

use crate::fault_server::{FaultServer, Request, html, reply};
use crate::image::Image;

fn transport() -> Transport {
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    Transport::new(TransportOptions { retry, ..TransportOptions::default() })
}

fn outcomes(probe: &Probe) -> Vec<(&'static str, Outcome)> {
    probe.checks.iter().map(|check| (check.name, check.outcome)).collect()
}

fn of(server: &FaultServer) -> Probe {
    probe(
        &format!("{}/some/cache", server.base().replace("http", "oci+http")).parse().unwrap(),
        &transport(),
        None,
    )
}

/// How many files there are below a directory. The registry itself forgets the states of its hashes when an upload is
/// ended, and removes them some days later.
fn files(directory: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let paths = entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("hashstates"));
    paths.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[test]
fn the_reference_registry_is_found_to_do_what_it_does() {
    let Some(registry) = DockerRegistry::start() else {
        return skipped("probe::the_reference_registry", "docker-registry is not installed");
    };
    let url = registry.url("some/cache").parse().unwrap();
    let new = probe(&url, &transport(), None);
    assert_eq!(new.check("pull").unwrap().outcome, Outcome::Unknown, "{new:?}");
    assert_eq!(new.check("push").unwrap().outcome, Outcome::Yes, "{new:?}");
    assert_eq!(files(&registry.storage()), 0, "nothing is left behind");

    let repository = RemoteRepository::open(&url, &transport(), None).unwrap();
    Image::new("x").put(&repository, "t");
    let before = files(&registry.storage());
    let used = probe(&url, &transport(), None);
    assert_eq!(
        outcomes(&used),
        [
            ("reach", Outcome::Yes),
            ("tls", Outcome::No),
            ("api", Outcome::Yes),
            ("authentication", Outcome::Yes),
            ("pull", Outcome::Yes),
            ("push", Outcome::Yes),
            ("mount", Outcome::Unknown),
            ("upload chunks", Outcome::Yes),
            ("delete", Outcome::Yes),
            ("referrers", Outcome::No),
            ("ranges", Outcome::Yes),
        ],
        "{used:?}"
    );
    assert_eq!(files(&registry.storage()), before, "nothing is left behind");
}

#[test]
fn what_a_registry_refuses_is_said_with_what_helps() {
    let server =
        FaultServer::start(|request: &Request| match (request.method.as_str(), request.target.as_str()) {
            (_, "/v2/") => reply(200, &[("Docker-Distribution-Api-Version", "registry/2.0")], "{}"),
            ("POST", _) => reply(403, &[], r#"{"errors":[{"code":"DENIED"}]}"#),
            ("DELETE", _) => reply(405, &[], r#"{"errors":[{"code":"UNSUPPORTED"}]}"#),
            (_, target) if target.contains("referrers") => reply(200, &[], r#"{"manifests":[]}"#),
            _ => reply(200, &[], r#"{"tags":null}"#),
        });
    let found = of(&server);
    let outcome = |name: &str| found.check(name).map(|check| check.outcome);
    assert_eq!(outcome("pull"), Some(Outcome::Yes));
    assert_eq!(outcome("push"), Some(Outcome::No));
    assert_eq!(outcome("mount"), None, "the same would be said again");
    assert_eq!(outcome("delete"), Some(Outcome::No));
    assert_eq!(outcome("referrers"), Some(Outcome::Yes));
    assert_eq!(outcome("ranges"), Some(Outcome::Unknown));
    let push = found.check("push").unwrap();
    assert_eq!(push.kind, Some(ErrorKind::Denied));
    assert!(push.detail.contains("right to push to some/cache"), "{}", push.detail);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["checks"][0]["outcome"], "yes");
}

#[test]
fn logging_in_is_advised_where_it_may_help() {
    for (challenge, helps) in [("Basic realm=\"x\"", true), ("Negotiate", false)] {
        let found = of(&FaultServer::always(move || reply(401, &[("WWW-Authenticate", challenge)], "")));
        let check = found.check("authentication").unwrap();
        assert_eq!(check.outcome, Outcome::No);
        let hint = check.hint.as_deref().unwrap_or_default();
        assert_eq!(hint.contains("strata login 127.0.0.1:"), helps, "{challenge}: {hint}");
    }
}

#[test]
fn chunks_and_sessions_are_as_the_registry_states_them() {
    let server =
        FaultServer::start(|request: &Request| match (request.method.as_str(), request.target.as_str()) {
            ("POST", _) => {
                reply(202, &[("Location", "/session?x=1"), ("OCI-Chunk-Min-Length", "5242880")], "")
            }
            ("DELETE", "/session?x=1") => reply(405, &[], ""),
            ("DELETE", _) => reply(404, &[], ""),
            (_, "/v2/") => reply(200, &[], "{}"),
            _ => reply(404, &[], ""),
        });
    let found = of(&server);
    assert!(found.check("upload chunks").unwrap().detail.contains("5242880"));
    assert!(found.check("push").unwrap().detail.contains("forgets it by itself"));
    let ended = server.log().iter().filter(|line| *line == "DELETE /session?x=1").count();
    assert_eq!(ended, 2, "every session that was begun is ended");
}

#[test]
fn what_is_no_registry_is_said_to_be_none() {
    let page = of(&FaultServer::always(|| html(200)));
    assert_eq!(outcomes(&page).last(), Some(&("api", Outcome::No)), "{page:?}");
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = format!("oci+http://127.0.0.1:{closed}/some/cache").parse().unwrap();
    let nobody = probe(&url, &transport(), None);
    assert_eq!(outcomes(&nobody), [("reach", Outcome::Failed)]);
    assert_eq!(nobody.checks[0].kind, Some(ErrorKind::Unreachable));
    let plain = FaultServer::always(|| reply(200, &[], "{}"));
    let url = format!("oci://127.0.0.1:{}/some/cache", plain.port()).parse().unwrap();
    let no_tls = probe(&url, &transport(), None);
    assert!(no_tls.checks.iter().any(|check| check.detail.contains("oci+http://")), "{no_tls:?}");
}

#[test]
fn a_login_is_checked_at_the_root() {
    let server = FaultServer::always(|| reply(200, &[], "{}"));
    let somebody = || Credentials::password("ada", Secret::new("hunter2"), "the terminal");
    let host = format!("127.0.0.1:{}", server.port());
    check_login(&host, false, somebody(), &transport()).unwrap();
    assert_eq!(server.log(), ["GET /v2/"]);
    let refusing = FaultServer::always(|| reply(401, &[], ""));
    let host = format!("127.0.0.1:{}", refusing.port());
    let error = check_login(&host, false, somebody(), &transport()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    for host in ["a/b", "user@host", "", "host?x"] {
        assert!(check_login(host, false, somebody(), &transport()).is_err(), "{host}");
    }
}
