//! TLS before a server that speaks none, with certificates of a private authority.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use strata_oci::{RemoteRepository, Transport, TransportOptions};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A private certificate authority, with its files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { issuer, directory }
    }

    /// Its certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// A certificate for `name` signed by it, and the key, in files.
    pub(crate) fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.sign(name);
        let files = ["client.cert", "client.key"].map(|name| self.directory.path().join(name));
        std::fs::write(&files[0], certificate.pem()).unwrap();
        std::fs::write(&files[1], key.serialize_pem()).unwrap();
        files.into()
    }

    fn sign(&self, name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_string()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap(), key)
    }
}

/// A port on which TLS is spoken, and passed on without it.
pub(crate) struct TlsFront {
    port: u16,
    _runtime: tokio::runtime::Runtime,
}

impl TlsFront {
    /// Before the server on `behind`, with a certificate for 127.0.0.1.
    pub(crate) fn start(authority: &Authority, behind: u16) -> Self {
        Self::with(authority, behind, "127.0.0.1", false)
    }

    /// With the certificate of the authority itself.
    pub(crate) fn as_authority(authority: &Authority, behind: u16) -> Self {
        let key = authority.issuer.key().serialize_der();
        Self::showing(authority, (authority.issuer.der().clone(), key), behind, false)
    }

    /// With a certificate for `name`; one of `authority` is wanted from clients if `of_clients`.
    pub(crate) fn with(authority: &Authority, behind: u16, name: &str, of_clients: bool) -> Self {
        let (certificate, key) = authority.sign(name);
        Self::showing(authority, (certificate.der().clone(), key.serialize_der()), behind, of_clients)
    }

    fn showing(
        authority: &Authority,
        (certificate, key): (CertificateDer<'static>, Vec<u8>),
        behind: u16,
        of_clients: bool,
    ) -> Self {
        let builder =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap();
        let builder = if of_clients {
            let mut roots = RootCertStore::empty();
            roots.add(authority.issuer.der().clone()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivatePkcs8KeyDer::from(key);
        let config = builder.with_single_cert(vec![certificate], key.into()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let port = listener.local_addr().unwrap().port();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut stream = acceptor.accept(stream).await?;
                    let mut inner =
                        TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, behind))).await?;
                    tokio::io::copy_bidirectional(&mut stream, &mut inner).await
                });
            }
        });
        Self { port, _runtime: runtime }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The repository `some/cache` behind it.
    pub(crate) fn repository(&self, options: TransportOptions) -> RemoteRepository {
        let url = format!("oci://127.0.0.1:{}/some/cache", self.port).parse().unwrap();
        RemoteRepository::open(&url, &Transport::new(options), None).unwrap()
    }
}
