//! From what the user calls a cache to the repository behind it, and to who to be there.
//!
//! Credentials come from the mirror's access pair, else from the caller ([`Caches::credentials`]), else from the
//! transport's credential files, which are asked only when a registry wants to know.

use crate::error::Error;
use strata_config::{Configuration, Direction as ConfigDirection, Mirror, Mirrors};
use strata_oci::{Credentials, Location, Repository, RepositoryUrl, Secret, Transport};

/// What a mirror is used for: it may have one URL for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading packages.
    Fetch,
    /// Writing packages: a layout that does not exist yet is made.
    Push,
    /// Writing the index of a cache that exists.
    Update,
}

impl Direction {
    fn configured(self) -> ConfigDirection {
        match self {
            Self::Fetch => ConfigDirection::Fetch,
            Self::Push | Self::Update => ConfigDirection::Push,
        }
    }
}

/// The caches that can be named, and how they are reached.
pub struct Caches<'c> {
    /// What names some: the mirrors of all scopes.
    pub configuration: &'c Configuration,
    /// How registries are reached.
    pub transport: &'c Transport,
    /// The value of an environment variable, for access pairs that name one.
    pub variable: &'c dyn Fn(&str) -> Option<String>,
    /// Who to be where the mirror does not say. Whoever gives them sees to it that they reach the registry only that
    /// they are meant for: see [`Address::registry`].
    pub credentials: Option<Credentials>,
}

/// Where a cache is, and who its configuration says to be.
#[derive(Clone, Debug)]
pub struct Address {
    url: RepositoryUrl,
    direction: Direction,
    configured: Option<Mirror>,
    unread: Option<String>,
}

impl Address {
    /// The registry as the beginning of its URLs, for credentials that are meant for one; none for a directory. With and
    /// without TLS it is not the same.
    pub fn registry(&self) -> Option<String> {
        match self.url.location() {
            Location::Registry { https: true, host, .. } => Some(format!("https://{host}")),
            Location::Registry { https: false, host, .. } => Some(format!("http://{host}")),
            _ => None,
        }
    }

    /// Why the configuration could not be looked into for who to be there.
    pub fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    /// Where the cache is.
    pub fn url(&self) -> &RepositoryUrl {
        &self.url
    }
}

impl Caches<'_> {
    /// Where the cache is that is given as a URL or as the name of a configured mirror. A registry's URL that is that
    /// of a configured mirror stands for the mirror, as for Spack; if the configuration cannot be read, it still stands for
    /// itself ([`Address::unread`]).
    ///
    /// # Errors
    /// For a name that is not configured, or not to be found in a configuration that cannot be read, and a URL of
    /// something else.
    pub fn address(&self, name_or_url: &str, direction: Direction) -> Result<Address, Error> {
        if !name_or_url.contains("://") {
            let mirrors = Mirrors::of(self.configuration)?;
            let mirror = mirrors.require(name_or_url)?;
            let url = url_of(mirror, direction)?.parse()?;
            return Ok(Address { url, direction, configured: Some(mirror.clone()), unread: None });
        }
        let url: RepositoryUrl = name_or_url.parse()?;
        let (mut configured, mut unread) = (None, None);
        if let Location::Registry { .. } = url.location() {
            let same = |mirror: &&Mirror| {
                url_of(mirror, direction).is_ok_and(|configured| configured.parse() == Ok(url.clone()))
            };
            match Mirrors::of(self.configuration) {
                Ok(mirrors) => configured = mirrors.iter().find(same).cloned(),
                Err(error) => unread = Some(crate::error::chain(&error)),
            }
        }
        Ok(Address { url, direction, configured, unread })
    }

    /// Who to be at `address`; none is for the transport's credential files to answer.
    ///
    /// # Errors
    /// If the mirror's access pair names an environment variable that is not set.
    pub fn credentials(&self, address: &Address) -> Result<Option<Credentials>, Error> {
        if let Some(mirror) = &address.configured
            && let Some(pair) = mirror.access_pair(address.direction.configured())
        {
            let (user, secret) = pair.resolve(&mirror.name, &mirror.origin, self.variable)?;
            let origin = format!("the access pair of mirror {}", mirror.name);
            return Ok(Some(Credentials::password(user, Secret::new(secret.expose()), origin)));
        }
        Ok(self.credentials.clone())
    }

    /// The name of another repository of the registry at `address` that a mirror is configured for: what is pushed to one
    /// may be there already, and a registry can then take it from there. The first, if there are several.
    pub fn sibling(&self, address: &Address) -> Option<String> {
        let Location::Registry { https, host, name } = address.url.location() else { return None };
        // Who gives a URL has no need of a configuration that can be read.
        let mirrors = Mirrors::of(self.configuration).ok()?;
        let urls = mirrors.iter().flat_map(|mirror| [mirror.fetch_url(), mirror.push_url()]);
        urls.flatten().filter_map(|url| url.parse().ok()).find_map(|url: RepositoryUrl| {
            match url.location() {
                Location::Registry { https: with_tls, host: same, name: other }
                    if (with_tls, same) == (https, host) && other != name =>
                {
                    Some(other.clone())
                }
                _ => None,
            }
        })
    }

    /// Opens the cache at `address`. A registry is not asked for anything yet.
    ///
    /// # Errors
    /// As [`Caches::credentials`]; for a directory that is no image layout.
    pub fn open(&self, address: &Address) -> Result<Box<dyn Repository>, Error> {
        let credentials = match address.url.location() {
            Location::Registry { .. } => self.credentials(address)?,
            _ => None,
        };
        Ok(match address.direction {
            Direction::Fetch | Direction::Update => {
                strata_oci::open(&address.url, self.transport, credentials)?
            }
            Direction::Push => strata_oci::open_or_create(&address.url, self.transport, credentials)?,
        })
    }
}

fn url_of(mirror: &Mirror, direction: Direction) -> Result<&str, strata_config::ConfigError> {
    match direction.configured() {
        ConfigDirection::Fetch => mirror.fetch_url(),
        ConfigDirection::Push => mirror.push_url(),
    }
}

/// The names of the mirrors that hold binary packages, in the order they are asked.
///
/// # Errors
/// [`Error::NoMirrors`] if there are none, [`Error::Config`] if a file cannot be read.
pub fn configured(configuration: &Configuration) -> Result<Vec<String>, Error> {
    let mirrors = Mirrors::of(configuration)?;
    let names: Vec<String> = mirrors.iter().filter(|m| m.binary).map(|m| m.name.clone()).collect();
    if names.is_empty() { Err(Error::NoMirrors) } else { Ok(names) }
}
