//! Installing what a plan says: packages staged in parallel, made visible in dependency order.

use super::fit;
use super::package::{self, Here, Staged};
use super::plan::{InstallPlan, PlannedInstall};
use super::{Failure, InstallOptions, InstallSummary, Installed, Site};
use crate::error::{Error, chain};
use crate::parallel::lock;
use crate::report::{Action, Event, Reporter};
use crate::resolve::{Mirror, Resolved};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use strata_spec::{DagHash, Node, NodeSource, closure};
use strata_store::prefix_state::prefix_state;
use strata_store::stage::Replaced;
use strata_store::store::now;
use strata_store::{
    LockError, LockKind, NewInstall, PrefixState, Recording, StageArea, Store, StoreError, clean_stale,
    install_sbang, record_installs, remove_prefix,
};

/// How long to wait before asking again for a prefix that another process works on.
const BUSY_WAIT: Duration = Duration::from_millis(100);
/// After how long others are worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a worker reports of a package.
enum Outcome<'p> {
    Staged(&'p PlannedInstall, Box<Staged>, Duration),
    /// Another process installed it in the meantime, and may be using it.
    Present(&'p PlannedInstall),
    Failed(&'p PlannedInstall, Error),
}

/// A staged package that waits for what it needs.
struct Waiting<'p> {
    planned: &'p PlannedInstall,
    staged: Box<Staged>,
    elapsed: Duration,
    /// Everything it needs at run time.
    needs: HashSet<DagHash>,
}

/// Packages nobody has begun with yet.
struct Queue<'p> {
    packages: VecDeque<&'p PlannedInstall>,
    /// How many in a row were found locked by other processes.
    busy: usize,
    /// Since when nothing but locked ones was found.
    busy_since: Option<Instant>,
    /// Whether it was said that others are waited for.
    told: bool,
}

