//! The views of an environment: which packages they show and where, and how they get from what is on disk to that.
//!
//! A view is made of its descriptor and of the packages that it shows; both are in its content hash, which is Spack's, so that
//! neither makes a view anew that the other has made. What is in it is Spack's as well (`ViewDescriptor.regenerate` in its
//! `environment.py`, `SimpleFilesystemView` in its `filesystem_view.py`), recipes' own ways of adding files included
//! (`recipes.rs`).

mod content_hash;
mod copies;
mod extensions;
mod packages;
mod recipes;

use crate::error::Error;
use crate::report::{Event, Reporter};
use serde::Serialize;
use std::path::{Path, PathBuf};
use strata_config::{ViewDescriptor, ViewLinkType};
use strata_spec::{DagHash, Database, Node, NodeSource};
use strata_store::view::{Conflict, Merged, Merger, ViewPlace, create_directory, hard_link, symbolic_link};

pub use packages::Packages;

/// How many files that are in several packages are named.
const SHOWN_CONFLICTS: usize = 3;

/// What views show packages of.
#[derive(Clone, Copy)]
pub struct ViewSource<'a> {
    /// The DAGs of the roots: a lockfile, or a database.
    pub nodes: &'a dyn NodeSource,
    /// What is installed: the store's own database first, then those of upstream stores.
    pub databases: &'a [&'a Database],
    /// The root of the store, padding included: copies of texts that name it name the view.
    pub store_root: &'a Path,
}

/// What became of a view, or is to.
#[derive(Clone, Debug, Serialize)]
pub struct ViewSummary {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub root: PathBuf,
    /// The directory with its files, to which the root leads.
    pub tree: PathBuf,
    /// Whether it had to be made.
    pub changed: bool,
    /// Labels of the packages in it, dependents before dependencies; externals are not.
    pub packages: Vec<String>,
    /// How many files it has; none if they were not looked at because nothing changed.
    pub files: Option<usize>,
    /// Files that several packages have: the first one's is shown.
    pub conflicts: Vec<Conflict>,
}

/// Makes the views of an environment with these roots, as far as they are not there already. Of the roots and what they need,
/// that is shown which is installed.
///
/// # Errors
/// If a view cannot be where it is to be, if packages do not go together, or if the disk refuses. The view is then as it was,
/// and so are those after it.
pub fn regenerate(
    roots: &[DagHash],
    installed: ViewSource<'_>,
    views: &[ViewDescriptor],
    reporter: &dyn Reporter,
) -> Result<Vec<ViewSummary>, Error> {
    views.iter().map(|view| Plan::of(roots, installed, view)?.execute(reporter)).collect()
}

/// What [`regenerate`] would do.
///
/// # Errors
/// As [`regenerate`], as far as it can be told beforehand.
pub fn plan(
    roots: &[DagHash],
    installed: ViewSource<'_>,
    views: &[ViewDescriptor],
) -> Result<Vec<ViewSummary>, Error> {
    let plan = |view| {
        let plan = Plan::of(roots, installed, view)?;
        let merged = plan.merged()?;
        Ok(plan.summary(merged.as_ref()))
    };
    views.iter().map(plan).collect()
}

/// The name of the directory with the files of a view as it is to be: it stands for the descriptor and the packages.
///
/// # Errors
/// If the descriptor makes no sense, or a root is not known.
pub fn content_hash(
    roots: &[DagHash],
    installed: ViewSource<'_>,
    view: &ViewDescriptor,
) -> Result<String, Error> {
    Ok(Plan::of(roots, installed, view)?.hash)
}

/// Takes away what was made for a view. Whether there was something.
///
/// # Errors
/// If the disk refuses.
pub fn remove(view: &ViewDescriptor) -> Result<bool, Error> {
    Ok(ViewPlace::new(&view.root)?.remove()?)
}

/// A view that is to be made.
struct Plan<'a> {
    view: &'a ViewDescriptor,
    packages: Packages<'a>,
    /// With a prefix of their own, in order, and where they go relative to the view.
    shown: Vec<Shown<'a>>,
    place: ViewPlace,
    hash: String,
    is_current: bool,
}

/// A package of a view.
struct Shown<'a> {
    node: &'a Node,
    prefix: PathBuf,
    /// Relative to the view; empty for the view itself.
    projection: PathBuf,
}

impl<'a> Plan<'a> {
    fn of(roots: &[DagHash], installed: ViewSource<'a>, view: &'a ViewDescriptor) -> Result<Self, Error> {
        let packages = Packages::new(roots, installed, view)?;
        let place = ViewPlace::new(&view.root)?;
        let nodes = packages.shown(roots)?;
        let hash = content_hash::content_hash(view, &nodes, &packages);
        let is_current = place.has(&hash)?;
        let mut shown: Vec<Shown<'a>> = Vec::with_capacity(nodes.len());
        for node in nodes.into_iter().filter(|node| !node.is_external()) {
            let Some(prefix) = packages.prefix(node) else { continue };
            let projection = packages.projection(node)?;
            let same = |other: &&Shown<'_>| other.node.name == node.name && other.projection == projection;
            if let Some(other) = shown.iter().find(same) {
                return Err(Error::SameProjection {
                    root: view.root.clone(),
                    first: other.node.label(),
                    second: node.label(),
                });
            }
            shown.push(Shown { node, prefix, projection });
        }
        Ok(Self { view, packages, shown, place, hash, is_current })
    }

