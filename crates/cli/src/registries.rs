//! The caches of one command, opened: one transport, and the credentials that the surroundings bring.

use crate::diagnosis::Diagnosis;
use crate::progress::Console;
use crate::settings::{self, Settings};
use std::collections::BTreeSet;
use std::sync::Arc;
use strata_config::Configuration;
use strata_oci::{
    BlobCache, Credentials, Notice, Repository, RepositoryUrl, Transport, TransportOptions, UploadMode,
};
use strata_ops::mirror::{Address, Caches, Direction};
use strata_ops::resolve::Mirror;
use strata_ops::{Event, Reporter};

/// Mirrors to read from, and other repositories.
type Opened = (Vec<Mirror>, Vec<Box<dyn Repository>>);

/// How this command reaches caches.
pub(crate) struct Registries<'s> {
    settings: &'s Settings,
    console: Arc<Console>,
    transport: Transport,
    /// What names caches, and says who to be at them.
    configuration: Result<&'s Configuration, Diagnosis>,
    /// What a URL is looked up in where that cannot be read.
    nothing: Configuration,
}

impl<'s> Registries<'s> {
    /// As the settings say.
    pub(crate) fn new(settings: &'s Settings, console: &Arc<Console>) -> Result<Self, Diagnosis> {
        Self::sending(UploadMode::default(), settings, console)
    }

    /// As the settings say, with blobs sent that way.
    pub(crate) fn sending(
        uploads: UploadMode,
        settings: &'s Settings,
        console: &Arc<Console>,
    ) -> Result<Self, Diagnosis> {
        let cache = settings.use_cache.then(|| BlobCache::new(&settings.cache_directory));
        Self::with(uploads, cache, settings, console)
    }

    /// As the settings say, but blobs are not kept: for what reads many small ones once. To write, look for and read back a
    /// file for each takes longer than to ask for it.
    pub(crate) fn keeping_nothing(settings: &'s Settings, console: &Arc<Console>) -> Result<Self, Diagnosis> {
        Self::with(UploadMode::default(), None, settings, console)
    }

    fn with(
        uploads: UploadMode,
        blob_cache: Option<BlobCache>,
        settings: &'s Settings,
        console: &Arc<Console>,
    ) -> Result<Self, Diagnosis> {
        let listener = Arc::clone(console);
        let options = TransportOptions {
            tls: settings.tls()?,
            uploads,
            credentials: settings.credential_files.store(),
            blob_cache,
            listener: Arc::new(move |notice| tell(notice, &listener)),
            ..TransportOptions::default()
        };
        let transport = Transport::new(options);
        Ok(Self {
            settings,
            console: Arc::clone(console),
            transport,
            configuration: settings.optional_configuration()?,
            nothing: Configuration::nothing(),
        })
    }

    /// The connections that all of it shares.
    pub(crate) fn transport(&self) -> &Transport {
        &self.transport
    }

    /// Opens a cache.
    pub(crate) fn open(
        &self,
        name_or_url: &str,
        direction: Direction,
    ) -> Result<Box<dyn Repository>, Diagnosis> {
        let address = self.address(name_or_url, direction)?;
        let credentials = self.brought_to([&address])?;
        Ok(self.caches(credentials).open(&address)?)
    }

    /// Another repository of the same registry that a mirror is configured for.
    pub(crate) fn sibling(&self, name_or_url: &str) -> Result<Option<String>, Diagnosis> {
        Ok(self.caches(None).sibling(&self.address(name_or_url, Direction::Push)?))
    }

    /// Where a cache is, and who to be there as far as configuration and surroundings say.
    pub(crate) fn locate(
        &self,
        name_or_url: &str,
        direction: Direction,
    ) -> Result<(RepositoryUrl, Option<Credentials>), Diagnosis> {
        let address = self.address(name_or_url, direction)?;
        let credentials = self.brought_to([&address])?;
        Ok((address.url().clone(), self.caches(credentials).credentials(&address)?))
    }

    /// The mirrors to read from: those named, or else all that are configured.
    ///
    /// A configuration is written for Spack too: of the mirrors in it, those that strata cannot use are left out with
    /// a warning, as long as one is left. What is named has to be usable.
    pub(crate) fn readable(&self, named: &[String]) -> Result<Vec<Mirror>, Diagnosis> {
        Ok(self.readable_with(named, &[])?.0)
    }

