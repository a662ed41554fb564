//! Making an environment concrete without recipes and without a concretizer: for each spec that it wants, a package is chosen
//! that a mirror has or that is installed.
//!
//! [`Work`] is what there is to do; what the lockfile has already is kept, as Spack keeps it. [`plan`] chooses, or says for every
//! spec that has no binary why; only [`Concretization::write`] changes anything.

use super::{Environment, LOCKFILE, RequestedSpec, canonical_form, included, save};
use crate::error::Error;
use crate::resolve::{Choices, Chosen, Kept, Resolved, Stock, Unify, resolve_beside};
use serde::Serialize;
use std::collections::HashSet;
use std::path::PathBuf;
use strata_config::{Concretizer, Configuration};
use strata_spec::host::Host;
use strata_spec::lockfile::{Lockfile, Root};
use strata_spec::{AbstractSpec, DagHash, Node, NodeSource};

/// What there is to do for an environment to be concrete.
#[derive(Debug)]
pub struct Work {
    /// The specs that a package is to be chosen for, in the order of the manifest.
    pub new: Vec<AbstractSpec>,
    /// The roots that stay as they are.
    pub kept: Vec<Root>,
    /// The roots that nobody wants any more.
    pub dropped: Vec<Root>,
    /// How the specs relate to each other.
    pub unify: Unify,
    /// The environments that are included, by path.
    included: Vec<(String, Lockfile)>,
    /// The lockfile as it is.
    present: Option<Lockfile>,
    file: PathBuf,
}

impl Work {
    /// Compares what is wanted with what is concrete. With `force`, nothing is kept.
    ///
    /// # Errors
    /// If the manifest says something that means nothing, or an environment that is included is not concrete.
    pub fn of(environment: &Environment, configuration: &Configuration, force: bool) -> Result<Self, Error> {
        let wanted = environment.user_specs(configuration)?;
        let canonical: HashSet<String> = wanted.iter().map(RequestedSpec::canonical).collect();
        let is_wanted = |root: &Root| canonical.contains(&canonical_form(&root.requested));
        let roots = environment.roots().iter().cloned();
        let (kept, mut dropped): (Vec<Root>, Vec<Root>) = roots.partition(is_wanted);
        let kept = if force { Vec::new() } else { kept };
        let known: HashSet<String> = kept.iter().map(|root| canonical_form(&root.requested)).collect();
        let new = wanted.into_iter().filter(|wanted| !known.contains(&wanted.canonical()));
        let new = new.map(|wanted| wanted.spec).collect();
        if force {
            dropped.retain(|root| !is_wanted(root));
        }
        Ok(Self {
            new,
            kept,
            dropped,
            unify: unify(configuration)?,
            included: included::lockfiles(environment, configuration)?,
            present: environment.lockfile.clone(),
            file: environment.directory.join(LOCKFILE),
        })
    }

    /// Whether there is nothing to do.
    fn is_done(&self) -> bool {
        self.new.is_empty() && self.dropped.is_empty() && self.included.is_empty() && !self.kept.is_empty()
    }

    /// The specs whose packages were chosen before, with those of environments that are included, and which count for the
    /// choice of others.
    fn settled(&self) -> Result<Vec<Kept<'_>>, Error> {
        let mut settled = Vec::new();
        let own = self.kept.iter().filter_map(|root| Some((root, self.present.as_ref()?)));
        let included = self.included.iter().flat_map(|(_, lockfile)| {
            let roots = lockfile.roots.iter().chain(lockfile.included.values().flatten());
            roots.map(move |root| (root, lockfile))
        });
        for (root, lockfile) in own.chain(included) {
            let unreadable = |error: strata_spec::SpecSyntaxError| Error::BadRecord {
                package: root.requested.clone(),
                reason: error.to_string(),
            };
            settled.push(Kept { spec: root.spec().map_err(unreadable)?, hash: &root.hash, source: lockfile });
        }
        Ok(settled)
    }
}

