//! Whether a binary runs on a machine: platform, target and libc.

use crate::catalog::{EdgeRef, NodeRef};
use crate::dag::DependencyTypes;
use crate::matching::visit::{self, Walk};
use crate::target;
use crate::version::Version;
use serde::Serialize;
use std::fmt;

/// A machine that binaries are to run on. What is not known of it is empty or none, and speaks against nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// `linux`
    pub platform: String,
    /// `debian12`; none if it is not known.
    pub os: Option<String>,
    /// The most specific target of archspec that it is.
    pub target: String,
    /// Its C library.
    pub libc: Option<Libc>,
}

/// A C library.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Libc {
    /// `glibc` or `musl`
    pub name: String,
    /// `2.36`
    pub version: String,
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.version)
    }
}

/// Why a binary does not run on a machine. Its text is a clause for people: `needs glibc 2.38, this machine has 2.36`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unfit {
    /// Built for another platform.
    Platform {
        /// What it was built for.
        built_for: String,
        /// What the machine is.
        host: String,
    },
    /// Built for a processor that the machine's is not.
    Target {
        /// What it was built for.
        built_for: String,
        /// What the machine is.
        host: String,
    },
    /// Built against another C library, or a newer one.
    Libc {
        /// What it was built against: `glibc 2.38`.
        built_against: String,
        /// What the machine has: `glibc 2.36`.
        host: String,
    },
    /// Built on another operating system, and nothing tells which C library it needs.
    Os {
        /// What it was built on.
        built_on: String,
        /// What the machine has.
        host: String,
    },
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform { built_for, host } => write!(f, "built for {built_for}, this machine is {host}"),
            Self::Target { built_for, host } => {
                write!(f, "built for {built_for}, this machine is {host}")?;
                match target::generic(host) {
                    level if level == host => Ok(()),
                    level => write!(f, " ({level})"),
                }
            }
            Self::Libc { built_against, host } => {
                let name = built_against.split(' ').next().unwrap_or_default();
                let same = host.strip_prefix(name).and_then(|rest| rest.strip_prefix(' '));
                write!(f, "needs {built_against}, this machine has {}", same.unwrap_or(host))
            }
            Self::Os { built_on, host } => write!(f, "built on {built_on}, this machine has {host}"),
        }
    }
}

/// Why `node` does not run on `host`; none if it does, as far as can be told.
///
/// On Linux the C library decides, and not the distribution: a package that needs none runs on all of them. Of formats that
/// do not say which C library a package needs, the distribution has to be the same.
pub fn unfit(node: NodeRef<'_>, host: &Host) -> Option<Unfit> {
    if !host.platform.is_empty() && node.platform() != host.platform {
        return Some(Unfit::Platform { built_for: node.platform().to_owned(), host: host.platform.clone() });
    }
    if !host.target.is_empty() && !target::runs(&host.target, node.target()) {
        return Some(Unfit::Target { built_for: node.target().to_owned(), host: host.target.clone() });
    }
    match (node.platform(), libc(node)) {
        ("linux", Some(needed)) => {
            let has = host.libc.as_ref()?;
            (!is_enough(has, &needed))
                .then(|| Unfit::Libc { built_against: needed.to_string(), host: has.to_string() })
        }
        ("linux", None) if node.original_format() >= 5 => None,
        _ => {
            let os = host.os.as_ref()?;
            (node.os() != os).then(|| Unfit::Os { built_on: node.os().to_owned(), host: os.clone() })
        }
    }
}

/// The C library that `node` was built against: its own, or that of what it links.
pub fn libc(node: NodeRef<'_>) -> Option<Libc> {
    let of = |edge: EdgeRef<'_>| {
        let is_libc = edge.virtuals().any(|name| name == "libc");
        let provider = edge.node().filter(|_| is_libc)?;
        Some(Libc { name: provider.name().to_owned(), version: provider.version().to_owned() })
    };
    if let Some(own) = visit::direct(node, DependencyTypes::ALL).find_map(of) {
        return Some(own);
    }
    let mut found = None;
    visit::edges(node, DependencyTypes::LINK, |edge| {
        found = of(edge);
        if found.is_some() { Walk::Stop } else { Walk::On }
    });
    found
}

fn is_enough(has: &Libc, needed: &Libc) -> bool {
    let version = |libc: &Libc| libc.version.parse::<Version>();
    has.name == needed.name
        && match (version(has), version(needed)) {
            (Ok(has), Ok(needed)) => has >= needed,
            _ => true,
        }
}