    /// What goes where; none if nothing has to be done.
    fn merged(&self) -> Result<Option<Merged>, Error> {
        if self.is_current {
            return Ok(None);
        }
        self.place.check()?;
        let mut merger = Merger::default();
        for (number, Shown { prefix, projection, .. }) in self.shown.iter().enumerate() {
            merger.add(number, prefix, projection)?;
        }
        for (number, Shown { node, prefix, projection }) in self.shown.iter().enumerate() {
            merger.add_metadata(number, &node.name, prefix, projection)?;
        }
        Ok(Some(merger.finish(&self.view.root)?))
    }

    fn summary(&self, merged: Option<&Merged>) -> ViewSummary {
        ViewSummary {
            name: self.view.name.clone(),
            root: self.view.root.clone(),
            tree: self.place.tree(&self.hash),
            changed: !self.is_current,
            packages: self.shown.iter().map(|shown| shown.node.label()).collect(),
            files: merged.map(|merged| merged.files.len()),
            conflicts: merged.map(|merged| merged.conflicts.clone()).unwrap_or_default(),
        }
    }

    fn execute(&self, reporter: &dyn Reporter) -> Result<ViewSummary, Error> {
        let root = self.view.root.display();
        let Some(merged) = self.merged()? else {
            reporter.event(Event::Detail(&format!("the view at {root} is up to date")));
            self.place.tidy();
            return Ok(self.summary(None));
        };
        let summary = self.summary(Some(&merged));
        for conflict in summary.conflicts.iter().take(SHOWN_CONFLICTS) {
            reporter
                .event(Event::Detail(&format!("several packages have {conflict}; the first one's is shown")));
        }
        let waiting = || {
            reporter
                .event(Event::Warning(&format!("waiting for another process that makes the view at {root}")))
        };
        let new = self.place.begin(&self.hash, waiting)?;
        for directory in &merged.directories {
            create_directory(&new.path().join(directory))?;
        }
        self.fill(merged, new.path(), new.tree())?;
        new.finish()?;
        Ok(summary)
    }

    /// Makes the files below `now`, which are going to be below `tree`.
    fn fill(&self, merged: Merged, now: &Path, tree: &Path) -> Result<(), Error> {
        let mut by_package: Vec<Vec<_>> = self.shown.iter().map(|_| Vec::new()).collect();
        let (metadata, files): (Vec<_>, Vec<_>) = merged.files.into_iter().partition(|file| file.is_metadata);
        let has_environment: Vec<PathBuf> = files
            .iter()
            .filter(|file| file.path.file_name().is_some_and(|name| name == recipes::PYVENV))
            .map(|file| file.path.clone())
            .collect();
        for file in files {
            by_package[file.package].push(file);
        }
        for (shown, files) in self.shown.iter().zip(by_package) {
            let way = recipes::Way::of(shown.node, &self.packages)?;
            let relocation = match self.view.link_type {
                ViewLinkType::Copy => Some(copies::Relocation::new(shown.node, &self.packages, tree)?),
                _ => None,
            };
            let link = |source: &Path, to: &Path, relocates: bool| {
                self.link(source, to, relocation.as_ref().filter(|_| relocates))
            };
            way.add(&files, now, &below(tree, &shown.projection), &link)?;
            let pyvenv = shown.projection.join(recipes::PYVENV);
            if shown.node.name == "python"
                && self.view.link_type != ViewLinkType::Copy
                && !files.is_empty()
                && !has_environment.contains(&pyvenv)
            {
                recipes::write_pyvenv(
                    shown.node,
                    &shown.prefix,
                    &now.join(&pyvenv),
                    &below(tree, &shown.projection),
                )?;
            }
        }
        for file in metadata {
            self.link(&file.source, &now.join(&file.path), None)?;
        }
        Ok(())
    }

    /// Shows a file in the view's way.
    fn link(&self, source: &Path, to: &Path, relocation: Option<&copies::Relocation>) -> Result<(), Error> {
        match self.view.link_type {
            ViewLinkType::Symlink => symbolic_link(source, to)?,
            ViewLinkType::Hardlink => hard_link(source, to)?,
            ViewLinkType::Copy => copies::copy(source, to, relocation)?,
        }
        Ok(())
    }
}

/// The path of what is in the view at `path`, relative to it: no slash at the end where that is the view itself.
fn below(tree: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { tree.to_owned() } else { tree.join(path) }
}
