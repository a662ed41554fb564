//! The view of an image: which files the roots have is read from their layers; then one layer of links, and an environment
//! that names the view.

use super::layers::Found;
use super::plan::PlannedImage;
use crate::error::Error;
use crate::image::ImageError;
use crate::image::assemble::LayerInfo;
use crate::image::view::{self, Kind, Tree, View};
use crate::parallel;
use crate::resolve::Mirror;
use crate::run_environment::{Environment, Inspections};
use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::io;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use strata_layer::contents::{EntryKind, for_each_entry};
use strata_layer::gzip::writer::CompressorPool;
use strata_layer::links::{LinkEntry, write_links};
use strata_oci::{BlobSource, Digest};
use strata_spec::{DagHash, Node, NodeSource};

/// What every package's prefix has, and nothing else of an image.
const MARK: &[u8] = b"/.spack/binary_distribution";

/// The variable that has the prefix of every package.
const PREFIXES: &str = "CMAKE_PREFIX_PATH";

/// A view, made.
#[derive(Debug)]
pub(super) struct MadeView {
    /// Its layer.
    pub(super) layer: LayerInfo,
    /// The layer's bytes.
    pub(super) blob: BlobSource,
    /// The environment of an image that has it.
    pub(super) environment: Environment,
    /// Paths that several roots have: path, whose file is linked, and whose is hidden.
    pub(super) hidden: Vec<(String, String, String)>,
}

/// Reads the roots' layers, and makes the view at `root`.
pub(super) fn make(root: &Path, image: &PlannedImage, mirrors: &[Mirror]) -> Result<MadeView, Error> {
    let roots: Vec<(&Node, &Found)> = image
        .resolved
        .roots
        .iter()
        .filter_map(|hash| Some((image.resolved.node(hash)?, image.found.get(hash)?)))
        .collect();
    let trees = parallel::map(&roots, parallel::REQUESTS, |(node, found)| {
        tree(&node.label(), found, &mirrors[found.mirror])
    })?;
    let view = view::merge(root, &trees)?;
    let pool = CompressorPool::new(NonZeroUsize::MIN).map_err(Error::Threads)?;
    let written = write_links(&view.entries, &pool, Vec::new()).map_err(|e| Error::io(root, e))?;
    let layer = LayerInfo {
        digest: Digest::from_sha256(written.digest),
        diff_id: Digest::from_sha256(written.diff_id),
        size: written.size,
        compression: pool.method().compression(),
    };
    let environment = environment(root, &view, &trees, image);
    Ok(MadeView { layer, blob: BlobSource::bytes(written.output), environment, hidden: view.hidden })
}

/// The files of a package, as its layer lists them.
fn tree(label: &str, found: &Found, mirror: &Mirror) -> Result<Tree, Error> {
    let unreadable = |source: io::Error| {
        Error::Image(ImageError::UnreadableLayer {
            package: label.to_owned(),
            place: mirror.repository.url().to_string(),
            source,
        })
    };
    let mut names: Vec<(Vec<u8>, Kind)> = Vec::new();
    let mut prefix: Option<Vec<u8>> = None;
    let layer = mirror.repository.blob(&found.layer)?;
    for_each_entry::<io::Error>(layer, |name, kind, _| {
        if let Some(candidate) = name.strip_suffix(MARK) {
            // A prefix may hold copies of others; its own mark is the one with the shortest name.
            if prefix.as_ref().is_none_or(|prefix| candidate.len() < prefix.len()) {
                prefix = Some(candidate.to_vec());
            }
        }
        let kind = if *kind == EntryKind::Directory { Kind::Directory } else { Kind::Other };
        names.push((name.strip_suffix(b"/").unwrap_or(name).to_vec(), kind));
        Ok(ControlFlow::Continue(()))
    })
    .map_err(unreadable)?;
    let prefix = prefix.ok_or_else(|| Error::Image(ImageError::NoPrefix { package: label.to_owned() }))?;
    let below = |(name, kind): (Vec<u8>, Kind)| {
        let rest = name.strip_prefix(&prefix[..])?.strip_prefix(b"/")?;
        (!rest.is_empty()).then(|| (rest.to_vec(), kind))
    };
    let paths = names.into_iter().filter_map(below).collect();
    let absolute = [b"/", &prefix[..]].concat();
    Ok(Tree { label: label.to_owned(), prefix: Path::new(OsStr::from_bytes(&absolute)).to_owned(), paths })
}

