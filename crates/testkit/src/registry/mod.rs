//! [`TestRegistry`]: our own registry over a temporary directory, in this process, behind a fault layer.

mod bearer;

use std::path::{Path, PathBuf};

use axum::Router;
use strata_registry::{Registry, RegistryOptions, ServerCertificate};

use self::bearer::Bearer;
use crate::certificates::Authority;
use crate::faults::{Faults, Log};
use crate::passwords::htpasswd;
use crate::server::Server;
use crate::token_server::TokenServer;

/// What a [`TestRegistry`] is to be like.
#[derive(Default)]
pub struct Builder {
    read_only: bool,
    users: Vec<(String, String)>,
    tokens: Option<Bearer>,
    certificate: Option<ServerCertificate>,
    faults: Faults,
    directory: Option<PathBuf>,
}

impl Builder {
    /// Nothing may be put or deleted.
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Only those users may do anything that are named, by Basic authentication.
    pub fn user(mut self, name: &str, password: &str) -> Self {
        self.users.push((name.to_string(), password.to_string()));
        self
    }

    /// Only those may do anything who have a token of this server's, which must not be one that signs them.
    pub fn tokens(mut self, server: &TokenServer) -> Self {
        self.tokens = Some(Bearer::new(server.realm(), server.book().clone()));
        self
    }

    /// With TLS, and a certificate of this authority's.
    pub fn tls(mut self, authority: &Authority) -> Self {
        self.certificate = Some(authority.server().for_server());
        self
    }

    /// Behind this layer.
    pub fn faults(mut self, faults: &Faults) -> Self {
        self.faults = faults.clone();
        self
    }

    /// Over this directory, which is left alone afterwards, instead of a temporary one.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn start(self) -> TestRegistry {
        let scratch = tempfile::tempdir().expect("a temporary directory");
        let directory = self.directory.clone().unwrap_or_else(|| scratch.path().join("registry"));
        let htpasswd = (!self.users.is_empty()).then(|| {
            let file = scratch.path().join("htpasswd");
            std::fs::write(&file, htpasswd(&self.users)).expect("written");
            file
        });
        let options = RegistryOptions { read_only: self.read_only, htpasswd };
        let setup = Setup {
            directory,
            options,
            tokens: self.tokens,
            certificate: self.certificate,
            faults: self.faults,
        };
        let server = setup.serve(0);
        TestRegistry { port: server.port(), server: Some(server), setup, _scratch: scratch }
    }
}

/// All that it takes to start a registry once more.
struct Setup {
    directory: PathBuf,
    options: RegistryOptions,
    tokens: Option<Bearer>,
    certificate: Option<ServerCertificate>,
    faults: Faults,
}

impl Setup {
    fn serve(&self, port: u16) -> Server {
        let registry = Registry::open(&self.directory, self.options.clone()).expect("a registry");
        let router: Router = match &self.tokens {
            Some(bearer) => bearer.clone().around(registry.router()),
            None => registry.router(),
        };
        Server::start_on(port, self.faults.around(router), self.certificate.clone())
    }
}

/// A running registry. Ended, and its directory removed, when dropped.
pub struct TestRegistry {
    server: Option<Server>,
    port: u16,
    setup: Setup,
    _scratch: tempfile::TempDir,
}

impl TestRegistry {
    /// One that everybody may do everything with, and that has no faults until some are added.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start() -> Self {
        Builder::default().start()
    }

    /// One that is to be something else.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `127.0.0.1:PORT`: what credentials are kept under.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The mirror URL of the repository `name`: `oci+http://127.0.0.1:PORT/NAME`, or `oci://…` with TLS.
    pub fn url(&self, name: &str) -> String {
        let scheme = if self.setup.certificate.is_some() { "oci" } else { "oci+http" };
        format!("{scheme}://{}/{name}", self.host())
    }

    /// Where it keeps its repositories, each of which is an image layout: `directory()/NAME`.
    pub fn directory(&self) -> &Path {
        &self.setup.directory
    }

    /// What goes wrong with it.
    pub fn faults(&self) -> &Faults {
        &self.setup.faults
    }

    /// The requests that it was sent.
    pub fn log(&self) -> &Log {
        self.setup.faults.log()
    }

    /// Ends it as if it had been killed, and starts it again over the same directory and on the same port.
    ///
    /// # Panics
    /// If that cannot be done.
    pub fn restart(&mut self) {
        drop(self.server.take());
        self.server = Some(self.setup.serve(self.port));
    }
}