/// What became of the specs that an environment wants, or will once it is written.
#[derive(Debug, Serialize)]
pub struct Concretization {
    /// What was chosen now.
    pub chosen: Vec<Chosen>,
    /// How many specs were concrete already.
    pub kept: usize,
    /// The specs that nobody wants any more.
    pub dropped: Vec<String>,
    /// The file.
    pub lockfile: PathBuf,
    /// Whether the file changes.
    pub changes: bool,
    /// What it will say; none if it goes away.
    #[serde(skip)]
    text: Option<String>,
}

/// Chooses a package for each spec that needs one. `stock` is what there is to choose from; none is needed where no spec is new.
///
/// # Errors
/// All that stands in the way: each spec that has no binary, with the reasons; or specs that do not go together.
pub fn plan(
    work: &Work,
    host: Option<&Host>,
    stock: Option<Stock<'_>>,
    writer: (&str, &str),
) -> Result<Concretization, Vec<Error>> {
    let one = |error| vec![error];
    let settled = work.settled().map_err(one)?;
    let resolved = match stock.filter(|_| !work.new.is_empty()) {
        Some(stock) => {
            let choices = Choices { specs: &work.new, kept: &settled, host, unify: work.unify };
            resolve_beside(&choices, stock)?
        }
        None => Resolved::default(),
    };
    let present = std::fs::read_to_string(&work.file).ok();
    // What nothing is to be changed in stays as it is, whatever version of the format it is in.
    let text = if work.is_done() { present.clone() } else { text(work, &resolved, writer).map_err(one)? };
    Ok(Concretization {
        kept: work.kept.len(),
        dropped: work.dropped.iter().map(|root| root.requested.clone()).collect(),
        lockfile: work.file.clone(),
        changes: text != present,
        text,
        chosen: resolved.chosen,
    })
}

impl Concretization {
    /// Writes the lockfile, in one step. What it would not change is not written.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn write(&self) -> Result<(), Error> {
        match &self.text {
            _ if !self.changes => Ok(()),
            Some(text) => save::replace(&self.lockfile, text),
            None => save::remove(&self.lockfile),
        }
    }
}

/// What the lockfile is to say. Without specs there is none, as with Spack.
fn text(work: &Work, resolved: &Resolved, writer: (&str, &str)) -> Result<Option<String>, Error> {
    let mut roots = work.kept.clone();
    for (spec, chosen) in work.new.iter().zip(&resolved.chosen) {
        roots.push(Root { requested: spec.to_string(), hash: chosen.hash.clone() });
    }
    if roots.is_empty() && work.included.is_empty() {
        return Ok(None);
    }
    let unwritable = |source| Error::UnwritableLockfile { path: work.file.clone(), source: Box::new(source) };
    let source = Both(work.present.as_ref(), resolved);
    let (program, version) = writer;
    let mut lockfile = Lockfile::new(program, version, roots, &source).map_err(unwritable)?;
    if let Some(present) = work.present.as_ref().filter(|_| work.new.is_empty()) {
        // Who chose is who chose what is there.
        lockfile = lockfile.with_provenance_of(present);
    }
    lockfile.include(&work.included).map_err(unwritable)?;
    Ok(Some(lockfile.to_json().map_err(unwritable)?))
}

/// The nodes of the lockfile as they are written there, and those that were chosen now.
struct Both<'n>(Option<&'n Lockfile>, &'n Resolved);

impl NodeSource for Both<'_> {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.0.and_then(|lockfile| lockfile.node(hash)).or_else(|| self.1.node(hash))
    }
}

/// `concretizer:unify`.
fn unify(configuration: &Configuration) -> Result<Unify, Error> {
    Ok(match Concretizer::of(configuration)?.unify {
        strata_config::Unify::Together => Unify::True,
        strata_config::Unify::WhenPossible => Unify::WhenPossible,
        strata_config::Unify::Separately => Unify::False,
    })
}
