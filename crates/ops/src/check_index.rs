//! `buildcache check-index`: the index of a cache against its tags, the blobs that they lead to, and the hashes of its specs.

use crate::check;
use crate::error::{Error, chain};
use crate::index::{self, BadTag, package_tags};
use crate::package_tag;
use crate::packages::Package;
use crate::parallel;
use crate::report::{Event, Reporter};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use strata_oci::{Descriptor, Digest, ManifestRef, Repository, image_manifest};
use strata_spec::dag_hash::{self, Verified};
use strata_spec::{DagHash, Database, Node};

/// How many hashes a thread computes before it takes more.
const HASHES_AT_ONCE: usize = 1000;

/// What to look at, beside whether there is an index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// Whether index and tags have the same packages.
    pub manifests: bool,
    /// Whether everything that the tags lead to is there and fits together.
    pub blobs: bool,
    /// Whether every spec has the hash that it is listed under.
    pub hashes: bool,
}

/// What was found; nothing of what was not looked at.
#[derive(Debug, Default, Serialize)]
pub struct Findings {
    /// Whether there is an index that can be read.
    pub exists: bool,
    /// Index and tags.
    pub manifests: Option<Manifests>,
    /// What is missing or does not fit, by DAG hash, or by tag if that has none.
    pub blobs: Option<Blobs>,
    /// The hashes of specs.
    pub hashes: Option<Hashes>,
    /// What is wrong, as errors; the worst first.
    #[serde(skip)]
    pub errors: Vec<Error>,
}

/// How index and tags differ.
#[derive(Debug, Default, Serialize)]
pub struct Manifests {
    /// Packages that the index has, and the cache has not.
    pub missing: Vec<DagHash>,
    /// Packages that the cache has, and the index has not.
    pub unindexed: Vec<DagHash>,
    /// Tags that are no packages, and rightly not in the index.
    pub bad_tags: Vec<BadTag>,
}

/// What is wrong with packages.
#[derive(Debug, Default, Serialize)]
pub struct Blobs {
    /// In words.
    pub missing: BTreeMap<String, Vec<String>>,
}

/// Whether the specs of an index have the hashes that they are listed under.
#[derive(Debug, Default, Serialize)]
pub struct Hashes {
    /// How many do.
    pub right: usize,
    /// Those that do not, in words.
    pub wrong: Vec<String>,
    /// How many there are of which it cannot be told, for they were first written in a format before version 5.
    pub unknowable: usize,
}

/// Compares. Uses up to `jobs` threads to compute hashes.
///
/// # Errors
/// If the cache gives no answer. What is wrong with it is among the findings.
pub fn check_index(
    repository: &dyn Repository,
    scope: Scope,
    jobs: usize,
    reporter: &dyn Reporter,
) -> Result<Findings, Error> {
    let place = repository.url().to_string();
    let mut findings = Findings::default();
    let index = match index::read(repository) {
        Ok(Some((index, _))) => Some(index),
        Ok(None) => {
            findings.errors.push(Error::NoIndex { place: place.clone() });
            None
        }
        Err(error) if error.is_about_content() => {
            findings.errors.push(error);
            None
        }
        Err(error) => return Err(error),
    };
    findings.exists = index.is_some();
    let index = index.unwrap_or_default();
    if scope.manifests || scope.blobs {
        let tags = repository.tags()?;
        if scope.manifests && findings.exists {
            findings.manifests = Some(compare(repository, &index, &tags, &mut findings.errors)?);
        }
        if scope.blobs {
            reporter.event(Event::Phase("Looking at every package"));
            findings.blobs = Some(look_at_blobs(repository, &index, &tags, &mut findings.errors)?);
        }
    }
    if scope.hashes && findings.exists {
        reporter.event(Event::Phase("Computing hashes"));
        let verified = verify(&index, jobs);
        findings.hashes = Some(Hashes {
            right: verified.right,
            wrong: verified.wrong.iter().map(ToString::to_string).collect(),
            unknowable: verified.unknowable,
        });
        let errors = verified
            .wrong
            .into_iter()
            .map(|mismatch| Error::WrongHash { place: place.clone(), mismatch: Box::new(mismatch) });
        findings.errors.splice(0..0, errors);
    }
    Ok(findings)
}

