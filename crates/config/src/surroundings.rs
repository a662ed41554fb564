//! [`Surroundings`]: what of the machine and the process decides which configuration there is. This crate reads none of it itself.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

/// The process and the machine, as Spack's configuration asks for them.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The Spack in use: `SPACK_ROOT`.
    pub spack_root: Option<PathBuf>,
    /// The home directory.
    pub home: PathBuf,
    /// The working directory.
    pub working_directory: PathBuf,
    /// Where temporary files go.
    pub temporary: PathBuf,
    /// The user's name.
    pub user: String,
    /// The machine's name.
    pub host_name: String,
    /// `linux`, `darwin`, …
    pub platform: String,
    /// What more there is to know of the machine.
    pub machine: Machine,
    /// Whether the concrete target, the first, is one that the second names: a name, or a range such as `x86_64_v3:`. Where
    /// there is none, a name is compared.
    pub target_matches: Option<fn(&str, &str) -> bool>,
    /// Today, `YYYY-MM-DD`.
    pub date: String,
    /// The environment variables.
    pub variables: HashMap<String, String>,
}

/// The machine. Few configurations ask about it, and it takes a while to find out: it is looked at when the first one does.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    found: Arc<OnceLock<MachineFacts>>,
    look: Option<fn() -> MachineFacts>,
}

/// What there is to know of a machine.
#[derive(Clone, Debug, Default)]
pub struct MachineFacts {
    /// `debian12`, …; none if it is not known.
    pub os: Option<String>,
    /// The processor by archspec's name.
    pub target: String,
    /// Its family by archspec's name.
    pub target_family: String,
}

impl Machine {
    /// The one that `look` finds, once, if it is asked for.
    pub fn looked_at_by(look: fn() -> MachineFacts) -> Self {
        Self { found: Arc::default(), look: Some(look) }
    }

    fn facts(&self) -> &MachineFacts {
        self.found.get_or_init(|| self.look.map(|look| look()).unwrap_or_default())
    }
}

impl From<MachineFacts> for Machine {
    fn from(facts: MachineFacts) -> Self {
        Self { found: Arc::new(facts.into()), look: None }
    }
}

impl Surroundings {
    /// The operating system: `debian12`, …; none if it is not known.
    pub fn os(&self) -> Option<&str> {
        self.machine.facts().os.as_deref()
    }

    /// The processor by archspec's name.
    pub fn target(&self) -> &str {
        &self.machine.facts().target
    }

    /// Its family by archspec's name.
    pub fn target_family(&self) -> &str {
        &self.machine.facts().target_family
    }
}

/// What a command line says about configuration.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// `-C`: directories, files, or names of environments; the last one counts most.
    pub custom_scopes: Vec<PathBuf>,
    /// `-c`: `section:key:value`, the last one counts most.
    pub settings: Vec<String>,
    /// The environment that is active: its name and its directory.
    pub environment: Option<(String, PathBuf)>,
}
