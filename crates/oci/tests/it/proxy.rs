//! Proxies, as the environment names them: tried in processes of their own, for the environment is a process's.

use std::process::Command;

use strata_oci::{RemoteRepository, Repository, RetryPolicy, Transport, TransportOptions};

use crate::fault_server::{FaultServer, reply};

/// The variable that makes [`asks_for_tags`] ask, and says where.
const WHERE: &str = "STRATA_TEST_PROXY_URL";

/// Does nothing by itself: the tests below run it.
#[test]
fn asks_for_tags() {
    let Ok(url) = std::env::var(WHERE) else { return };
    let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let transport = Transport::new(TransportOptions { retry, ..TransportOptions::default() });
    let repository = RemoteRepository::open(&url.parse().unwrap(), &transport, None).unwrap();
    println!("{:?}", repository.tags().map_err(|error| error.to_string()));
}

/// What comes of asking for the tags at `url` with these variables.
fn asking(url: &str, variables: &[(&str, &str)]) -> String {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_ascii_lowercase());
    }
    let output = command
        .args(["--exact", "proxy::asks_for_tags", "--nocapture"])
        .env(WHERE, url)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_proxy_is_used_where_the_environment_says_so() {
    const URL: &str = "oci+http://registry.invalid/some/cache";
    let proxy = FaultServer::always(|| reply(200, &[], r#"{"tags":["by proxy"]}"#));
    let variables = [("http_proxy", proxy.base())];
    let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
    let answer = asking(URL, &variables);
    assert!(answer.contains(r#"Ok(["by proxy"])"#), "{answer}");
    assert_eq!(proxy.log(), ["GET http://registry.invalid/v2/some/cache/tags/list"]);

    let answer = asking(URL, &[variables[0], ("NO_PROXY", "registry.invalid")]);
    assert!(answer.contains("Err") && answer.contains("dns"), "{answer}");

    // A proxy cannot reach what listens on this machine for this machine.
    let own = FaultServer::always(|| reply(200, &[], r#"{"tags":["own"]}"#));
    let answer = asking(&format!("oci+http://127.0.0.1:{}/some/cache", own.port()), &variables);
    assert!(answer.contains(r#"Ok(["own"])"#), "{answer}");
    assert_eq!(proxy.log().len(), 1);
}

#[test]
fn a_proxy_that_is_not_there_is_told_from_a_registry_that_is_not_there() {
    for proxy in ["http://ada:hunter2@proxy.invalid:3128", "http://ada:hunter2@127.0.0.1:1"] {
        let answer = asking("oci://registry.invalid/some/cache", &[("HTTPS_PROXY", proxy)]);
        assert!(answer.contains("is by the proxy") && !answer.contains("hunter2"), "{answer}");
    }
}

#[test]
fn a_proxy_that_refuses_is_named_without_its_password() {
    let proxy = FaultServer::always(|| reply(407, &[("Proxy-Authenticate", "Basic realm=x")], ""));
    let with_password = proxy.base().replace("//", "//ada:hunter2@");
    let answer = asking("oci://registry.invalid/some/cache", &[("HTTPS_PROXY", &with_password)]);
    assert_eq!(proxy.log(), ["CONNECT registry.invalid:443"]);
    assert!(answer.contains("USER:PASSWORD@HOST"), "{answer}");
    assert!(!answer.contains("hunter2"), "{answer}");
}
