//! `packages:NAME:permissions`: who may read and write what is installed.

use crate::{ConfigError, Configuration, Value};

/// Who may read or write, the fewest first.
const WHO: [&str; 3] = ["user", "group", "world"];

/// `packages:NAME:permissions` and `packages:all:permissions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// The group; none for that of the process.
    pub group: Option<String>,
    /// Who may read: `user`, `group` or `world`; none for what the process does anyway.
    pub read: Option<String>,
    /// Who may write: the same.
    pub write: Option<String>,
}

impl Permissions {
    /// What the scopes say of a package: what is said of the package itself comes before what is said of `all`, each for itself.
    ///
    /// # Errors
    /// If they cannot be read, or more may write than read.
    pub fn of(configuration: &Configuration, package: &str) -> Result<Self, ConfigError> {
        let Some(packages) = configuration.section("packages")? else { return Ok(Self::default()) };
        let said = |key: &str| {
            let of = |name: &str| packages.get(name)?.get("permissions")?.get(key);
            let own = of(package).filter(|value| value.text().is_some_and(|text| !text.is_empty()));
            own.or_else(|| of("all")).filter(|value| value.text().is_some_and(|text| !text.is_empty()))
        };
        let text = |value: Option<&Value>| value.and_then(Value::text).map(str::to_owned);
        let (read, write) = (said("read"), said("write"));
        let rank = |value: &Value| WHO.iter().position(|who| value.text() == Some(who));
        if let (Some(read), Some(write)) = (read, write)
            && rank(write) > rank(read)
            && rank(write).is_some()
        {
            let message = format!(
                "`{}` may write the package {package}, and only `{}` may read it: both need to be able to read",
                write.text().unwrap_or_default(),
                read.text().unwrap_or_default()
            );
            return Err(write.invalid(message));
        }
        Ok(Self { group: text(said("group")), read: text(read), write: text(write) })
    }
}
