//! Packing, uploading and tagging, all three at once.
//!
//! Pack threads take packages, biggest first, and hand spooled layers to upload threads. A package is tagged once
//! its layer is in the cache and everything it depends on at run time is tagged (or has failed): a reader never
//! sees a tag whose blobs are missing, and an interrupted push leaves whole packages behind.

use super::environment::Environment;
use super::image::{self, LayerInfo, layer_in_cache};
use super::journal::{Installed, Journal};
use super::pack::{self, Spooled};
use super::plan::{Planned, PushPlan, PushRequest};
use super::scratch::Scratch;
use super::{Failure, PushSummary, Pushed};
use crate::error::Error;
use crate::report::{Action, Event, Reporter};
use crate::{package_tag, parallel};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use jiff::Timestamp;
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::time::Instant;
use strata_layer::gzip::writer::CompressorPool;
use strata_oci::{BlobSource, Repository};
use strata_spec::{ConcreteSpec, DagHash, Database, Node, NodeSource, closure};
use strata_store::StoreRoot;

/// Threads that talk to the registry; each holds one spooled layer, and one more may wait.
const UPLOADS: usize = 4;

/// What an upload thread is asked to do.
enum Task<'p> {
    Upload(&'p Planned, Spooled, Packed),
    Tag(&'p Planned, Image),
}

/// When a package was packed, and what.
struct Packed {
    started: Instant,
    /// For the journal, if one is kept.
    installed: Option<Installed>,
}

/// Everything a package's config and manifest are made of.
struct Image {
    layers: Vec<LayerInfo>,
    /// Of the package and what it needs, dependencies before dependents.
    prefixes: Vec<PathBuf>,
    missing_layers: Vec<String>,
}

/// What became of a task.
enum Outcome<'p> {
    Uploaded(&'p Planned, LayerInfo),
    Tagged(&'p Planned, Image),
    Failed(&'p Planned, Error),
}

struct Context<'c> {
    database: &'c Database,
    root: &'c StoreRoot,
    repository: &'c dyn Repository,
    request: &'c PushRequest,
    reporter: &'c dyn Reporter,
    journal: Option<Journal>,
}

/// Does what `plan` says. Failures of single packages are in the summary; the rest goes on.
pub fn execute(
    database: &Database,
    root: &StoreRoot,
    repository: &dyn Repository,
    request: &PushRequest,
    plan: PushPlan,
    reporter: &dyn Reporter,
) -> Result<PushSummary, Error> {
    let PushPlan { to_push, present, present_hashes: mut tagged, unavailable, failed } = plan;
    let mut summary = PushSummary { pushed: Vec::new(), present, unavailable, failed, resumed: Vec::new() };
    let journals = request.journals.as_deref();
    let journal = journals.map(|directory| Journal::open(directory, repository, root, request.force));
    let context = Context { database, root, repository, request, reporter, journal };
    if !to_push.is_empty() {
        context.push(&to_push, &mut summary)?;
    }
    if let Some(journal) = &context.journal {
        let pushed: HashSet<&str> = summary.pushed.iter().map(|pushed| &*pushed.hash).collect();
        tagged.extend(to_push.iter().map(|p| &p.hash).filter(|hash| pushed.contains(hash.as_str())).cloned());
        journal.forget(&tagged, database);
    }
    summary.pushed.sort_by(|a, b| a.tag.cmp(&b.tag));
    Ok(summary)
}

/// Something that grows with the number of files, without walking them: the size of the install manifest.
fn size_hint(prefix: &Path) -> u64 {
    std::fs::metadata(prefix.join(".spack/install_manifest.json")).map_or(0, |m| m.len())
}

impl Context<'_> {
    /// Packs, uploads and tags; what an interrupted push uploaded is only tagged.
    fn push(&self, to_push: &[Planned], summary: &mut PushSummary) -> Result<(), Error> {
        let uploaded = self.uploaded_before(to_push)?;
        let (resumed, mut to_pack): (Vec<&Planned>, Vec<&Planned>) =
            to_push.iter().partition(|p| uploaded.contains_key(&p.hash));
        summary.resumed.extend(resumed.iter().map(|p| p.label()));
        self.reporter.event(Event::Expect(Action::Push, to_pack.len()));
        let scratch = Scratch::for_repository(self.repository)?;
        let jobs = NonZeroUsize::new(self.request.jobs).unwrap_or(NonZeroUsize::MIN);
        let pool = CompressorPool::new(jobs).map_err(Error::Threads)?;

        to_pack.sort_by_cached_key(|p| std::cmp::Reverse(size_hint(&p.prefix)));
        let pack_threads = jobs.get().min(to_pack.len());
        let (pack_tasks, packages) = unbounded();
        for planned in to_pack {
            // The receiver is in scope: sending cannot fail.
            let _ = pack_tasks.send(planned);
        }
        drop(pack_tasks);
        let (tasks, task_queue) = bounded(1);
        let (tag_tasks, tag_queue) = unbounded();
        let (outcomes, results) = unbounded();
        for planned in resumed {
            if let Some(layer) = uploaded.get(&planned.hash) {
                let _ = outcomes.send(Outcome::Uploaded(planned, *layer));
            }
        }

        std::thread::scope(|scope| {
            for _ in 0..pack_threads {
                let (packages, tasks, outcomes) = (packages.clone(), tasks.clone(), outcomes.clone());
                let (pool, scratch) = (&pool, &scratch);
                scope.spawn(move || self.pack_all(&packages, pool, scratch, &tasks, &outcomes));
            }
            drop(tasks);
            for _ in 0..UPLOADS {
                let (task_queue, tag_queue, outcomes) =
                    (task_queue.clone(), tag_queue.clone(), outcomes.clone());
                scope.spawn(move || self.serve(task_queue, tag_queue, &outcomes));
            }
            drop(outcomes);
            self.coordinate(to_push, &results, &tag_tasks, summary);
            // Upload threads end when nothing more is to be tagged.
            drop(tag_tasks);
        });
        Ok(())
    }

    /// The layers that an interrupted push left in the repository.
    fn uploaded_before(&self, to_push: &[Planned]) -> Result<HashMap<DagHash, LayerInfo>, Error> {
        let Some(journal) = &self.journal else { return Ok(HashMap::new()) };
        let uploaded = journal.uploaded(to_push, self.database, self.repository)?;
        if !uploaded.is_empty() {
            let layers =
                if uploaded.len() == 1 { "1 layer is" } else { &format!("{} layers are", uploaded.len()) };
            let text = format!("{layers} there already from an interrupted push");
            self.reporter.event(Event::Detail(&text));
        }
        Ok(uploaded)
    }

    fn pack_all<'p>(
        &self,
        packages: &Receiver<&'p Planned>,
        pool: &CompressorPool,
        scratch: &Scratch,
        tasks: &Sender<Task<'p>>,
        outcomes: &Sender<Outcome<'p>>,
    ) {
        for planned in packages {
            let label = planned.label();
            self.reporter.event(Event::Started(Action::Push, &label));
            let started = Instant::now();
            let journal = self.journal.as_ref();
            let installed = journal.and_then(|_| Journal::about_to_pack(planned, self.database));
            let spooled = attempt(|| {
                let node = self.node(planned)?;
                pack::spool(self.database, self.root, node, &planned.prefix, pool, scratch)
            });
            // A closed channel means that whoever listened is gone; so are we.
            let sent = match spooled {
                Ok(spooled) => {
                    tasks.send(Task::Upload(planned, spooled, Packed { started, installed })).is_ok()
                }
                Err(error) => outcomes.send(Outcome::Failed(planned, error)).is_ok(),
            };
            if !sent {
                return;
            }
        }
    }

    /// Serves uploads and tags until both queues are closed.
    fn serve<'p>(
        &self,
        mut uploads: Receiver<Task<'p>>,
        mut tags: Receiver<Task<'p>>,
        outcomes: &Sender<Outcome<'p>>,
    ) {
        let mut open = 2;
        while open > 0 {
            let task = crossbeam_channel::select! {
                recv(tags) -> task => task.map_err(|_| &mut tags),
                recv(uploads) -> task => task.map_err(|_| &mut uploads),
            };
            let outcome = match task {
                Ok(Task::Upload(planned, spooled, packed)) => {
                    match attempt(|| self.upload(planned, spooled, packed)) {
                        Ok(layer) => Outcome::Uploaded(planned, layer),
                        Err(error) => Outcome::Failed(planned, error),
                    }
                }
                Ok(Task::Tag(planned, image)) => match attempt(|| self.tag(planned, &image)) {
                    Ok(()) => Outcome::Tagged(planned, image),
                    Err(error) => Outcome::Failed(planned, error),
                },
                Err(closed) => {
                    *closed = crossbeam_channel::never();
                    open -= 1;
                    continue;
                }
            };
            if outcomes.send(outcome).is_err() {
                return;
            }
        }
    }

    fn upload(&self, planned: &Planned, spooled: Spooled, packed: Packed) -> Result<LayerInfo, Error> {
        let Spooled { layer, file } = spooled;
        let path = file.into_temp_path();
        let source = BlobSource::file(path.to_path_buf(), layer.digest, layer.size);
        let _ = self.repository.put_blob(&source)?;
        if let (Some(journal), Some(installed)) = (&self.journal, packed.installed)
            && let Err(error) = journal.note(planned, installed, &layer)
        {
            let reason = crate::error::chain(&error);
            self.reporter
                .event(Event::Detail(&format!("if interrupted, this push will begin anew: {reason}")));
        }
        self.reporter.event(Event::Finished {
            action: Action::Push,
            package: &planned.label(),
            bytes: layer.size,
            elapsed: packed.started.elapsed(),
            detail: &layer.digest.to_string(),
        });
        Ok(layer)
    }

    /// Writes config and manifest of a package whose layers are all in the cache.
    fn tag(&self, planned: &Planned, image: &Image) -> Result<(), Error> {
        let node = self.node(planned)?;
        let spec = ConcreteSpec::collect(self.database, node, self.database.spec_version())?;
        let layers: Vec<&LayerInfo> = image.layers.iter().collect();
        let mut environment = Environment::without_base();
        for prefix in &image.prefixes {
            environment.prepend_prefix(prefix);
        }
        let config = image::config(&spec, &layers, &environment, self.timestamp(planned))?;
        let manifest = image::manifest(node, &config, &layers);
        let _ = self.repository.put_blob(&BlobSource::bytes(config))?;
        self.repository.put_manifest(&package_tag::of(node)?, &manifest.media_type, &manifest.to_bytes()?)?;
        Ok(())
    }

    /// The node of a planned package.
    fn node(&self, planned: &Planned) -> Result<&Node, Error> {
        let node = self.database.node(&planned.hash);
        node.ok_or_else(|| Error::NoSuchSpec { spec: planned.label(), place: "this store".to_owned() })
    }

    /// The package's runtime closure without externals, dependencies before dependents: the order of layers.
    fn runtime_closure(&self, planned: &Planned) -> Result<Vec<&Node>, Error> {
        let mut nodes = closure(self.database, &[self.node(planned)?])?;
        nodes.reverse();
        Ok(nodes)
    }

    fn timestamp(&self, planned: &Planned) -> Timestamp {
        let installed = self.database.records.get(&planned.hash).and_then(|r| r.installation_time);
        let installed = installed.and_then(|t| Timestamp::from_microsecond((t * 1e6) as i64).ok());
        self.request.timestamp.or(installed).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Decides when a package can be tagged, and collects what became of everything.
    fn coordinate<'p>(
        &self,
        planned: &'p [Planned],
        results: &Receiver<Outcome<'p>>,
        tags: &Sender<Task<'p>>,
        summary: &mut PushSummary,
    ) {
        let mut layers: HashMap<DagHash, LayerInfo> = HashMap::new();
        let mut untagged: HashSet<DagHash> = planned.iter().map(|p| p.hash.clone()).collect();
        let mut waiting: Vec<(&'p Planned, Vec<&Node>)> = Vec::new();
        let mut known_absent: HashSet<DagHash> = HashSet::new();
        self.reporter.event(Event::Expect(Action::Tag, planned.len()));
        while !untagged.is_empty() {
            let Ok(outcome) = results.recv() else { break };
            match outcome {
                Outcome::Uploaded(package, layer) => match self.runtime_closure(package) {
                    Ok(closure) => {
                        layers.insert(package.hash.clone(), layer);
                        waiting.push((package, closure));
                    }
                    Err(error) => {
                        untagged.remove(&package.hash);
                        self.failed(Action::Tag, package, error, summary);
                    }
                },
                Outcome::Tagged(package, image) => {
                    untagged.remove(&package.hash);
                    summary.pushed.push(self.pushed(package, image));
                }
                Outcome::Failed(package, error) => {
                    untagged.remove(&package.hash);
                    layers.remove(&package.hash);
                    known_absent.insert(package.hash.clone());
                    self.failed(Action::Push, package, error, summary);
                }
            }
            // A package that fails here is one that others wait for no more, and no outcome will tell them: look
            // again until nothing changes.
            let mut unsettled = true;
            while std::mem::take(&mut unsettled) {
                for (package, closure) in std::mem::take(&mut waiting) {
                    if closure.iter().any(|n| n.hash != package.hash && untagged.contains(&n.hash)) {
                        waiting.push((package, closure));
                        continue;
                    }
                    match self.image(&closure, &mut layers, &mut known_absent) {
                        Ok(image) => drop(tags.send(Task::Tag(package, image))),
                        Err(error) => {
                            unsettled = true;
                            untagged.remove(&package.hash);
                            self.failed(Action::Tag, package, error, summary);
                        }
                    }
                }
            }
        }
    }

    fn failed(&self, action: Action, planned: &Planned, error: Error, summary: &mut PushSummary) {
        let failure = Failure::new(planned.label(), error);
        self.reporter.event(Event::Failed(action, &failure.package, &failure.message));
        summary.failed.push(failure);
    }

    /// The layers of a package's image. A dependency that this push is not about is looked up in the cache.
    fn image(
        &self,
        closure: &[&Node],
        layers: &mut HashMap<DagHash, LayerInfo>,
        known_absent: &mut HashSet<DagHash>,
    ) -> Result<Image, Error> {
        let mut unknown = closure.to_vec();
        unknown.retain(|n| !layers.contains_key(&n.hash) && !known_absent.contains(&n.hash));
        let found =
            parallel::map(&unknown, parallel::REQUESTS, |node| layer_in_cache(self.repository, node))?;
        for (node, layer) in unknown.into_iter().zip(found) {
            match layer {
                Some(layer) => drop(layers.insert(node.hash.clone(), layer)),
                None => drop(known_absent.insert(node.hash.clone())),
            }
        }
        let mut image = Image { layers: Vec::new(), prefixes: Vec::new(), missing_layers: Vec::new() };
        for node in closure {
            let path = self.database.records.get(&node.hash).and_then(|record| record.path.as_ref());
            image.prefixes.extend(path.map(PathBuf::from));
            match layers.get(&node.hash) {
                Some(layer) => image.layers.push(*layer),
                None => image.missing_layers.push(node.label()),
            }
        }
        Ok(image)
    }

    fn pushed(&self, package: &Planned, image: Image) -> Pushed {
        if !image.missing_layers.is_empty() {
            self.reporter.event(Event::Warning(&format!(
                "the image of {} will not run: the cache has no layer of {}",
                package.label(),
                image.missing_layers.join(", ")
            )));
        }
        let own = image.layers.last();
        let pushed = Pushed {
            name: package.name.clone(),
            version: package.version.clone(),
            hash: package.hash.to_string(),
            tag: package.tag.clone(),
            layer: own.map(|l| l.digest.to_string()).unwrap_or_default(),
            diff_id: own.map(|l| l.diff_id.to_string()).unwrap_or_default(),
            size: own.map(|l| l.size).unwrap_or_default(),
            missing_layers: image.missing_layers,
        };
        self.reporter.event(Event::Detail(&format!("tagged {}", pushed.tag)));
        pushed
    }
}

/// Does `work`; a panic in it is the failure of one package. The coordinator waits for an outcome of each, and would
/// wait for ever for one whose thread is gone.
fn attempt<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Error::Panicked))
}