struct Context<'c> {
    store: &'c Store,
    site: &'c Site,
    prefixes: &'c HashMap<DagHash, PathBuf>,
    area: &'c StageArea,
    mirrors: &'c [Mirror],
    here: &'c Here,
    options: &'c InstallOptions,
    reporter: &'c dyn Reporter,
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
    fit::check(&plan, mirrors, &here, root, options, reporter)?;

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
    let area = StageArea::open(&store)?;
    let prefixes = &plan.prefixes;
    let context =
        Context { store: &store, site, prefixes, area: &area, mirrors, here: &here, options, reporter };

    let mut packages: Vec<&PlannedInstall> = plan.to_install.iter().collect();
    packages.sort_by_key(|planned| std::cmp::Reverse(planned.size));
    let queue = Mutex::new(Queue { packages: packages.into(), busy: 0, busy_since: None, told: false });
    let (outcomes, results) = unbounded();
    let result = std::thread::scope(|scope| {
        for _ in 0..options.jobs.min(plan.to_install.len()) {
            let (outcomes, queue, context) = (outcomes.clone(), &queue, &context);
            scope.spawn(move || context.work(queue, &outcomes));
        }
        drop(outcomes);
        let result = context.register(&plan.to_install, resolved, results, &mut summary);
        // After an error nobody listens any more: leave the rest.
        lock(&queue).packages.clear();
        result
    });
    result?;
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
    /// Takes packages until there are none left. A package whose prefix another process has locked goes to the end
    /// of the queue: never waiting for one lock while others can be had keeps two installs from waiting for each
    /// other.
    fn work<'p>(&self, queue: &Mutex<Queue<'p>>, outcomes: &Sender<Outcome<'p>>) {
        loop {
            let (planned, all_busy) = {
                let mut queue = lock(queue);
                let Some(planned) = queue.packages.pop_front() else { return };
                (planned, queue.busy > queue.packages.len())
            };
            if all_busy {
                std::thread::sleep(BUSY_WAIT);
            }
            let started = Instant::now();
            let outcome = match self.store.try_lock_prefix(&planned.hash, LockKind::Write) {
                Ok(None) => match self.is_there_meanwhile(planned) {
                    Ok(true) => Outcome::Present(planned),
                    Ok(false) => match self.put_back(planned, &mut lock(queue)) {
                        Ok(()) => continue,
                        Err(error) => Outcome::Failed(planned, error),
                    },
                    Err(error) => Outcome::Failed(planned, error),
                },
                Ok(Some(guard)) => {
                    let mut queue = lock(queue);
                    (queue.busy, queue.busy_since) = (0, None);
                    drop(queue);
                    match self.install(planned, guard) {
                        Ok(Some(staged)) => Outcome::Staged(planned, Box::new(staged), started.elapsed()),
                        Ok(None) => Outcome::Present(planned),
                        Err(error) => Outcome::Failed(planned, error),
                    }
                }
                Err(error) => Outcome::Failed(planned, StoreError::from(error).into()),
            };
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }

    /// Whether a package that another process has locked is installed. Spack keeps what it depends on locked for reading to
    /// its end: if we waited for that, and held what it waits for, neither would ever go on.
    fn is_there_meanwhile(&self, planned: &PlannedInstall) -> Result<bool, Error> {
        if planned.replaces || planned.prefix.symlink_metadata().is_err() {
            return Ok(false);
        }
        let database = self.store.read()?;
        let state = prefix_state(&database, &planned.prefix, &planned.hash);
        Ok(state.map_err(|error| Error::io(&planned.prefix, error))? == PrefixState::Installed)
    }

    /// Puts a package whose prefix another process has locked at the end of the queue. When all that is left is
    /// locked, it is said who is waited for, and for how long (`config:package_lock_timeout`) is counted.
    fn put_back<'p>(&self, planned: &'p PlannedInstall, queue: &mut Queue<'p>) -> Result<(), Error> {
        queue.busy += 1;
        let all_busy = queue.busy > queue.packages.len();
        let since = *queue.busy_since.get_or_insert_with(Instant::now);
        let waited = since.elapsed();
        let holder = || self.store.prefix_holder(&planned.hash, LockKind::Write);
        if all_busy && self.site.locks.package_timeout.is_some_and(|timeout| waited >= timeout) {
            let (path, kind, holder) = (self.store.prefix_lock(), LockKind::Write, holder());
            return Err(StoreError::from(LockError::Timeout { path, kind, waited, holder }).into());
        }
        if all_busy && waited >= PATIENCE && !std::mem::replace(&mut queue.told, true) {
            let who = holder().map_or_else(|| "another process".to_owned(), |holder| holder.to_string());
            let text = format!("Waiting for {who}, which is at work on {}", planned.label());
            self.reporter.event(Event::Phase(&text));
        }
        queue.packages.push_back(planned);
        Ok(())
    }

    fn install(
        &self,
        planned: &PlannedInstall,
        guard: strata_store::LockGuard,
    ) -> Result<Option<Staged>, Error> {
        if !package::clear_the_way(self.store, self.area, planned)? {
            return Ok(None);
        }
        self.reporter.event(Event::Started(Action::Install, &planned.label()));
        let places = (self.store.root(), self.area);
        package::stage(planned, self.mirrors, self.here, places, self.options, guard).map(Some)
    }

    /// Makes staged packages visible: each once everything it needs is, all that are ready in one transaction.
    fn register<'p>(
        &self,
        planned: &'p [PlannedInstall],
        resolved: &Resolved,
        results: Receiver<Outcome<'p>>,
        summary: &mut InstallSummary,
    ) -> Result<(), Error> {
        let mut waiting: HashMap<&'p DagHash, Waiting<'p>> = HashMap::new();
        // What is replaced is there all the while: nobody waits for it, lest others wait for us who read it.
        let mut unfinished: HashSet<&'p DagHash> =
            planned.iter().filter(|planned| !planned.replaces).map(|planned| &planned.hash).collect();
        let mut failed: HashSet<&'p DagHash> = HashSet::new();
        let mut asked_for: Vec<DagHash> = Vec::new();
        while let Ok(outcome) = results.recv() {
            for outcome in std::iter::once(outcome).chain(results.try_iter()) {
                match outcome {
                    Outcome::Staged(planned, staged, elapsed) => {
                        let needs = runtime_needs(resolved, planned)?;
                        waiting.insert(&planned.hash, Waiting { planned, staged, elapsed, needs });
                    }
                    Outcome::Present(package) => {
                        // Whoever was faster may have needed it for something else only.
                        asked_for.extend(package.explicit.then(|| package.hash.clone()));
                        unfinished.remove(&package.hash);
                        summary.present.push(package.label());
                    }
                    Outcome::Failed(package, error) => {
                        unfinished.remove(&package.hash);
                        failed.insert(&package.hash);
                        self.failed(package, error, summary);
                    }
                }
            }
            // `planned` has dependencies first: one pass finds everything that is ready.
            let mut batch = Vec::new();
            for package in planned {
                let Some(Waiting { needs, .. }) = waiting.get(&package.hash) else { continue };
                let is_failed = |p: &&PlannedInstall| failed.contains(&p.hash) && needs.contains(&p.hash);
                if let Some(dependency) = planned.iter().find(is_failed) {
                    waiting.remove(&package.hash);
                    unfinished.remove(&package.hash);
                    failed.insert(&package.hash);
                    self.failed(package, Error::DependencyFailed { dependency: dependency.label() }, summary);
                } else if !needs.iter().any(|hash| unfinished.contains(hash)) {
                    unfinished.remove(&package.hash);
                    batch.extend(waiting.remove(&package.hash));
                }
            }
            if !batch.is_empty() {
                self.commit(batch, resolved, summary)?;
            }
        }
        mark_explicit(self.store, &asked_for)
    }

    /// Renames the packages into place and records them, all under the database's write lock.
    fn commit(
        &self,
        batch: Vec<Waiting<'_>>,
        resolved: &Resolved,
        summary: &mut InstallSummary,
    ) -> Result<(), Error> {
        let mut locks = Vec::with_capacity(batch.len());
        let mut done = Vec::with_capacity(batch.len());
        let mut stranded = Vec::new();
        let mut replaced: Vec<Replaced> = Vec::new();
        let recorded = self.store.transaction(|database| {
            let mut installs: Vec<NewInstall<'_>> = Vec::with_capacity(batch.len());
            // Dependencies come first, here too.
            for Waiting { planned, staged, elapsed, needs } in batch {
                let is_there = |hash: &DagHash| {
                    installs.iter().any(|install| install.node.hash == *hash)
                        || match database.records.get(hash) {
                            Some(record) => record.installed,
                            None => self.site.installed.installed_upstream(hash).is_some(),
                        }
                };
                if let Some(gone) = needs.into_iter().find(|hash| !is_there(hash)) {
                    stranded.push((planned, gone));
                    continue;
                }
                let Staged { stage, unpacked, relocated, leftovers, lock } = *staged;
                locks.push(lock);
                let replaces = planned.replaces && planned.prefix.symlink_metadata().is_ok();
                if replaces {
                    replaced.push(stage.replace(&planned.prefix)?);
                } else {
                    stage.commit(&planned.prefix)?;
                }
                if let Some(node) = resolved.node(&planned.hash) {
                    // A package whose prefix had vanished stays what it was.
                    let record = database.records.get(&planned.hash).filter(|record| record.installed);
                    let explicit = planned.explicit || record.is_some_and(|record| record.explicit);
                    installs.push(NewInstall { node, prefix: planned.prefix.clone(), explicit });
                }
                let installed = Installed {
                    name: planned.name.clone(),
                    version: planned.version.clone(),
                    hash: planned.hash.to_string(),
                    prefix: planned.prefix.clone(),
                    explicit: planned.explicit,
                    replaced: replaces,
                    files: unpacked.files,
                    bytes: unpacked.bytes,
                    relocated: relocated.files_changed + relocated.links_changed + relocated.shebangs,
                    leftovers: leftovers
                        .by_kind
                        .iter()
                        .map(|(kind, files)| (kind.to_string(), files.len()))
                        .collect(),
                };
                done.push((planned, installed, elapsed));
            }
            let recording = Recording {
                root: self.store.root(),
                prefixes: self.prefixes,
                below: &self.site.installed,
                now: now(),
            };
            record_installs(database, &recording, resolved, &installs)?;
            Ok::<_, Error>(())
        });
        if let Err(error) = recorded {
            for old in replaced {
                // What cannot be put back has been replaced by all of what was to come.
                let _ = old.restore();
            }
            self.take_back(done.iter().map(|(planned, ..)| *planned));
            return Err(error);
        }
        // The old trees are deleted while their prefixes are locked still.
        drop(replaced);
        drop(locks);
        for (planned, gone) in stranded {
            let dependency = resolved.node(&gone).map_or_else(|| gone.to_string(), Node::label);
            self.failed(planned, Error::DependencyGone { dependency }, summary);
        }
        for (planned, installed, elapsed) in done {
            self.reporter.event(Event::Finished {
                action: Action::Install,
                package: &planned.label(),
                bytes: planned.size,
                elapsed,
                detail: &installed.prefix.to_string_lossy(),
            });
            summary.installed.push(installed);
        }
        Ok(())
    }

    /// Takes away again what is in its place and could not be recorded, its prefixes still being locked. What cannot
    /// be taken away is left to the next install, which sees that it is unfinished.
    fn take_back<'p>(&self, packages: impl Iterator<Item = &'p PlannedInstall>) {
        let Ok(database) = self.store.read() else { return };
        for planned in packages {
            if !database.records.get(&planned.hash).is_some_and(|record| record.installed) {
                drop(remove_prefix(self.area, self.store.root(), &planned.prefix));
            }
        }
    }

    fn failed(&self, planned: &PlannedInstall, error: Error, summary: &mut InstallSummary) {
        let (package, message) = (planned.label(), chain(&error));
        self.reporter.event(Event::Failed(Action::Install, &package, &message));
        summary.failed.push(Failure { package, message, explicit: planned.explicit, error });
    }
}

/// The hashes of everything a package needs at run time, itself and externals left out.
fn runtime_needs(resolved: &Resolved, planned: &PlannedInstall) -> Result<HashSet<DagHash>, Error> {
    let root: Vec<_> = resolved.node(&planned.hash).into_iter().collect();
    let nodes = closure(resolved, &root)?;
    Ok(nodes.into_iter().filter(|n| n.hash != planned.hash).map(|n| n.hash.clone()).collect())
}