fn compare(
    repository: &dyn Repository,
    index: &Database,
    tags: &[String],
    errors: &mut Vec<Error>,
) -> Result<Manifests, Error> {
    let mut manifests = Manifests::default();
    let cached = index.records.iter().filter(|(_, record)| record.in_buildcache);
    let indexed: HashMap<&DagHash, &Node> = cached.map(|(hash, record)| (hash, &record.node)).collect();
    let tagged: HashSet<DagHash> = package_tags(tags).filter_map(|tag| package_tag::hash(tag)).collect();
    let unknown: Vec<&String> = package_tags(tags)
        .filter(|tag| !package_tag::hash(tag).is_some_and(|hash| indexed.contains_key(&hash)))
        .collect();
    let read = parallel::map(&unknown, parallel::REQUESTS, |tag| match index::spec_of(repository, tag) {
        Ok(spec) if package_tag::hash(tag).as_ref() == Some(&spec.root().hash) => {
            Ok(Ok(spec.root().hash.clone()))
        }
        Ok(spec) => Ok(Err(format!("it holds {}", spec.root().label()))),
        Err(error) if error.is_about_content() => Ok(Err(chain(&error))),
        Err(error) => Err(error),
    })?;
    for (tag, read) in unknown.into_iter().zip(read) {
        match read {
            Ok(hash) => manifests.unindexed.push(hash),
            Err(reason) => {
                manifests.bad_tags.push(BadTag { tag: tag.clone(), reason, temporary: false });
            }
        }
    }
    let missing: BTreeSet<&DagHash> = indexed.into_keys().filter(|hash| !tagged.contains(*hash)).collect();
    manifests.missing = missing.into_iter().cloned().collect();
    let (missing, unindexed) = (manifests.missing.len(), manifests.unindexed.len());
    if missing + unindexed > 0 {
        let place = repository.url().to_string();
        errors.push(Error::StaleIndex { place, missing, unindexed });
    }
    Ok(manifests)
}

/// Looks at the manifest and config of every tag, and asks for each layer once.
fn look_at_blobs(
    repository: &dyn Repository,
    index: &Database,
    tags: &[String],
    errors: &mut Vec<Error>,
) -> Result<Blobs, Error> {
    let tags: Vec<&String> = package_tags(tags).collect();
    let looked = parallel::map(&tags, parallel::REQUESTS, |tag| {
        let answer = package_of(index, tag).and_then(|package| layers_of(repository, &package));
        match answer {
            Ok(layers) => Ok(Ok(layers)),
            Err(error) if error.is_about_content() => Ok(Err(error)),
            Err(error) => Err(error),
        }
    })?;
    let mut users: BTreeMap<Digest, (Descriptor, Vec<&String>)> = BTreeMap::new();
    let mut wrong: BTreeMap<&String, Vec<Error>> = BTreeMap::new();
    for (tag, layers) in tags.into_iter().zip(looked) {
        match layers {
            Ok(layers) => {
                for layer in layers {
                    users.entry(layer.digest).or_insert_with(|| (layer, Vec::new())).1.push(tag);
                }
            }
            Err(error) => wrong.entry(tag).or_default().push(error),
        }
    }
    let users: Vec<(Descriptor, Vec<&String>)> = users.into_values().collect();
    let present = parallel::map(&users, parallel::REQUESTS, |(layer, tags)| {
        match check::present(repository, tags.first().map_or("", |tag| tag.as_str()), layer) {
            Err(error) if !error.is_about_content() => Err(error),
            answer => Ok(answer.err().map(|error| chain(&error))),
        }
    })?;
    for ((layer, tags), error) in users.iter().zip(present) {
        if error.is_some() {
            for tag in tags {
                let missing = check::present(repository, &label(index, tag), layer).err();
                wrong.entry(tag).or_default().extend(missing);
            }
        }
    }
    let mut blobs = Blobs::default();
    for (tag, of_tag) in wrong {
        let key = package_tag::hash(tag).map_or_else(|| tag.clone(), |hash| hash.to_string());
        blobs.missing.insert(key, of_tag.iter().map(|error| chain(error)).collect());
        let first = errors.iter().position(|e| matches!(e, Error::StaleIndex { .. } | Error::NoIndex { .. }));
        let at = first.unwrap_or(errors.len());
        errors.splice(at..at, of_tag);
    }
    Ok(blobs)
}

/// The package that a tag should be.
fn package_of(index: &Database, tag: &str) -> Result<Package, Error> {
    let name = tag.parse()?;
    let hash = package_tag::hash(tag);
    match hash {
        Some(hash) => Ok(Package { label: label(index, tag), hash, tag: name }),
        None => Err(Error::NotWhole {
            package: tag.to_owned(),
            place: "the cache".to_owned(),
            reason: "its tag has no hash".to_owned(),
        }),
    }
}

/// The package as the index calls it, or else by its tag.
fn label(index: &Database, tag: &str) -> String {
    let record = package_tag::hash(tag).and_then(|hash| index.records.get(&hash));
    record.map_or_else(|| tag.to_owned(), |record| record.node.label())
}

fn layers_of(repository: &dyn Repository, package: &Package) -> Result<Vec<Descriptor>, Error> {
    let reference = ManifestRef::Tag(package.tag.clone());
    let Some((_, manifest)) = image_manifest(repository, &reference)? else { return Ok(Vec::new()) };
    check::consistent(repository, &manifest, package)?;
    Ok(manifest.layers)
}

fn verify(index: &Database, jobs: usize) -> Verified {
    let nodes: Vec<&Node> = index.records.values().map(|record| &record.node).collect();
    let parts: Vec<&[&Node]> = nodes.chunks(HASHES_AT_ONCE).collect();
    let Ok(verified) = parallel::map(&parts, jobs, |part| {
        Ok::<_, std::convert::Infallible>(dag_hash::verify(part.iter().copied()))
    });
    verified.into_iter().fold(Verified::default(), |mut all, part| {
        all.right += part.right;
        all.wrong.extend(part.wrong);
        all.unknowable += part.unknowable;
        all
    })
}
