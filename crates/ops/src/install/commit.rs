//! Making staged packages visible and recording them, dependencies first.

use super::execute::Context;
use super::package::Staged;
use super::plan::PlannedInstall;
use super::workers::Outcome;
use super::{InstallSummary, Installed};
use crate::error::{Error, chain};
use crate::origin::{self, Origin};
use crate::report::{Action, Event};
use crate::resolve::Resolved;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use strata_spec::{DagHash, Database, Node, NodeSource, closure};
use strata_store::stage::Replaced;
use strata_store::store::now;
use strata_store::{ChangedDirectories, LockGuard, NewInstall, Recording, record_installs, remove_prefix};

/// A staged package that waits for what it needs.
struct Waiting<'p> {
    planned: &'p PlannedInstall,
    staged: Box<Staged>,
    elapsed: Duration,
    /// Everything it needs at run time.
    needs: HashSet<DagHash>,
}

/// What became of packages that were ready.
#[derive(Default)]
struct Committed<'p> {
    done: Vec<(&'p PlannedInstall, Installed, Duration)>,
    refused: Vec<(&'p PlannedInstall, Error)>,
    /// The old trees, of which there are two until all is recorded.
    replaced: Vec<Replaced>,
    /// Where packages came from, for those that are pushed again.
    origins: Vec<(&'p PlannedInstall, Origin)>,
    /// Prefixes stay locked until they are recorded.
    locks: Vec<LockGuard>,
}

impl<'p> Committed<'p> {
    /// The package of that hash, if it was refused.
    fn refused(&self, hash: &DagHash) -> Option<&'p PlannedInstall> {
        self.refused.iter().map(|(planned, _)| *planned).find(|planned| planned.hash == *hash)
    }
}

/// What is known of the packages that are to be installed.
struct Books<'p> {
    /// Dependencies first.
    planned: &'p [PlannedInstall],
    waiting: HashMap<&'p DagHash, Waiting<'p>>,
    /// What is not there yet, and may come to be.
    unfinished: HashSet<&'p DagHash>,
    failed: HashSet<&'p DagHash>,
}

impl<'p> Books<'p> {
    fn new(planned: &'p [PlannedInstall]) -> Self {
        // What is replaced is there all the while: nobody waits for it, lest others wait for us who read it.
        let new = planned.iter().filter(|planned| !planned.replaces);
        let unfinished = new.map(|planned| &planned.hash).collect();
        Self { planned, waiting: HashMap::new(), unfinished, failed: HashSet::new() }
    }

    fn fail(&mut self, package: &'p PlannedInstall) {
        self.waiting.remove(&package.hash);
        self.unfinished.remove(&package.hash);
        self.failed.insert(&package.hash);
    }

    /// A package that waits for one that has failed, and that one.
    fn in_vain(&self) -> Option<(&'p PlannedInstall, &'p PlannedInstall)> {
        if self.failed.is_empty() {
            return None;
        }
        let failed = || self.planned.iter().filter(|package| self.failed.contains(&package.hash));
        let dependency =
            |waiting: &Waiting<'p>| failed().find(|package| waiting.needs.contains(&package.hash));
        let mut packages = self.planned.iter().filter_map(|package| self.waiting.get(&package.hash));
        packages.find_map(|waiting| Some((waiting.planned, dependency(waiting)?)))
    }

    fn is_ready(&self, waiting: &Waiting<'p>) -> bool {
        !waiting.needs.iter().any(|hash| self.unfinished.contains(hash))
    }

    fn has_ready(&self) -> bool {
        self.waiting.values().any(|waiting| self.is_ready(waiting))
    }

    /// Everything that is ready, or is once what comes before it is there.
    fn take_ready(&mut self) -> Vec<Waiting<'p>> {
        let mut batch = Vec::new();
        for package in self.planned {
            if self.waiting.get(&package.hash).is_some_and(|waiting| self.is_ready(waiting)) {
                self.unfinished.remove(&package.hash);
                batch.extend(self.waiting.remove(&package.hash));
            }
        }
        batch
    }
}

