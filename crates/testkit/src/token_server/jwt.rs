//! [`Signer`]: tokens that a registry checks by a certificate: JSON Web Tokens (RFC 7519) signed with ES256
//! (RFC 7518 section 3.4), the chain of certificates in their header (`x5c`, RFC 7515 section 4.1.6).

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use super::book::Grant;
use super::{ISSUER, SERVICE};
use crate::certificates::Authority;

/// Signs tokens with a key of its own.
pub(super) struct Signer {
    authority: Authority,
    certificate: Vec<u8>,
    key: EcdsaKeyPair,
}

impl Signer {
    pub(super) fn new() -> Self {
        let authority = Authority::new();
        let (certificate, key) = authority.signer("token signer");
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.serialized_der());
        Self { authority, certificate, key: key.expect("a P-256 key") }
    }

    pub(super) fn certificate_bundle(&self) -> PathBuf {
        self.authority.ca_file()
    }

    pub(super) fn token(&self, user: &str, grants: &[Grant], valid_for: Duration) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
        let access =
            |grant: &Grant| json!({"type": "repository", "name": grant.repository, "actions": grant.actions});
        let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(&self.certificate)]});
        let claims = json!({
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "iat": now,
            "nbf": now,
            "exp": now + valid_for.as_secs(),
            "jti": format!("{:032x}", fastrand::u128(..)),
            "access": grants.iter().map(access).collect::<Vec<_>>(),
        });
        let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}
