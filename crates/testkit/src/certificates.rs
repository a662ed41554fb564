//! A private certificate authority for one test, and what it signs: the files that servers and clients are given.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use strata_registry::ServerCertificate;

/// What servers on loopback are called.
const LOOPBACK_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A certificate authority that no system trusts. Its files are removed when it is dropped.
pub struct Authority {
    directory: tempfile::TempDir,
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// A certificate and its key, PEM, as files.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key, PKCS #8.
    pub key: PathBuf,
}

impl Identity {
    /// As a server of ours takes it.
    pub fn for_server(&self) -> ServerCertificate {
        ServerCertificate { certificate: self.certificate.clone(), key: self.key.clone() }
    }
}

impl Authority {
    /// A new one, with a key of its own.
    ///
    /// # Panics
    /// If its file cannot be written.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.distinguished_name.push(DnType::CommonName, "Authority of one test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::write(directory.path().join("ca.crt"), certificate.pem()).expect("written");
        Self { directory, issuer: Issuer::new(params, key), certificate }
    }

    /// Its certificate, PEM: what clients have to trust.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.crt")
    }

    /// Its certificate, DER.
    pub fn ca_der(&self) -> &[u8] {
        self.certificate.der()
    }

    /// A new certificate for a server that is reached as `localhost` and `127.0.0.1`.
    pub fn server(&self) -> Identity {
        self.sign("server", LOOPBACK_NAMES.map(String::from).to_vec(), ExtendedKeyUsagePurpose::ServerAuth).0
    }

    /// A new certificate by which the client `name` shows who it is.
    pub fn client(&self, name: &str) -> Identity {
        self.sign(name, Vec::new(), ExtendedKeyUsagePurpose::ClientAuth).0
    }

    /// A new certificate for `name`, DER, with the key that it is for: for those that sign tokens.
    pub(crate) fn signer(&self, name: &str) -> (Vec<u8>, KeyPair) {
        let (_, certificate, key) = self.sign(name, Vec::new(), ExtendedKeyUsagePurpose::Any);
        (certificate.der().to_vec(), key)
    }

    fn sign(
        &self,
        name: &str,
        alternative_names: Vec<String>,
        usage: ExtendedKeyUsagePurpose,
    ) -> (Identity, Certificate, KeyPair) {
        let mut params = CertificateParams::new(alternative_names).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let directory = tempfile::tempdir_in(self.directory.path()).expect("a directory").keep();
        let identity = Identity {
            certificate: written(&directory.join(format!("{name}.cert")), &certificate.pem()),
            key: written(&directory.join(format!("{name}.key")), &key.serialize_pem()),
        };
        (identity, certificate, key)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn written(path: &Path, text: &str) -> PathBuf {
    fs::write(path, text).expect("written");
    path.to_path_buf()
}
