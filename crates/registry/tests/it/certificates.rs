//! A private certificate authority and a certificate of it for this machine.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use strata_registry::ServerCertificate;

/// The files: `ca.crt`, and the server's.
pub(crate) struct Authority {
    pub(crate) directory: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["127.0.0.1", "localhost"].map(String::from);
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        // skopeo and podman take every *.crt of a directory as an authority.
        fs::create_dir(directory.path().join("authorities")).unwrap();
        fs::write(directory.path().join("authorities/ca.crt"), issuer.pem()).unwrap();
        fs::write(directory.path().join("server.pem"), certificate.pem()).unwrap();
        fs::write(directory.path().join("server.key"), key.serialize_pem()).unwrap();
        Self { directory }
    }

    /// What a client is to trust.
    pub(crate) fn file(&self) -> PathBuf {
        self.authorities().join("ca.crt")
    }

    /// The directory that holds nothing else.
    pub(crate) fn authorities(&self) -> PathBuf {
        self.path().join("authorities")
    }

    pub(crate) fn server(&self) -> ServerCertificate {
        ServerCertificate { certificate: self.path().join("server.pem"), key: self.path().join("server.key") }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}
