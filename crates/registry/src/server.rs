//! Serving a router on a listener, plain or with TLS, until it is to stop.

use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::Listener;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::RegistryError;
use crate::idle::Idle;

/// How long requests may take to finish once the server is to stop. Uploads that are cut off then can be resumed.
const GRACE: Duration = Duration::from_secs(30);
/// How long a client may take for its part of the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long nothing may go over a connection: longer than a client keeps one that it may need again, and than the
/// registry takes for anything that it does in between.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How many connections may be shaking hands or waiting to be taken.
const PENDING: usize = 64;

/// A server's certificate chain and private key, both PEM.
#[derive(Debug, Clone)]
pub struct ServerCertificate {
    /// The file of the certificate and of those that it is signed by.
    pub certificate: PathBuf,
    /// The file of its key.
    pub key: PathBuf,
}

impl ServerCertificate {
    /// Reads both files, to find out before serving whether they can be used.
    ///
    /// # Errors
    /// [`RegistryError`] naming the file.
    pub fn check(&self) -> Result<(), RegistryError> {
        self.acceptor().map(|_| ())
    }

    fn acceptor(&self) -> Result<TlsAcceptor, RegistryError> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&read(&self.certificate)?)
            .collect::<Result<_, _>>()
            .map_err(|error| problem(&self.certificate, format!("not PEM: {error}")))?;
        if chain.is_empty() {
            return Err(problem(&self.certificate, "there is no certificate in it".to_string()));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&self.key)?)
            .map_err(|error| problem(&self.key, format!("no private key in PEM: {error}")))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| problem(&self.certificate, format!("cannot be used with its key: {error}")))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// Serves `router` on `listener` until `stop` is ready; then finishes the requests that are being served, for at most
/// half a minute.
///
/// # Errors
/// [`RegistryError`] for certificates that cannot be used, and when the listener fails.
pub async fn serve(
    router: axum::Router,
    listener: TcpListener,
    certificate: Option<ServerCertificate>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), RegistryError> {
    let (stopped, mut stopping) = watch::channel(());
    let stop = async move {
        stop.await;
        // Dropping the sender is the signal.
        drop(stopped);
    };
    let service = router.into_make_service();
    let overdue = async move {
        while stopping.changed().await.is_ok() {}
        tokio::time::sleep(GRACE).await;
    };
    let outcome = match certificate {
        Some(certificate) => {
            let listener = TlsListener::new(listener, certificate.acceptor()?)?;
            let serving = axum::serve(listener, service).with_graceful_shutdown(stop);
            tokio::select! { outcome = serving.into_future() => outcome, () = overdue => Ok(()) }
        }
        None => {
            let listener = PlainListener(listener);
            let serving = axum::serve(listener, service).with_graceful_shutdown(stop);
            tokio::select! { outcome = serving.into_future() => outcome, () = overdue => Ok(()) }
        }
    };
    outcome.map_err(RegistryError::Listener)
}

/// Connections as they come.
struct PlainListener(TcpListener);

impl Listener for PlainListener {
    type Io = Idle<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        let _ = stream.set_nodelay(true);
        (Idle::new(stream, IDLE), peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

/// Connections whose TLS handshake is done. Each shakes hands in a task of its own: a slow one keeps nobody waiting.
struct TlsListener {
    address: SocketAddr,
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    accepting: tokio::task::JoinHandle<()>,
}

impl TlsListener {
    fn new(mut listener: TcpListener, acceptor: TlsAcceptor) -> Result<Self, RegistryError> {
        let address = listener.local_addr().map_err(RegistryError::Listener)?;
        let (sender, ready) = mpsc::channel(PENDING);
        let accepting = tokio::spawn(async move {
            loop {
                // A place is reserved first, so that no more connections are taken than are served.
                let Ok(place) = sender.clone().reserve_owned().await else { return };
                let (stream, peer) = Listener::accept(&mut listener).await;
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let _ = stream.set_nodelay(true);
                    if let Ok(Ok(stream)) = timeout(HANDSHAKE, acceptor.accept(stream)).await {
                        place.send((stream, peer));
                    }
                });
            }
        });
        Ok(Self { address, ready, accepting })
    }
}

impl Listener for TlsListener {
    type Io = Idle<TlsStream<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some((stream, peer)) => (Idle::new(stream, IDLE), peer),
            // The task that accepts has gone: so will this server.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(self.address)
    }
}

impl Drop for TlsListener {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RegistryError> {
    fs::read(path).map_err(|error| problem(path, format!("cannot be read: {error}")))
}

fn problem(path: &Path, problem: String) -> RegistryError {
    RegistryError::File { path: path.to_path_buf(), problem }
}
