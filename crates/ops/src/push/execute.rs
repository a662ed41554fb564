//! Packing, uploading and tagging, all three at once.
//!
//! Pack threads take packages, biggest first, and hand spooled layers to upload threads; these write tags, too, as soon as
//! they may be written (`tagging.rs`): a reader never sees a tag whose blobs are missing, and an interrupted push leaves
//! whole packages behind.

use super::bases::Bases;
use super::environments::{Environments, FromCaches};
use super::journal::{Installed, Journal};
use super::pack::{self, Spooled};
use super::plan::{Planned, PushPlan, PushRequest};
use super::reuse::Surroundings;
use super::scratch::Scratch;
use super::tagging::Image;
use super::{CacheOpener, Failure, PushSummary, package, size};
use crate::error::Error;
use crate::image::ImageError;
use crate::image::assemble::LayerInfo;
use crate::image::merged::Merger;
use crate::parallel;
use crate::report::{Action, Event, Reporter};
use crate::run_environment::Cached;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::panic::AssertUnwindSafe;
use std::time::Instant;
use strata_layer::gzip::writer::CompressorPool;
use strata_oci::{BlobSource, Repository};
use strata_spec::{DagHash, Database, Node, NodeSource, closure};
use strata_store::StoreRoot;

/// Threads that talk to the registry; each holds one spooled layer, and one more may wait.
const UPLOADS: usize = 4;