/// How often the database is written. To write it costs the same for one package as for many, and the more the bigger it is and
/// the slower the disk; what is ready waits for company, so that no more than a tenth of the time goes into it.
#[derive(Default)]
struct Pace {
    next: Option<Instant>,
}

impl Pace {
    const REST: u32 = 9;
    /// What a kill may cost in packages that are ready.
    const LONGEST: Duration = Duration::from_secs(2);

    fn left(&self) -> Duration {
        self.next.map_or(Duration::ZERO, |next| next.saturating_duration_since(Instant::now()))
    }

    /// The database has been written, which was begun then.
    fn written(&mut self, begun: Instant) {
        let rest = begun.elapsed().saturating_mul(Self::REST).min(Self::LONGEST);
        self.next = Some(Instant::now() + rest);
    }
}

impl Context<'_> {
    /// Makes staged packages visible: each once everything it needs is, all that are ready in one transaction. Returns those
    /// that were asked for and that somebody else has installed.
    pub(super) fn register<'p>(
        &self,
        planned: &'p [PlannedInstall],
        resolved: &Resolved,
        results: Receiver<Outcome<'p>>,
        summary: &mut InstallSummary,
    ) -> Result<Vec<DagHash>, Error> {
        let (mut books, mut pace) = (Books::new(planned), Pace::default());
        let mut asked_for: Vec<DagHash> = Vec::new();
        loop {
            let outcome = match books.has_ready() {
                true => results.recv_timeout(pace.left()),
                false => results.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match outcome {
                Ok(Outcome::Staged(planned, staged, elapsed)) => {
                    let needs = runtime_needs(resolved, planned)?;
                    books.waiting.insert(&planned.hash, Waiting { planned, staged, elapsed, needs });
                }
                Ok(Outcome::Present(package)) => {
                    // Whoever was faster may have needed it for something else only.
                    asked_for.extend(package.explicit.then(|| package.hash.clone()));
                    books.unfinished.remove(&package.hash);
                    summary.present.push(package.label());
                }
                Ok(Outcome::Failed(package, error)) => {
                    books.fail(package);
                    self.failed(package, error, summary);
                }
                Err(end) => {
                    let (batch, begun) = (books.take_ready(), Instant::now());
                    if batch.is_empty() && end == RecvTimeoutError::Disconnected {
                        return Ok(asked_for);
                    }
                    for (package, error) in self.commit(batch, resolved, summary)? {
                        books.fail(package);
                        self.failed(package, error, summary);
                    }
                    pace.written(begun);
                }
            }
            while let Some((package, dependency)) = books.in_vain() {
                books.fail(package);
                self.failed(package, Error::DependencyFailed { dependency: dependency.label() }, summary);
            }
        }
    }

    /// Renames the packages into place and records them, all under the database's write lock. Returns those that could not
    /// appear, and why.
    fn commit<'p>(
        &self,
        batch: Vec<Waiting<'p>>,
        resolved: &Resolved,
        summary: &mut InstallSummary,
    ) -> Result<Vec<(&'p PlannedInstall, Error)>, Error> {
        if let Some(file_system) = self.file_system {
            // Before the lock is taken: it takes as long as the disk needs for all that is written by then.
            file_system.flush()?;
        }
        let mut committed = Committed::default();
        let recorded = self.store.transaction(|database| {
            let mut installs: Vec<NewInstall<'_>> = Vec::with_capacity(batch.len());
            let mut new: HashSet<&DagHash> = HashSet::with_capacity(batch.len());
            let mut changed = ChangedDirectories::default();
            // Dependencies come first, here too.
            for waiting in batch {
                let planned = waiting.planned;
                let is_there = |hash: &DagHash| new.contains(hash) || self.is_there(database, hash);
                let missing = match waiting.needs.iter().find_map(|hash| committed.refused(hash)) {
                    Some(dependency) => Some(Error::DependencyFailed { dependency: dependency.label() }),
                    None => waiting.needs.iter().find(|hash| !is_there(hash)).map(|gone| {
                        let dependency = resolved.node(gone).map_or_else(|| gone.to_string(), Node::label);
                        Error::DependencyGone { dependency }
                    }),
                };
                if let Some(error) = missing {
                    committed.refused.push((planned, error));
                    continue;
                }
                if let Err(error) = appear(waiting, &mut committed, &mut changed) {
                    committed.refused.push((planned, error));
                    continue;
                }
                if let Some(node) = resolved.node(&planned.hash) {
                    // A package whose prefix had vanished stays what it was.
                    let record = database.records.get(&planned.hash).filter(|record| record.installed);
                    let explicit = planned.explicit || record.is_some_and(|record| record.explicit);
                    new.insert(&planned.hash);
                    installs.push(NewInstall { node, prefix: planned.prefix.clone(), explicit });
                }
            }
            changed.flush()?;
            let recording = Recording {
                root: self.store.root(),
                prefixes: self.prefixes,
                below: &self.site.installed,
                now: now(),
            };
            record_installs(database, &recording, resolved, &installs)?;
            Ok::<_, Error>(())
        });
        let Committed { done, refused, replaced, origins, locks } = committed;
        if let Err(error) = recorded {
            for old in replaced {
                // What cannot be put back has been replaced by all of what was to come.
                let _ = old.restore();
            }
            self.take_back(done.iter().map(|(planned, ..)| *planned));
            return Err(error);
        }
        for (planned, origin) in origins {
            // Without it the package is packed again when it is pushed.
            if let Err(error) = origin::keep(self.store.root(), &planned.hash, &planned.prefix, origin) {
                let text = format!("cannot remember where {} came from: {}", planned.label(), chain(&error));
                self.reporter.event(Event::Detail(&text));
            }
        }
        // The old trees are deleted while their prefixes are locked still.
        drop(replaced);
        drop(locks);
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
        Ok(refused)
    }

    /// Whether the package is installed, here or in a store below.
    fn is_there(&self, database: &Database, hash: &DagHash) -> bool {
        match database.records.get(hash) {
            Some(record) => record.installed,
            None => self.site.installed.installed_upstream(hash).is_some(),
        }
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
}

