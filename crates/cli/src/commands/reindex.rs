//! `strata reindex`.

use crate::args::store::Reindex;
use crate::diagnosis::{Diagnosis, SOME_FAILED};
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::settings::{Place, Settings};
use std::collections::HashSet;
use strata_ops::{Error, Event, Reporter, reindex as operation};
use strata_spec::DagHash;
use strata_store::Upstream;

/// Makes the store's database anew from what is installed.
pub(crate) fn reindex(args: &Reindex, settings: &Settings, console: &Console) -> Result<Outcome, Diagnosis> {
    let place = settings.place()?;
    let upstream = upstream(&place)?;
    let store = operation::open(place.root()?, place.locks)?;
    let summary = operation::reindex(&store, &upstream, args.dry_run)?;
    if let Some(reason) = &summary.unusable {
        let text = format!(
            "the old database cannot be read ({reason}): all packages count as asked for, and externals that nothing \
             needs are forgotten"
        );
        console.event(Event::Warning(&text));
    }
    for package in &summary.vanished {
        let text =
            format!("{package} was recorded as installed, and is not there: it is recorded as missing now");
        console.event(Event::Warning(&text));
    }
    let verb = if args.dry_run { "would record" } else { "recorded" };
    let mut text = format!("{verb} {} in {}\n", packages(summary.found.len()), summary.index.display());
    if let Some(backup) = &summary.backup {
        text += &format!("the old database is in {}\n", backup.display());
    }
    let mut outcome = Outcome::new(text, &summary)?;
    let left_out = summary.left_out.into_iter();
    let left_out =
        left_out.map(|left| Error::PrefixLeftOut { prefix: left.prefix, reason: left.reason }.into());
    outcome.fail(left_out.collect(), false);
    debug_assert!(outcome.exit_code == 0 || outcome.exit_code == SOME_FAILED);
    Ok(outcome)
}

/// What is installed in the stores below ours. One that cannot be read is an error: its packages would be recorded here as
/// missing.
fn upstream(place: &Place) -> Result<HashSet<DagHash>, Diagnosis> {
    let mut hashes = HashSet::new();
    for strata_config::Upstream { name, install_tree } in &place.upstreams {
        let watcher = &place.locks.watcher;
        let upstream = Upstream::open(name, install_tree, watcher).map_err(Error::from)?;
        let records = upstream.read(watcher).map_err(Error::from)?.records.into_iter();
        hashes.extend(records.filter(|(_, record)| record.installed).map(|(hash, _)| hash));
    }
    Ok(hashes)
}
