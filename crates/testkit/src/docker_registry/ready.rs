//! Whether a registry that was just started answers.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// Whether the registry called `name` answers on `port`, with a certificate of `authority` (DER) if there is one.
/// That it wants credentials is an answer, too.
pub(super) fn is_ready(port: u16, name: &str, authority: Option<&[u8]>) -> bool {
    let answer = connect(port).and_then(|stream| match authority {
        Some(authority) => ask(with_tls(stream, authority)?),
        None => ask(stream),
    });
    let is_right = |answer: String| {
        let status = answer.split_whitespace().nth(1);
        matches!(status, Some("200" | "401")) && answer.contains(name)
    };
    answer.is_ok_and(is_right)
}

fn connect(port: u16) -> Result<TcpStream, Box<dyn Error>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

fn with_tls(
    stream: TcpStream,
    authority: &[u8],
) -> Result<StreamOwned<ClientConnection, TcpStream>, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(authority.to_vec()))?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let server = ServerName::try_from("localhost")?;
    Ok(StreamOwned::new(ClientConnection::new(Arc::new(config), server)?, stream))
}

fn ask(mut stream: impl Read + Write) -> Result<String, Box<dyn Error>> {
    stream.write_all(b"GET /v2/ HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = Vec::new();
    // Some servers close a connection without saying so in TLS: what came counts.
    let outcome = stream.read_to_end(&mut answer);
    if answer.is_empty() {
        outcome?;
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
