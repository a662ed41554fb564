//! Certificates for one registry: whom to trust beside the system's authorities, and what to show of ourselves.
//!
//! Directories are laid out as Docker and podman have them (containers-certs.d(5)): `HOST[:PORT]/*.crt` are
//! authorities, `NAME.cert` with `NAME.key` is a client certificate with its key.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use reqwest::{Certificate, Identity};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use url::Url;
use zeroize::Zeroizing;

use super::transport::TlsOptions;
use super::trouble::registry_host;
use crate::Error;

/// What the options and directories have for one registry.
pub(super) struct Certificates {
    pub(super) authorities: Vec<Certificate>,
    pub(super) identity: Option<Identity>,
    /// The file of the client certificate, for messages.
    pub(super) identity_file: Option<PathBuf>,
}

impl Certificates {
    /// Reads them for the registry of `base`.
    ///
    /// # Errors
    /// [`Error::Io`] for a file that cannot be read, [`Error::Certificate`] for one that holds something else or
    /// misses its other half.
    pub(super) fn of(base: &Url, options: &TlsOptions) -> Result<Self, Error> {
        let mut authorities = Vec::new();
        for file in &options.authorities {
            authorities.extend(authorities_in(file)?);
        }
        // What is given by name goes before what is found.
        let mut pair = options.client_certificate.clone();
        for directory in &options.host_directories {
            for name in directory_names(base) {
                let found = Found::below(&directory.join(name))?;
                for file in &found.authorities {
                    authorities.extend(authorities_in(file)?);
                }
                pair = pair.or(found.pair);
            }
        }
        let identity = pair.as_ref().map(|(certificate, key)| identity(certificate, key)).transpose()?;
        Ok(Self { authorities, identity, identity_file: pair.map(|(certificate, _)| certificate) })
    }
}

/// The names that a registry's directory may have. The usual port is part of it for some, and for others not.
fn directory_names(base: &Url) -> Vec<String> {
    let name = registry_host(base);
    match (base.port(), base.port_or_known_default()) {
        (None, Some(port)) => vec![format!("{name}:{port}"), name],
        _ => vec![name],
    }
}

/// The files of one registry's directory.
#[derive(Default)]
struct Found {
    authorities: Vec<PathBuf>,
    pair: Option<(PathBuf, PathBuf)>,
}

impl Found {
    fn below(directory: &Path) -> Result<Self, Error> {
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            // Directories that are for other users are usual; podman passes them over as well.
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Error::io("read", directory)(error)),
        };
        let mut files: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_, _>>()
            .map_err(Error::io("read", directory))?;
        files.sort();
        let mut found = Self::default();
        for file in &files {
            let (other, missing) = match file.extension().and_then(OsStr::to_str) {
                Some("crt") => {
                    found.authorities.push(file.clone());
                    continue;
                }
                Some("cert") => (file.with_extension("key"), "key"),
                Some("key") => (file.with_extension("cert"), "certificate"),
                _ => continue,
            };
            if !files.contains(&other) {
                let problem = format!("its {missing} {} is missing", other.display());
                return Err(Error::Certificate { path: file.clone(), problem });
            }
            if missing == "key" && found.pair.is_none() {
                found.pair = Some((file.clone(), other));
            }
        }
        Ok(found)
    }
}

/// All certificates of a PEM file, each tried: the client as a whole would not say which one it cannot use.
/// The content of a file. One that is not there was named by mistake; anything else is the system's.
fn read(file: &Path) -> Result<Vec<u8>, Error> {
    fs::read(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::IsADirectory => {
            Error::Certificate { path: file.to_path_buf(), problem: "there is no such file".to_string() }
        }
        _ => Error::io("read", file)(error),
    })
}