    /// The same, with other repositories that the command is about: the credentials of the surroundings reach one registry
    /// or none.
    pub(crate) fn readable_with(
        &self,
        named: &[String],
        others: &[(String, Direction)],
    ) -> Result<Opened, Diagnosis> {
        let configured;
        let names = if named.is_empty() {
            configured = strata_ops::mirror::configured(self.configuration.clone()?)?;
            &configured
        } else {
            named
        };
        let located: Vec<(&String, Result<Address, Diagnosis>)> =
            names.iter().map(|name| (name, self.address(name, Direction::Fetch))).collect();
        let others = self.addresses(others)?;
        let all = located.iter().filter_map(|(_, address)| address.as_ref().ok()).chain(&others);
        let caches = self.caches(self.brought_to(all)?);
        let mut usable = Vec::new();
        let mut unusable = Vec::new();
        for (name, address) in located {
            match address.and_then(|address| Ok(caches.open(&address)?)) {
                Ok(repository) => usable.push(Mirror::new(name.clone(), repository)),
                Err(error) if named.is_empty() => unusable.push((name, error)),
                Err(error) => return Err(error),
            }
        }
        if usable.is_empty() && !unusable.is_empty() {
            return Err(unusable.swap_remove(0).1);
        }
        for (name, error) in unusable {
            let reason = error.message();
            self.console.event(Event::Warning(&format!("leaving out mirror {name}: {reason}")));
        }
        let others = others.iter().map(|address| caches.open(address)).collect::<Result<_, _>>()?;
        Ok((usable, others))
    }

    /// Opens several repositories that one command is about.
    pub(crate) fn open_together(
        &self,
        places: &[(String, Direction)],
    ) -> Result<Vec<Box<dyn Repository>>, Diagnosis> {
        let addresses = self.addresses(places)?;
        let caches = self.caches(self.brought_to(&addresses)?);
        Ok(addresses.iter().map(|address| caches.open(address)).collect::<Result<_, _>>()?)
    }

    /// Opens the repository of a base image. The credentials of the surroundings are meant for caches, and reach a base only if
    /// it is where all of these are.
    pub(crate) fn open_base(
        &self,
        url: &RepositoryUrl,
        beside: &[&RepositoryUrl],
    ) -> Result<Box<dyn Repository>, Diagnosis> {
        let base = self.address(&url.to_string(), Direction::Fetch)?;
        let beside: Vec<Address> = beside
            .iter()
            .map(|url| self.address(&url.to_string(), Direction::Fetch))
            .collect::<Result<_, _>>()?;
        let is_beside =
            beside.iter().all(|cache| cache.registry().is_none_or(|it| Some(it) == base.registry()));
        let credentials = if is_beside { self.brought_to([&base])? } else { None };
        Ok(self.caches(credentials).open(&base)?)
    }

    /// Where a cache is that is given as a URL or as a name. A name needs the configuration.
    fn address(&self, name_or_url: &str, direction: Direction) -> Result<Address, Diagnosis> {
        match &self.configuration {
            Err(error) if !name_or_url.contains("://") => Err(error.clone()),
            _ => Ok(self.caches(None).address(name_or_url, direction)?),
        }
    }

    fn addresses(&self, places: &[(String, Direction)]) -> Result<Vec<Address>, Diagnosis> {
        places.iter().map(|(place, direction)| self.address(place, *direction)).collect()
    }

    fn caches(&self, credentials: Option<Credentials>) -> Caches<'_> {
        Caches {
            configuration: self.configuration.as_ref().map_or(&self.nothing, |configuration| configuration),
            transport: &self.transport,
            variable: &settings::variable,
            credentials,
        }
    }

    /// The credentials that the environment brings, if it is clear for which registry they are: they name none, and
    /// must not reach a second one.
    fn brought_to<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a Address>,
    ) -> Result<Option<Credentials>, Diagnosis> {
        let mut registries = BTreeSet::new();
        for address in addresses {
            registries.extend(address.registry());
            // A URL needs no configuration: it is enough to say that its mirror could not be looked up.
            let unread = self.configuration.as_ref().err().map(Diagnosis::message);
            if let Some(reason) =
                unread.filter(|_| address.registry().is_some()).or(address.unread().map(str::to_owned))
            {
                let text = format!("not looking for an access pair for {}: {reason}", address.url());
                self.console.event(Event::Warning(&text));
            }
        }
        if registries.is_empty() {
            return Ok(None);
        }
        let Some(credentials) = self.settings.credentials()? else { return Ok(None) };
        if registries.len() == 1 {
            return Ok(Some(credentials));
        }
        self.console.event(Event::Warning(&format!(
            "not using {}: they would go to more than one registry ({}); name one with --mirror, or give each mirror \
             an access pair",
            credentials.origin,
            registries.into_iter().collect::<Vec<_>>().join(", ")
        )));
        Ok(None)
    }
}

fn tell(notice: &Notice, console: &Console) {
    let text = notice.to_string();
    console.event(match notice {
        Notice::Waiting { .. } | Notice::CacheUnusable { .. } => Event::Warning(&text),
        _ => Event::Detail(&text),
    });
}
