//! The environments of all images that a push writes, worked out at once: asking a Spack costs a second, however many
//! images it is asked about.

use super::bases::{self, Bases};
use crate::error::Error;
use crate::parallel::lock;
use crate::report::{Event, Reporter};
use crate::run_environment::{self, Cached, Environment, Inspections, Installed, Told};
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Mutex;
use strata_spec::{DagHash, Database};

/// Where what an environment is made of comes from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// `modules:prefix_inspections`.
    pub inspections: Inspections,
    /// The executable of a Spack that may know the store.
    pub spack: Option<PathBuf>,
}

/// The roots of an image.
type Roots = Vec<DagHash>;

/// What caches tell of packages.
pub(super) struct FromCaches<'u> {
    /// What their configs say.
    pub(super) cached: &'u HashMap<DagHash, Cached>,
    /// What the configs said of those that are as they came, and that are not to be opened.
    pub(super) unopened: &'u HashMap<DagHash, Cached>,
    /// Where they are in images, by where they are here.
    pub(super) moved: HashMap<String, String>,
}

/// Environments by the roots of their images.
pub(super) struct Environments(Mutex<HashMap<Roots, Result<Known, Error>>>);

/// An environment, as far as it is known.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) environment: Environment,
    /// Labels of the packages whose recipes say more.
    pub(super) unclear: Vec<String>,
}

impl Environments {
    /// Those of images with these roots. `wanted`: somebody asked for images.
    pub(super) fn of(
        images: Vec<Roots>,
        wanted: bool,
        sources: &Sources,
        database: &Database,
        bases: &Bases,
        from_caches: &FromCaches<'_>,
        reporter: &dyn Reporter,
    ) -> Self {
        let Sources { inspections, spack } = sources;
        let FromCaches { cached, unopened, moved } = from_caches;
        let installed =
            Installed { database, inspections, spack: spack.as_deref(), cached, unopened: Some(unopened) };
        let mut by_architecture: BTreeMap<&str, Vec<Roots>> = BTreeMap::new();
        let mut base_of = HashMap::new();
        for roots in images {
            let node = roots.first().and_then(|hash| database.records.get(hash)).map(|record| &record.node);
            let architecture = node.map_or("", bases::architecture);
            base_of.entry(architecture).or_insert_with(|| {
                Environment::of_base(node.and_then(|node| bases.of(node)).map(|base| &base.config))
            });
            by_architecture.entry(architecture).or_default().push(roots);
        }
        let moved: HashMap<&str, String> =
            moved.iter().map(|(here, there)| (here.as_str(), there.clone())).collect();
        let (mut all, mut known) = (HashMap::new(), Vec::new());
        for (architecture, images) in by_architecture {
            let base = &base_of[architecture];
            let slices: Vec<&[DagHash]> = images.iter().map(Vec::as_slice).collect();
            let told = match run_environment::of_installed(&installed, &slices, base) {
                Ok(told) => told.into_iter().map(Ok).collect(),
                // One of them has no environment; the others need not suffer for it.
                Err(_) => slices.iter().map(|roots| alone(&installed, roots, base)).collect::<Vec<_>>(),
            };
            for (roots, told) in images.into_iter().zip(told) {
                let told = told.map(|mut told| {
                    let environment = std::mem::take(&mut told.environment).moved(&moved);
                    let unclear = told.unclear.clone();
                    known.push(told);
                    Known { environment, unclear }
                });
                all.insert(roots, told);
            }
        }
        // Who pushes packages alone asks for packages, not for images; what nobody can know is then no news.
        let unasked = known.iter_mut().filter(|_| !wanted).map(|told| {
            let mut unasked = Told::known(Environment::default());
            unasked.unknown = std::mem::take(&mut told.unknown);
            unasked
        });
        let unknown: Vec<Told> = unasked.collect();
        for text in run_environment::warnings(&known) {
            reporter.event(Event::Warning(&text));
        }
        for text in run_environment::warnings(&unknown) {
            reporter.event(Event::Detail(&text));
        }
        Self(Mutex::new(all))
    }

    /// The environment of the image with these roots; why there is none is told once.
    pub(super) fn get(&self, roots: &[DagHash]) -> Result<Known, Error> {
        let mut all = lock(&self.0);
        match all.get(roots) {
            Some(Ok(known)) => Ok(known.clone()),
            _ => all.remove(roots).unwrap_or(Err(Error::Panicked)),
        }
    }
}

fn alone(installed: &Installed<'_>, roots: &[DagHash], base: &Environment) -> Result<Told, Error> {
    run_environment::of_installed(installed, &[roots], base)?.pop().ok_or(Error::Panicked)
}