/// The environment with the view's directories instead of those of each package. What recipes set is kept, and what comes
/// from the base, too.
fn environment(root: &Path, view: &View, trees: &[Tree], image: &PlannedImage) -> Environment {
    let inspections = Inspections::default();
    let below = Environment::of_base(image.below.as_ref().map(|base| &base.config));
    let mut environment = image.environment.clone();
    let directories: HashSet<&[u8]> = view
        .entries
        .iter()
        .filter_map(|entry| match entry {
            LinkEntry::Directory(name) => Some(&name[..]),
            LinkEntry::Link { .. } => None,
        })
        .collect();
    let prefixes = prefixes(&environment, &below, trees, image);
    let names: BTreeSet<&String> = inspections.0.iter().flat_map(|(_, names)| names).collect();
    for name in names {
        let own = inspections.0.iter().filter(|(_, names)| names.contains(name));
        let places = own.map(|(directory, _)| {
            let below = directory.components().filter(|part| *part != Component::CurDir);
            root.components().chain(below).collect::<PathBuf>()
        });
        let is_there = |place: &PathBuf| {
            let bytes = place.as_os_str().as_bytes();
            directories.contains(bytes.strip_prefix(b"/").unwrap_or(bytes))
        };
        // What is prepended later comes first.
        let mut value: Vec<String> =
            places.filter(is_there).map(|place| place.to_string_lossy().into_owned()).collect();
        value.reverse();
        let before = environment.get(name).unwrap_or_default().to_owned();
        let of_base = below.get(name).unwrap_or_default();
        let of_packages = before.strip_suffix(of_base).unwrap_or(&before);
        let is_in_view = |entry: &str| {
            let of = |prefix: &String| {
                inspections.explains(name, entry, prefix)
                    || (name == "PATH" && *entry == format!("{prefix}/bin64"))
            };
            prefixes.iter().any(of)
        };
        let kept = of_packages.split(':').filter(|entry| !entry.is_empty() && !is_in_view(entry));
        // Several packages of the system bring the same directories.
        for entry in kept {
            if !value.iter().any(|known| known == entry) {
                value.push(entry.to_owned());
            }
        }
        value.extend((!of_base.is_empty()).then(|| of_base.to_owned()));
        if !value.is_empty() || !before.is_empty() {
            environment.set(name, &value.join(":"));
        }
    }
    environment
}

/// The prefixes of packages that the environment names: those of the roots, and whatever Spack says is one.
fn prefixes(
    environment: &Environment,
    below: &Environment,
    trees: &[Tree],
    image: &PlannedImage,
) -> HashSet<String> {
    let mut prefixes: HashSet<String> =
        trees.iter().map(|tree| tree.prefix.to_string_lossy().into_owned()).collect();
    let of_base: HashSet<&str> = below.get(PREFIXES).unwrap_or_default().split(':').collect();
    let named = environment.get(PREFIXES).unwrap_or_default().split(':');
    prefixes.extend(named.filter(|entry| !of_base.contains(entry)).map(str::to_owned));
    // Where that variable is not inspected, the hash in a path tells.
    for entry in environment.get("PATH").unwrap_or_default().split(':') {
        prefixes.extend(hashed_prefix(entry, &image.order));
    }
    prefixes.remove("");
    prefixes
}

/// The part of a path up to the component that ends in the hash of a package.
fn hashed_prefix(path: &str, hashes: &[DagHash]) -> Option<String> {
    let mut length = 0;
    for component in path.split('/') {
        length += component.len();
        let last = component.rsplit('-').next().unwrap_or_default();
        if hashes.iter().any(|hash| hash.as_str() == last) {
            return Some(path[..length].to_owned());
        }
        length += 1;
    }
    None
}
