//! [`Server`]: a router on a loopback port, served by a runtime of its own.
//!
//! Tests are plain threads that block; what they talk to must not depend on them.

use std::net::Ipv4Addr;
use std::time::Duration;

use axum::Router;
use strata_registry::ServerCertificate;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// How long requests that are being served may take to notice that it is over.
const STOPPED_WITHIN: Duration = Duration::from_secs(5);

/// A running server. When it is dropped, its connections are cut.
pub struct Server {
    port: u16,
    runtime: Option<Runtime>,
}

impl Server {
    /// Serves `router` on a port of 127.0.0.1 that is free; with TLS if there is a certificate.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn start(router: Router, certificate: Option<ServerCertificate>) -> Self {
        Self::start_on(0, router, certificate)
    }

    /// As [`start`](Self::start), on a certain port.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn start_on(port: u16, router: Router, certificate: Option<ServerCertificate>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("test-server")
            .enable_all()
            .build()
            .expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, port))).expect("a free port");
        let port = listener.local_addr().expect("a port").port();
        runtime.spawn(async move {
            let served = strata_registry::serve(router, listener, certificate, std::future::pending()).await;
            panic!("a test's server ended by itself: {served:?}");
        });
        Self { port, runtime: Some(runtime) }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(STOPPED_WITHIN);
        }
    }
}