fn authorities_in(file: &Path) -> Result<Vec<Certificate>, Error> {
    let problem = |problem: String| Error::Certificate { path: file.to_path_buf(), problem };
    let pem = read(file)?;
    let mut authorities = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| problem(format!("not a PEM file: {error}")))?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|error| problem(format!("holds a certificate that cannot be used: {error}")))?;
        authorities.push(
            Certificate::from_der(&certificate)
                .map_err(|error| problem(format!("holds a certificate that cannot be used: {error}")))?,
        );
    }
    if authorities.is_empty() {
        return Err(problem("holds no certificate (in PEM form, with BEGIN CERTIFICATE)".to_string()));
    }
    Ok(authorities)
}

fn identity(certificate: &Path, key: &Path) -> Result<Identity, Error> {
    let mut pem = Zeroizing::new(read(certificate)?);
    let secret = Zeroizing::new(read(key)?);
    if String::from_utf8_lossy(&secret).contains("ENCRYPTED") {
        let problem = "the key is protected by a password, which is not supported".to_string();
        return Err(Error::Certificate { path: key.to_path_buf(), problem });
    }
    pem.push(b'\n');
    pem.extend_from_slice(&secret);
    Identity::from_pem(&pem).map_err(|_| Error::Certificate {
        path: certificate.to_path_buf(),
        problem: format!("no client certificate in PEM form together with its key {}", key.display()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(url: &str) -> Url {
        Url::parse(url).unwrap()
    }

    fn certificate(name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_string()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    fn of(url: &str, directory: &Path) -> Result<Certificates, Error> {
        let options = TlsOptions { host_directories: vec![directory.to_path_buf()], ..TlsOptions::default() };
        Certificates::of(&base(url), &options)
    }

    #[test]
    fn a_registrys_own_directory_is_read_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let (pem, key) = certificate("ca");
        for name in ["h:5000", "h", "h:443"] {
            fs::create_dir(directory.path().join(name)).unwrap();
            fs::write(directory.path().join(name).join("ca.crt"), format!("text\n{pem}{pem}")).unwrap();
        }
        fs::write(directory.path().join("h:5000/client.cert"), pem).unwrap();
        fs::write(directory.path().join("h:5000/client.key"), key).unwrap();
        fs::write(directory.path().join("h:5000/README"), "nothing").unwrap();
        for (url, authorities, identity) in [
            ("https://h:5000/v2/", 2, true),
            ("https://h/v2/", 4, false),
            ("https://h:443/v2/", 4, false),
            ("https://other/v2/", 0, false),
        ] {
            let found = of(url, directory.path()).unwrap();
            assert_eq!((found.authorities.len(), found.identity.is_some()), (authorities, identity), "{url}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let host = directory.path().join("h");
        fs::create_dir(&host).unwrap();
        let (pem, key) = certificate("ca");
        let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        for (files, words) in [
            (vec![("a.crt", "")], "a.crt: holds no certificate"),
            (vec![("a.crt", not_der)], "a.crt: holds a certificate that cannot be used"),
            (
                vec![("a.crt", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")],
                "a.crt: not a PEM file",
            ),
            (vec![("a.cert", &*pem)], "a.cert: its key"),
            (vec![("a.key", &*key)], "a.key: its certificate"),
            (vec![("a.cert", &*pem), ("a.key", &*pem)], "a.cert: no client certificate"),
            (vec![("a.cert", &*pem), ("a.key", encrypted)], "a.key: the key is protected"),
        ] {
            for (name, content) in &files {
                fs::write(host.join(name), content).unwrap();
            }
            let error = of("https://h/", directory.path()).err().expect(words);
            assert!(error.to_string().contains(words), "{error}");
            for (name, _) in &files {
                fs::remove_file(host.join(name)).unwrap();
            }
        }
        let options = TlsOptions { authorities: vec![host.join("none.pem")], ..TlsOptions::default() };
        let error = Certificates::of(&base("https://h/"), &options).err().unwrap();
        assert!(error.to_string().contains("none.pem"), "{error}");
    }
}
