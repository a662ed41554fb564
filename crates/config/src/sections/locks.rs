//! `config:locks`, and how long locks are waited for.

use std::time::Duration;

use crate::{ConfigError, Configuration, Value};

/// How long for the database where no scope says it.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(120);

/// `config:locks` and how long they are waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Locks {
    /// Whether to lock.
    pub enabled: bool,
    /// How long for the database; none for ever.
    pub database_timeout: Option<Duration>,
    /// How long for a prefix; none for ever.
    pub package_timeout: Option<Duration>,
}

impl Locks {
    /// What the scopes say.
    ///
    /// # Errors
    /// If they cannot be read or say something that means nothing.
    pub fn of(configuration: &Configuration) -> Result<Self, ConfigError> {
        let config = configuration.section("config")?;
        let said = |key: &str| config.as_ref().and_then(|config| config.get(key));
        let seconds = |value: &Value| value.integer().and_then(|number| u64::try_from(number).ok());
        let timeout = |key: &str| said(key).and_then(seconds).map(Duration::from_secs);
        Ok(Self {
            enabled: said("locks").and_then(Value::flag).unwrap_or(true),
            database_timeout: timeout("db_lock_timeout").or(Some(DATABASE_TIMEOUT)),
            package_timeout: timeout("package_lock_timeout"),
        })
    }
}
