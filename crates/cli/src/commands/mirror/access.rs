//! Who to be at a mirror, as the command line says it.

use crate::args::mirror::Connection;
use crate::diagnosis::Diagnosis;
use strata_config::{AccessChange, AccessPair, IdSource, PlainText};

/// Refuses what cannot be meant.
pub(super) fn check(connection: &Connection) -> Result<(), Diagnosis> {
    if connection.s3.is_given() {
        return Err(Diagnosis::misuse(
            "the options --s3-… are for mirrors in S3, which strata does not use",
            "configure it with `spack mirror`; strata leaves what it does not know as it is",
        ));
    }
    for name in connection.oci_username_variable.iter().chain(&connection.oci_password_variable) {
        if !is_variable(name) {
            // It may be the secret itself.
            return Err(Diagnosis::misuse(
                "what was given as the name of an environment variable is none",
                "--oci-username-variable and --oci-password-variable take the NAME of a variable that holds it",
            ));
        }
    }
    Ok(())
}

/// The access pair of a new mirror. Both parts are needed.
pub(super) fn pair(connection: &Connection) -> Result<Option<AccessPair>, Diagnosis> {
    let AccessChange { id, secret_variable, secret } = change(connection);
    match (id, secret_variable, secret) {
        (None, None, None) => Ok(None),
        (Some(id), Some(secret_variable), None) => Ok(Some(AccessPair::Variables { id, secret_variable })),
        (Some(IdSource::Text(id)), None, Some(secret)) => Ok(Some(AccessPair::PlainText { id, secret })),
        _ => Err(Diagnosis::misuse(
            "both parts of the access pair are needed: a user and a password",
            "give --oci-username USER (or --oci-username-variable NAME) and --oci-password-variable NAME",
        )),
    }
}

/// What is to be different about an access pair.
pub(super) fn change(connection: &Connection) -> AccessChange {
    let text = connection.oci_username.clone().map(IdSource::Text);
    AccessChange {
        id: text.or_else(|| connection.oci_username_variable.clone().map(IdSource::Variable)),
        secret_variable: connection.oci_password_variable.clone(),
        secret: connection.oci_password.as_ref().map(|password| PlainText::new(&*password.0)),
    }
}

/// Whether that is the name of a variable that a shell can set (POSIX: letters, digits, underscores).
fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
