//! The HTTP client and the runtime that it runs on.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::redirect::Policy;
use tokio::runtime::Runtime;
use url::{Host, Url};

use super::certificates::Certificates;
use super::transport::TransportOptions;
pub(super) use super::trouble::cause;
use crate::Error;

/// How long a connection is kept that is not in use.
const IDLE_CONNECTION: Duration = Duration::from_secs(50);

/// How much of one HTTP/2 answer may be on its way: 4 MiB are 400 Mbit/s over 80 ms.
const STREAM_WINDOW: u32 = 4 << 20;

/// How much of all answers of one HTTP/2 connection, which is also what may have to be kept in memory.
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How often an HTTP/2 connection in use is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);

/// Waits on the calling thread for what runs on this module's runtime.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, Error> {
    Ok(runtime()?.block_on(future))
}

/// The process's one runtime for network traffic. Two threads: they only move bytes.
pub(super) fn runtime() -> Result<&'static Runtime, Error> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("strata-network")
                .enable_all()
                .build()
                .map_err(|error| error.to_string())
        })
        .as_ref()
        .map_err(|cause| Error::Client { cause: cause.clone() })
}

/// The HTTP clients for one registry. They follow no redirects: [`redirect`](super::redirect) does.
#[derive(Clone)]
pub(super) struct Connections {
    home: reqwest::Client,
    /// Shows no certificate of ours.
    elsewhere: reqwest::Client,
}

impl Connections {
    /// Those for the registry of `base`.
    pub(super) fn of(base: &Url, options: &TransportOptions) -> Result<Self, Error> {
        let mut certificates = Certificates::of(base, &options.tls)?;
        let home = client(base, options, &certificates)?;
        let elsewhere = match certificates.identity.take() {
            Some(_) => client(base, options, &certificates)?,
            None => home.clone(),
        };
        Ok(Self { home, elsewhere })
    }

    /// The client for the registry itself and its token server, or for where these lead.
    pub(super) fn client(&self, at_home: bool) -> &reqwest::Client {
        if at_home { &self.home } else { &self.elsewhere }
    }
}

fn client(
    base: &Url,
    options: &TransportOptions,
    certificates: &Certificates,
) -> Result<reqwest::Client, Error> {
    let builder = || {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("strata/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.timeouts.connect)
            .redirect(Policy::none())
            // Whoever is between us and the registry forgets idle connections after a minute, and rarely says so.
            .pool_idle_timeout(IDLE_CONNECTION)
            .http2_initial_stream_window_size(STREAM_WINDOW)
            .http2_initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(PING_EVERY)
            .http2_keep_alive_timeout(options.timeouts.connect)
            .tls_certs_merge(certificates.authorities.clone());
        if let Some(identity) = &certificates.identity {
            builder = builder.identity(identity.clone());
        }
        // A proxy cannot reach this machine's own loopback.
        if is_loopback(base) { builder.no_proxy() } else { builder }
    };
    let http = builder().build().or_else(|error| {
        // Containers without any certificates are usual. Plain http does not need them; where it is redirected
        // to https all the same, no certificate is trusted and the connection fails.
        if base.scheme() == "http" { builder().tls_certs_only([]).build() } else { Err(error) }
    });
    http.map_err(|error| {
        let mut cause = cause(error);
        if let Some(file) = &certificates.identity_file {
            cause.push_str(&format!(" (with the client certificate {})", file.display()));
        } else if cause.contains("No CA certificates") {
            cause.push_str(": install the system's ca-certificates, or give an authority with --ca-file");
        }
        Error::Client { cause }
    })
}

/// Whether the host is this machine itself.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognised() {
        for (url, loopback) in [
            ("http://localhost:5000/", true),
            ("http://127.8.9.1/", true),
            ("http://[::1]:5000/", true),
            ("http://10.0.0.1/", false),
            ("https://localhost.example.org/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), loopback, "{url}");
        }
    }
}
