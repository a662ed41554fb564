//! The threads that stage packages, and the queue they take them from.

use super::downloads::Downloads;
use super::execute::Context;
use super::package::{self, Staged};
use super::plan::PlannedInstall;
use crate::error::Error;
use crate::parallel::lock;
use crate::report::{Action, Event};
use crossbeam_channel::Sender;
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use strata_store::prefix_state::prefix_state;
use strata_store::{LockError, LockGuard, LockKind, PrefixState, StoreError};

/// How long to wait before asking again for a prefix that another process works on.
const BUSY_WAIT: Duration = Duration::from_millis(100);
/// After how long others are worth a word.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a worker reports of a package.
pub(super) enum Outcome<'p> {
    Staged(&'p PlannedInstall, Box<Staged>, Duration),
    /// Another process installed it in the meantime, and may be using it.
    Present(&'p PlannedInstall),
    Failed(&'p PlannedInstall, Error),
}

/// Packages nobody has begun with yet.
pub(super) struct Queue<'p> {
    packages: VecDeque<&'p PlannedInstall>,
    /// How many in a row were found locked by other processes.
    busy: usize,
    /// Since when nothing but locked ones was found.
    busy_since: Option<Instant>,
    /// Whether it was said that others are waited for.
    told: bool,
}

impl<'p> Queue<'p> {
    /// What is on its way already comes first, then the biggest: what takes longest is not begun last.
    pub(super) fn new(planned: &'p [PlannedInstall], downloads: &Downloads<'_>) -> Self {
        let mut packages: Vec<&PlannedInstall> = planned.iter().collect();
        packages.sort_by_key(|planned| (!downloads.is_begun(&planned.hash), Reverse(planned.size)));
        Self { packages: packages.into(), busy: 0, busy_since: None, told: false }
    }

    /// Leaves the rest.
    pub(super) fn clear(&mut self) {
        self.packages.clear();
    }
}

impl Context<'_> {
    /// Takes packages until there are none left. A package whose prefix another process has locked goes to the end
    /// of the queue: never waiting for one lock while others can be had keeps two installs from waiting for each
    /// other.
    pub(super) fn work<'p>(&self, queue: &Mutex<Queue<'p>>, outcomes: &Sender<Outcome<'p>>) {
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
            // Of what failed early, or is there, nobody takes the layer any more.
            self.downloads.forget(&planned.hash);
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
        self.downloads.forget(&planned.hash);
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

    fn install(&self, planned: &PlannedInstall, guard: LockGuard) -> Result<Option<Staged>, Error> {
        if !package::clear_the_way(self.store, self.area, planned)? {
            return Ok(None);
        }
        self.reporter.event(Event::Started(Action::Install, &planned.label()));
        package::stage(planned, self, guard).map(Some)
    }
}
