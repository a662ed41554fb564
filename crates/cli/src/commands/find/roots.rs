//! What was asked for in an environment, and what became of each of it.

use crate::args;
use crate::commands::in_environment::Current;
use crate::diagnosis::Diagnosis;
use crate::settings::Settings;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Write;
use strata_spec::DagHash;
use strata_spec::lockfile::Root;
use strata_store::Installed;

/// What was asked for.
pub(super) struct Roots {
    roots: Vec<Wanted>,
}

struct Wanted {
    /// As it is written.
    asked: String,
    /// What it became; none if it is not concrete.
    hash: Option<DagHash>,
    status: &'static str,
    /// Whether another environment brought it.
    included: bool,
}

impl Roots {
    pub(super) fn new(
        current: &Current,
        settings: &Settings,
        installed: &Installed,
        absent: &HashSet<DagHash>,
    ) -> Result<Self, Diagnosis> {
        let status = |hash: &DagHash| status(installed, absent, hash);
        let concrete = |root: &Root, included| Wanted {
            asked: root.requested.clone(),
            status: status(&root.hash),
            hash: Some(root.hash.clone()),
            included,
        };
        let lockfile = current.lockfile.as_ref();
        let mut roots: Vec<Wanted> = Vec::new();
        if current.has_manifest() {
            let environment = current.read()?;
            for spec in environment.user_specs(settings.configuration()?)? {
                let hash = environment.concrete(&spec).cloned();
                let status = hash.as_ref().map_or(" - ", |hash| status(hash));
                roots.push(Wanted { asked: spec.canonical(), hash, status, included: false });
            }
        } else {
            let own = lockfile.map(|lockfile| lockfile.roots.as_slice()).unwrap_or_default();
            roots.extend(own.iter().map(|root| concrete(root, false)));
        }
        let included = lockfile.into_iter().flat_map(|lockfile| lockfile.included.values().flatten());
        roots.extend(included.map(|root| concrete(root, true)));
        Ok(Self { roots })
    }

    /// A line for each.
    pub(super) fn text(&self, args: &args::Find) -> String {
        let mut text = String::new();
        for root in &self.roots {
            write!(text, "{} ", root.status).ok();
            let none = "-".repeat(32);
            let hash = root.hash.as_ref().map_or(none.as_str(), DagHash::as_str);
            if args.very_long {
                write!(text, "{hash} ").ok();
            } else if args.long {
                write!(text, "{} ", &hash[..7]).ok();
            }
            let from = if root.included { "  (included)" } else { "" };
            writeln!(text, "{}{from}", root.asked).ok();
        }
        text
    }

    pub(super) fn json(&self, current: &Current) -> Value {
        let roots = self.roots.iter().map(|root| {
            let status = match root.status {
                "[+]" | "[^]" => "installed",
                "[e]" => "external",
                _ if root.hash.is_some() => "concrete",
                _ => "wanted",
            };
            json!({"spec": root.asked, "hash": root.hash, "status": status, "included": root.included})
        });
        json!({
            "name": current.name, "directory": current.directory, "roots": roots.collect::<Vec<_>>(),
        })
    }
}

/// Where a package is, as Spack marks it. Of those that are `absent` there is no record in the store; what is recorded and not
/// installed is missed by what was built with it.
pub(super) fn status(installed: &Installed, absent: &HashSet<DagHash>, hash: &DagHash) -> &'static str {
    match installed.database().records.get(hash) {
        Some(record) if record.node.is_external() => "[e]",
        Some(record) if record.installed && installed.installed_upstream(hash).is_some() => "[^]",
        Some(record) if record.installed => "[+]",
        Some(_) if !absent.contains(hash) => "[-]",
        _ => " - ",
    }
}