/// Puts a staged package in its place. If that fails nothing of it is left, and what was to be replaced is there.
fn appear<'p>(
    waiting: Waiting<'p>,
    committed: &mut Committed<'p>,
    changed: &mut ChangedDirectories,
) -> Result<(), Error> {
    let Waiting { planned, staged, elapsed, .. } = waiting;
    let Staged { stage, unpacked, relocated, leftovers, origin, lock } = *staged;
    committed.locks.push(lock);
    let replaces = planned.replaces && planned.prefix.symlink_metadata().is_ok();
    if replaces {
        committed.replaced.push(stage.replace(&planned.prefix, changed)?);
    } else {
        stage.commit(&planned.prefix, changed)?;
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
        leftovers: leftovers.by_kind.iter().map(|(kind, files)| (kind.to_string(), files.len())).collect(),
    };
    committed.origins.extend(origin.map(|origin| (planned, origin)));
    committed.done.push((planned, installed, elapsed));
    Ok(())
}

/// The hashes of everything a package needs at run time, itself and externals left out.
fn runtime_needs(resolved: &Resolved, planned: &PlannedInstall) -> Result<HashSet<DagHash>, Error> {
    let root: Vec<_> = resolved.node(&planned.hash).into_iter().collect();
    let nodes = closure(resolved, &root)?;
    Ok(nodes.into_iter().filter(|n| n.hash != planned.hash).map(|n| n.hash.clone()).collect())
}
