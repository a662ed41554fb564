//! [`Trouble`]: what went wrong where no registry answered, told from an error of the HTTP client, and what may help.

use std::error::Error as StdError;

use rustls::{AlertDescription, CertificateError, InvalidMessage};
use url::Url;

/// What kind of failure it is that no registry answered: whether it may pass, and whose it is to mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trouble {
    /// There is no host of that name.
    UnknownHost,
    /// Nobody answers there: connection refused, no route, or name servers that are silent for the moment.
    Unreached,
    /// No TLS that can be trusted: a certificate is refused, or TLS is spoken where plain HTTP was expected.
    Tls,
    /// No TLS is spoken there at all.
    NoTls,
    /// The connection was there, and broke or fell silent.
    Lost,
    /// A redirect that must not be followed.
    Redirect,
    /// The request cannot be made at all.
    Unsendable,
}

/// What kind of failure `error` is that came up when `url` was asked, and its causes with what may help. `registry` is
/// by whose certificates that is done, and may have led there.
pub(super) fn explain(error: reqwest::Error, url: &Url, registry: &str) -> (Trouble, String) {
    let mut trouble = classify(&error);
    let tls = in_chain::<rustls::Error>(&error).cloned();
    let mut text = cause(error);
    let by_proxy = text.contains("tunnel error");
    if by_proxy && trouble == Trouble::UnknownHost {
        // It is the proxy that has no such name.
        trouble = Trouble::Unreached;
    }
    if matches!(tls, Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType))) {
        trouble = Trouble::NoTls;
    }
    let advice = match &tls {
        Some(tls) => advice(tls, url, registry),
        None if text.contains("tls handshake eof") => Some(no_tls(url)),
        // The answer to plain HTTP is an alert, which is no HTTP.
        None if url.scheme() == "http" && text.contains("invalid HTTP version parsed") => {
            trouble = Trouble::Tls;
            let host = registry_host(url);
            Some(format!(
                "{host} seems to speak TLS on this port: the URL of a registry with TLS begins with oci://"
            ))
        }
        None if text.contains("proxy authorization required") => Some(
            "the proxy wants to know who asks: set HTTPS_PROXY to http://USER:PASSWORD@HOST:PORT".to_string(),
        ),
        None if by_proxy => Some(format!(
            "the way to {} is by the proxy that HTTPS_PROXY or ALL_PROXY names: check that, or except the host with \
             NO_PROXY",
            registry_host(url)
        )),
        None => None,
    };
    if let Some(advice) = advice {
        text = format!("{text}: {advice}");
    }
    (trouble, text)
}

/// What the client's layers say of themselves and not of the failure.
const LAYERS: [&str; 4] =
    ["error sending request", "client error (Connect)", "client error (SendRequest)", "error resolving DNS"];

/// Why a transfer failed, in full but without the URL: after a redirect it may be a signed one.
pub(super) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = String::new();
    for inner in chain(&error) {
        let message = inner.to_string();
        // Errors of the client within errors of the client bring their URL along.
        let message = message.split(" for url (").next().unwrap_or_default();
        if LAYERS.contains(&message) || text.contains(message) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(message);
    }
    if text.is_empty() { error.to_string() } else { text }
}

fn classify(error: &reqwest::Error) -> Trouble {
    if in_chain::<rustls::Error>(error).is_some() {
        return Trouble::Tls;
    }
    if error.is_builder() {
        return Trouble::Unsendable;
    }
    if !error.is_connect() {
        return Trouble::Lost;
    }
    let lookup = chain(error).map(ToString::to_string).find(|text| text.contains("failed to lookup address"));
    match lookup {
        // The words of getaddrinfo for EAI_AGAIN; the standard library keeps the code to itself.
        Some(words) if !words.contains("Temporary failure") && !words.contains("try again") => {
            Trouble::UnknownHost
        }
        _ => Trouble::Unreached,
    }
}

/// What helps against a TLS failure with the host of `url`.
fn advice(error: &rustls::Error, url: &Url, registry: &str) -> Option<String> {
    let host = registry_host(url);
    match error {
        // The latter is an authority of the same name as one that is known, and another.
        rustls::Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => Some(format!(
            "{host}'s certificate is signed by an authority that this system does not know: give its certificate with \
             --ca-file, or put it into /etc/docker/certs.d/{registry}/ca.crt"
        )),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. },
        ) => Some("check the clock of this machine; else the registry needs a new certificate".to_string()),
        rustls::Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            Some(
                "the registry shows the certificate of an authority (basicConstraints CA:TRUE) as its own, as `openssl req \
                 -x509` makes them: make one with CA:FALSE, signed by itself or by an authority"
                    .to_string(),
            )
        }
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => Some(no_tls(url)),
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) if host != registry => {
            Some(format!(
                "{host}, to which {registry} leads, wants a client certificate, and those are for registries alone"
            ))
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => Some(format!(
            "{host} wants a client certificate: give one with --client-cert and --client-key, or put it into \
             /etc/docker/certs.d/{host}/ as client.cert and client.key"
        )),
        _ => None,
    }
}

fn no_tls(url: &Url) -> String {
    let host = registry_host(url);
    format!(
        "{host} seems to speak no TLS on this port: the URL of a registry without TLS begins with oci+http://, and \
         `strata login` takes --plain-http"
    )
}

/// The host of a URL with its port if it is not the usual one, as directories of certificates are named.
pub(super) fn registry_host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_string(),
    }
}

/// The first cause of this type.
fn in_chain<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    chain(error).find_map(|cause| cause.downcast_ref())
}

/// An error and its causes. What an I/O error wraps is among them, which its `source` leaves out.
fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |&error| {
        match error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref()) {
            Some(wrapped) => Some(wrapped as &(dyn StdError + 'static)),
            None => error.source(),
        }
    })
}
