//! Where packages are installed: `--store`, `STRATA_STORE`, `config:install_tree`, or a directory of strata's own.

use crate::diagnosis::Diagnosis;
use crate::progress::Console;
use crate::settings::Settings;
use std::collections::HashMap;
use std::path::PathBuf;
use strata_config::{Configuration, InstallTree, Locks, Permissions};
use strata_ops::{Event, Reporter};
use strata_store::{
    AccessPolicy, Installed, LockSettings, Projections, RootError, Store, StoreRoot, Upstream, Users,
};

/// The install tree that a command is about, which need not exist.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its root, padded underneath or not.
    pub(crate) root: PathBuf,
    /// Whether somebody named it; the default one need not exist.
    pub(crate) is_named: bool,
    /// Pad the root of a new install tree to this many bytes.
    padded_length: Option<usize>,
    /// Whether the command line asks for that: then a tree with another padding is not what is meant.
    is_padding_named: bool,
    /// How to lock.
    pub(crate) locks: LockSettings,
    /// The stores below it, the first one first.
    pub(crate) upstreams: Vec<strata_config::Upstream>,
}

impl Settings {
    /// Where packages are installed.
    pub(crate) fn place(&self) -> Result<Place, Diagnosis> {
        match self.optional_configuration()?.and_then(|configuration| self.place_in(configuration)) {
            Ok(place) => Ok(place),
            // Who names the store has to know no more. Locks are used where nothing says otherwise.
            Err(error)
                if let Some(root) = &self.named_store
                    && !self.says_configuration() =>
            {
                let reason = error.message();
                self.warn.of(&format!(
                    "{} is used without upstreams and with locks as usual: {reason}",
                    root.display()
                ));
                Ok(Place {
                    root: root.clone(),
                    is_named: true,
                    padded_length: self.padded_length,
                    is_padding_named: self.padded_length.is_some(),
                    locks: LockSettings { watcher: self.watcher.clone(), ..LockSettings::default() },
                    upstreams: Vec::new(),
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Where packages are installed by a configuration that need not be that of the command.
    pub(crate) fn place_in(&self, configuration: &Configuration) -> Result<Place, Diagnosis> {
        let locks = Locks::of(configuration)?;
        let locks = LockSettings {
            enabled: locks.enabled,
            database_timeout: locks.database_timeout,
            package_timeout: locks.package_timeout,
            watcher: self.watcher.clone(),
        };
        // The padding of another tree says nothing about one that is named here.
        let (root, padded_length) = match &self.named_store {
            Some(root) => (root.clone(), None),
            None => {
                let tree = InstallTree::of(configuration)?;
                (tree.root.unwrap_or_else(|| self.own_store.clone()), tree.padded_length)
            }
        };
        let is_named = self.named_store.is_some();
        let upstreams = strata_config::Upstream::all(configuration)?;
        let is_padding_named = self.padded_length.is_some();
        let padded_length = self.padded_length.or(padded_length);
        Ok(Place { root, is_named, padded_length, is_padding_named, locks, upstreams })
    }

    /// Which directories new packages get.
    pub(crate) fn projections(&self) -> Result<Projections, Diagnosis> {
        let configuration = self.configuration()?;
        let length = configuration.get("config:install_hash_length")?;
        let length = length.and_then(|length| usize::try_from(length.integer()?).ok());
        let projections = InstallTree::projections_of(configuration)?;
        Ok(Projections::new(&projections, length).map_err(strata_ops::Error::from)?)
    }

    /// Who may read and write packages: those of which something is said, by their names, and all others, if anything is
    /// said of them.
    pub(crate) fn access(&self) -> Result<(HashMap<String, AccessPolicy>, Option<AccessPolicy>), Diagnosis> {
        let packages = self.configuration()?.section("packages")?;
        let named = packages.as_ref().and_then(|packages| packages.mapping()).into_iter();
        let named = named.flat_map(|packages| packages.iter());
        let named = named.filter(|(_, package)| package.get("permissions").is_some());
        let mut access = HashMap::new();
        for (name, _) in named.filter(|(name, _)| name.name != "all") {
            access.extend(self.access_of(&name.name)?.map(|policy| (name.name.clone(), policy)));
        }
        Ok((access, self.access_of("all")?))
    }

    fn access_of(&self, package: &str) -> Result<Option<AccessPolicy>, Diagnosis> {
        let configuration = self.configuration()?;
        let said = Permissions::of(configuration, package)?;
        if said == Permissions::default() {
            return Ok(None);
        }
        let users = |said: Option<&str>, otherwise| match said {
            None => Ok(otherwise),
            Some("user") => Ok(Users::User),
            Some("group") => Ok(Users::Group),
            Some("world") => Ok(Users::World),
            Some(other) => Err(Diagnosis::misuse(
                format!("packages:{package}:permissions: `{other}` is no class of users"),
                "they are user, group and world",
            )),
        };
        let allowed = configuration.get("config:allow_sgid")?.and_then(|allowed| allowed.flag());
        Ok(Some(AccessPolicy {
            read: users(said.read.as_deref(), Users::World)?,
            write: users(said.write.as_deref(), Users::User)?,
            group: said.group,
            set_group_id: allowed.unwrap_or(true),
        }))
    }
}

impl Place {
    /// The root of the install tree that is there.
    pub(crate) fn existing_root(&self) -> Result<StoreRoot, Diagnosis> {
        let with_padding = self.padded_length.map(|length| StoreRoot::open_or_new(&self.root, Some(length)));
        let with_padding = with_padding.transpose().map_err(strata_ops::Error::from)?;
        match with_padding.filter(|root| root.database_directory().is_dir()) {
            Some(root) => Ok(root),
            None => Ok(StoreRoot::open(&self.root).map_err(strata_ops::Error::from)?),
        }
    }

    /// The root of the install tree that is there, or of the one to be made.
    ///
    /// An install tree that is there stays in use whatever padding is configured: a second one below it would be one that no
    /// other command finds. A padding that the command line asks for must be the one that it has.
    pub(crate) fn root(&self) -> Result<StoreRoot, Diagnosis> {
        let failed = strata_ops::Error::from;
        let Some(length) = self.padded_length else {
            return Ok(StoreRoot::open_or_new(&self.root, None).map_err(failed)?);
        };
        let padded = StoreRoot::open_or_new(&self.root, Some(length)).map_err(failed)?;
        if padded.database_directory().is_dir() {
            return Ok(padded);
        }
        match StoreRoot::open(&self.root) {
            Err(RootError::NoDatabase { .. }) => Ok(padded),
            Ok(existing) if existing != padded && self.is_padding_named => {
                let existing = existing.root().to_owned();
                Err(strata_ops::Error::OtherPadding { existing, length }.into())
            }
            other => Ok(other.map_err(failed)?),
        }
    }

    /// What is installed here and below; a store is not begun for it. Upstreams that are not there are left out with a
    /// warning, as by Spack.
    pub(crate) fn installed(&self, root: &StoreRoot, console: &Console) -> Result<Installed, Diagnosis> {
        let failed = strata_ops::Error::from;
        let store = match root.database_directory().is_dir() {
            true => Some(Store::open(root.clone(), self.locks.clone()).map_err(failed)?),
            false => None,
        };
        let watcher = &self.locks.watcher;
        let mut upstreams = Vec::with_capacity(self.upstreams.len());
        for strata_config::Upstream { name, install_tree } in &self.upstreams {
            match Upstream::open(name, install_tree, watcher) {
                // It is no use to be told of oneself.
                Ok(upstream) if upstream.root() == root => {}
                Ok(upstream) => upstreams.push(upstream),
                Err(error @ RootError::NoDatabase { .. }) => {
                    console.event(Event::Warning(&format!("the upstream {name} is left out: {error}")));
                }
                Err(error) => return Err(strata_ops::Error::from(error).into()),
            }
        }
        Ok(Installed::read(store.as_ref(), &upstreams, watcher).map_err(strata_ops::Error::from)?)
    }
}
