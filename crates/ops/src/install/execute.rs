//! Installing what a plan says: packages staged in parallel, made visible in dependency order.

use super::downloads::Downloads;
use super::fit;
use super::package::Here;
use super::plan::{InstallPlan, PlannedInstall};
use super::workers::Queue;
use super::{Failure, InstallOptions, InstallSummary, Site};
use crate::error::{Error, chain};
use crate::parallel::lock;
use crate::report::{Action, Event, Reporter};
use crate::resolve::{Mirror, Resolved};
use crossbeam_channel::unbounded;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use strata_spec::{DagHash, NodeSource, closure};
use strata_store::{FileCache, FileSystem, StageArea, Store, clean_stale, install_sbang};

/// What everybody works with.
pub(super) struct Context<'c> {
    pub(super) store: &'c Store,
    pub(super) site: &'c Site,
    pub(super) prefixes: &'c HashMap<DagHash, PathBuf>,
    pub(super) area: &'c StageArea,
    /// The files that packages share, if they are to.
    pub(super) files: Option<&'c FileCache>,
    /// What is to be flushed before anything is recorded, if contents are to be.
    pub(super) file_system: Option<&'c FileSystem>,
    pub(super) downloads: &'c Downloads<'c>,
    pub(super) here: &'c Here,
    pub(super) options: &'c InstallOptions,
    pub(super) reporter: &'c dyn Reporter,
}

/// Does what `plan` says. Failures of single packages are in the summary; what does not need them goes on.
pub fn execute(
    plan: InstallPlan,
    resolved: &Resolved,
    mirrors: &[Mirror],
    site: &Site,
    options: &InstallOptions,
    reporter: &dyn Reporter,
) -> Result<InstallSummary, Error> {
    let root = &site.root;
    let here = here(&plan, resolved, site)?;
    let options = &InstallOptions { jobs: options.jobs.max(1), ..*options };
    let downloads = Downloads::new(mirrors);
    fit::check(&plan, &downloads, &here, root, options, reporter)?;

    let mut summary = InstallSummary { chosen: plan.chosen, present: plan.present, ..Default::default() };
    if plan.to_install.is_empty() && plan.to_mark_explicit.is_empty() {
        return Ok(summary);
    }
    let store = Store::create(root.clone(), site.locks.clone())?;
    mark_explicit(&store, &plan.to_mark_explicit)?;
    if plan.to_install.is_empty() {
        return Ok(summary);
    }
    reporter.event(Event::Expect(Action::Install, plan.to_install.len()));
    clean_stale(&store)?;
    install_sbang(root)?;
    let file_system = options.flush.then(|| FileSystem::open(root.root())).transpose()?;
    let area = StageArea::open(&store)?;
    let files = FileCache::open(root, &area, options.link)?;
    let context = Context {
        store: &store,
        site,
        prefixes: &plan.prefixes,
        area: &area,
        files: files.as_ref(),
        file_system: file_system.as_ref(),
        downloads: &downloads,
        here: &here,
        options,
        reporter,
    };

    let queue = Mutex::new(Queue::new(&plan.to_install, &downloads));
    let (outcomes, results) = unbounded();
    let result = std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(plan.to_install.len()) {
            let (outcomes, queue, context) = (outcomes.clone(), &queue, &context);
            scope.spawn(move || context.work(queue, &outcomes));
        }
        drop(outcomes);
        let result = context.register(&plan.to_install, resolved, results, &mut summary);
        // After an error nobody listens any more: leave the rest.
        lock(&queue).clear();
        result
    });
    mark_explicit(&store, &result?)?;
    summary.installed.sort_by(|a, b| (&a.name, &a.hash).cmp(&(&b.name, &b.hash)));
    Ok(summary)
}

/// Records of packages that are there already that a user asked for them now.
fn mark_explicit(store: &Store, hashes: &[DagHash]) -> Result<(), Error> {
    if hashes.is_empty() {
        return Ok(());
    }
    store.transaction(|database| {
        for hash in hashes {
            if let Some(record) = database.records.get_mut(hash) {
                record.explicit = true;
            }
        }
        Ok(())
    })
}

/// Where everything of the closure is, or is going to be.
fn here(plan: &InstallPlan, resolved: &Resolved, site: &Site) -> Result<Here, Error> {
    let roots: Vec<_> = resolved.roots.iter().filter_map(|hash| resolved.node(hash)).collect();
    let mut prefixes = HashMap::new();
    for node in closure(resolved, &roots)? {
        prefixes.extend(plan.prefixes.get(&node.hash).map(|prefix| (node.hash.clone(), prefix.clone())));
    }
    Ok(Here { root: site.root.root().to_owned(), sbang: site.root.sbang_path()?, prefixes })
}

impl Context<'_> {
    /// Tells of a package that failed.
    pub(super) fn failed(&self, planned: &PlannedInstall, error: Error, summary: &mut InstallSummary) {
        let (package, message) = (planned.label(), chain(&error));
        self.reporter.event(Event::Failed(Action::Install, &package, &message));
        summary.failed.push(Failure { package, message, explicit: planned.explicit, error });
    }
}