/// What an upload thread is asked to do.
pub(super) enum Task<'p> {
    Upload(&'p Planned, Spooled, Packed),
    Tag(&'p Planned, Image),
}

/// When a package was packed, and what.
pub(super) struct Packed {
    started: Instant,
    /// For the journal, if one is kept.
    installed: Option<Installed>,
}

/// What became of a task.
pub(super) enum Outcome<'p> {
    Uploaded(&'p Planned, LayerInfo),
    Tagged(&'p Planned, Image),
    Failed(&'p Planned, Error),
}

pub(super) struct Context<'c> {
    pub(super) database: &'c Database,
    root: &'c StoreRoot,
    pub(super) repository: &'c dyn Repository,
    pub(super) request: &'c PushRequest,
    pub(super) reporter: &'c dyn Reporter,
    journal: Option<Journal>,
    pub(super) bases: Bases,
    pub(super) merger: Merger,
    pub(super) environments: Environments,
}

/// Does what `plan` says. Failures of single packages are in the summary; the rest goes on. `open` is for the caches that
/// packages were installed from.
pub fn execute(
    database: &Database,
    root: &StoreRoot,
    repository: &dyn Repository,
    request: &PushRequest,
    plan: PushPlan,
    open: CacheOpener<'_>,
    reporter: &dyn Reporter,
) -> Result<PushSummary, Error> {
    let PushPlan { to_push, present, present_hashes: mut tagged, unavailable, failed, image, roots, bases } =
        plan;
    let mut summary = PushSummary { present, unavailable, failed, ..PushSummary::default() };
    let method = request.compression.unwrap_or_default();
    let journals = request.journals.as_deref();
    let journal = journals.map(|directory| Journal::open(directory, repository, root, method, request.force));
    bases.provide(request.base.as_ref(), repository, reporter)?;
    let image = image.map(|_| roots);
    let surroundings = Surroundings { database, root, repository, request, reporter, open };
    let Prepared { mut layers, uploaded, environments } =
        prepare(&surroundings, &to_push, image.as_ref(), &bases, journal.as_ref(), &mut summary)?;
    let merger = Merger::new(request.kept.as_deref(), request.jobs, request.compression);
    let context =
        Context { database, root, repository, request, reporter, journal, bases, merger, environments };
    if !to_push.is_empty() {
        context.push(&to_push, uploaded, &mut layers, &mut summary)?;
    }
    if let (Some(roots), Some(tag)) = (image, &request.tag) {
        let written = match summary.failed.is_empty() {
            true => context.tag_image(tag, &roots, &mut layers),
            false => Err(Error::Image(ImageError::ImageNotTagged { tag: tag.to_string() })),
        };
        match written {
            Ok(image) => summary.image = Some(image),
            Err(error) => summary.failed.push(Failure::new(tag.to_string(), error)),
        }
    }
    if let Some(journal) = &context.journal {
        tagged.extend(summary.hashes());
        journal.forget(&tagged, database);
    }
    summary.pushed.sort_by(|a, b| a.tag.cmp(&b.tag));
    Ok(summary)
}

/// What is known before anything is packed or tagged.
struct Prepared {
    /// The layers that the cache has of packages which are not pushed.
    layers: HashMap<DagHash, LayerInfo>,
    /// The layers that it has of packages which are.
    uploaded: HashMap<DagHash, LayerInfo>,
    environments: Environments,
}

/// Finds out what need not be packed, because an interrupted push uploaded it or because it is as it came from another cache,
/// and the environments of all images. A package that cannot be looked up now is looked up again when it is needed.
fn prepare(
    surroundings: &Surroundings<'_>,
    to_push: &[Planned],
    image: Option<&Vec<DagHash>>,
    bases: &Bases,
    journal: Option<&Journal>,
    summary: &mut PushSummary,
) -> Result<Prepared, Error> {
    let Surroundings { database, repository, request, reporter, .. } = *surroundings;
    let mut images: Vec<Vec<DagHash>> = to_push.iter().map(|planned| vec![planned.hash.clone()]).collect();
    images.extend(image.cloned().filter(|roots| roots.len() != 1));
    images.extend(image.cloned().filter(|roots| roots.len() == 1 && !images.contains(roots)));
    let roots: Vec<&Node> = images.iter().flatten().filter_map(|hash| database.node(hash)).collect();

    let mut uploaded = journal.map_or_else(
        || Ok(HashMap::new()),
        |journal| uploaded_before(journal, to_push, database, repository, reporter),
    )?;
    let labels = |found: &HashMap<DagHash, LayerInfo>| -> Vec<String> {
        to_push.iter().filter(|p| found.contains_key(&p.hash)).map(Planned::label).collect()
    };
    summary.resumed.extend(labels(&uploaded));
    // A layer that is there is packed again only if it is asked for in another compression.
    let is_right =
        |layer: &LayerInfo| request.compression.is_none_or(|it| it.compression() == layer.compression);
    let there = to_push.iter().filter_map(|p| Some((p.hash.clone(), p.in_cache.as_ref()?.layer)));
    uploaded.extend(there.filter(|(_, layer)| is_right(layer)));
    let packed: HashSet<&DagHash> = to_push.iter().map(|planned| &planned.hash).collect();
    let mut unknown = closure(database, &roots).unwrap_or_default();
    // What is pushed by force may be there, with an environment that only its builder could tell.
    unknown.retain(|node| request.force || !packed.contains(&node.hash));
    let retagged = to_push.iter().filter_map(|p| Some((p.hash.clone(), p.in_cache.as_deref()?.clone())));
    let mut known: HashMap<DagHash, package::InCache> = retagged.collect();
    unknown.retain(|node| !known.contains_key(&node.hash));
    let found = parallel::map(&unknown, parallel::REQUESTS, |node| {
        Ok::<_, std::convert::Infallible>(package::in_cache(repository, node).ok().flatten())
    });
    let found = found.unwrap_or_else(|never| match never {});
    known.extend(unknown.iter().zip(found).filter_map(|(node, found)| Some((node.hash.clone(), found?))));
    let layers: HashMap<DagHash, LayerInfo> = known
        .iter()
        .filter(|(hash, _)| !packed.contains(hash))
        .map(|(hash, package)| (hash.clone(), package.layer))
        .collect();

    let unchanged = surroundings.unchanged(&roots)?;
    let reused = surroundings.reuse(to_push, &uploaded, &layers, &unchanged);
    // What has to be where others expect it is packed although its layer is there.
    uploaded.retain(|hash, layer| !unchanged.came_in(hash, layer) || reused.contains_key(hash));
    let is_new =
        |planned: &&Planned| reused.contains_key(&planned.hash) && !uploaded.contains_key(&planned.hash);
    summary.reused.extend(to_push.iter().filter(is_new).map(Planned::label));
    uploaded.extend(reused);

    let mut cached: HashMap<DagHash, Cached> =
        known.iter().map(|(hash, package)| (hash.clone(), package.environment.clone())).collect();
    for (hash, config) in unchanged.configs.iter().filter(|(_, config)| !config.says_nothing()) {
        cached.entry(hash.clone()).or_insert_with(|| config.clone());
    }
    let wanted = request.base.is_some() || request.tag.is_some();
    let in_images = layers.iter().chain(&uploaded).map(|(hash, layer)| (hash.clone(), *layer)).collect();
    let moved = unchanged.moved(&in_images, database);
    let from_caches = FromCaches { cached: &cached, unopened: &unchanged.configs, moved };
    let sources = &request.environment;
    let environments = Environments::of(images, wanted, sources, database, bases, &from_caches, reporter);
    Ok(Prepared { layers, uploaded, environments })
}

/// The layers that an interrupted push left in the repository.
fn uploaded_before(
    journal: &Journal,
    to_push: &[Planned],
    database: &Database,
    repository: &dyn Repository,
    reporter: &dyn Reporter,
) -> Result<HashMap<DagHash, LayerInfo>, Error> {
    let uploaded = journal.uploaded(to_push, database, repository)?;
    if !uploaded.is_empty() {
        let layers =
            if uploaded.len() == 1 { "1 layer is" } else { &format!("{} layers are", uploaded.len()) };
        let text = format!("{layers} there already from an interrupted push");
        reporter.event(Event::Detail(&text));
    }
    Ok(uploaded)
}

impl Context<'_> {
    /// Packs, uploads and tags; what the cache has the layers of is only tagged.
    fn push(
        &self,
        to_push: &[Planned],
        uploaded: HashMap<DagHash, LayerInfo>,
        layers: &mut HashMap<DagHash, LayerInfo>,
        summary: &mut PushSummary,
    ) -> Result<(), Error> {
        let (resumed, mut to_pack): (Vec<&Planned>, Vec<&Planned>) =
            to_push.iter().partition(|p| uploaded.contains_key(&p.hash));
        self.reporter.event(Event::Expect(Action::Push, to_pack.len()));
        let scratch = Scratch::for_repository(self.repository)?;
        let jobs = NonZeroUsize::new(self.request.jobs).unwrap_or(NonZeroUsize::MIN);
        let pool = CompressorPool::with_method(jobs, self.request.compression.unwrap_or_default());
        let pool = pool.map_err(Error::Threads)?;

        to_pack.sort_by_cached_key(|p| std::cmp::Reverse(size::hint(&p.prefix)));
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
            self.coordinate(to_push, &results, &tag_tasks, layers, summary);
            // Upload threads end when nothing more is to be tagged.
            drop(tag_tasks);
        });
        Ok(())
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
                // Its files name the store that it is in.
                let root = self.request.below.get(&node.hash).unwrap_or(self.root);
                pack::spool(self.database, root, node, &planned.prefix, pool, scratch)
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
        let mut source = BlobSource::file(path.to_path_buf(), layer.digest, layer.size);
        source.mount_from.clone_from(&self.request.mount_from);
        if self.repository.put_blob(&source)?.mounted {
            let from = source.mount_from.as_deref().unwrap_or_default();
            let text = format!("{}: nothing was sent, for {from} has the layer", planned.label());
            self.reporter.event(Event::Detail(&text));
        }
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

    /// The node of a planned package.
    pub(super) fn node(&self, planned: &Planned) -> Result<&Node, Error> {
        let node = self.database.node(&planned.hash);
        node.ok_or_else(|| Error::NoSuchSpec { spec: planned.label(), place: "this store".to_owned() })
    }
}

/// Does `work`; a panic in it is the failure of one package. The coordinator waits for an outcome of each, and would
/// wait for ever for one whose thread is gone.
fn attempt<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    std::panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Error::Panicked))
}
