//! The plan, executed: layers made available, configs and manifests put, and last of all the tag.

use super::plan::{BuildPlan, PlannedImage, refuse_too_long};
use super::prefix_view::{self, MadeView};
use super::{BaseUsed, BuildRequest, BuildSummary, BuiltImage, Moved};
use crate::error::Error;
use crate::image::assemble::{Assembled, Assembly, LayerInfo, assemble};
use crate::image::index::{Member, compose_new};
use crate::image::merged::Merger;
use crate::parallel;
use crate::push::scratch::Locked;
use crate::report::{Action, Event, Reporter};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Instant;
use strata_oci::{
    Copied, Digest, ImageReference, LayoutRepository, RawManifest, Repository, RepositoryUrl, TagName,
    copy_blob,
};
use strata_spec::{DagHash, Node, NodeSource};

/// Layers that are copied at the same time.
const COPIES: usize = 8;
/// How many hidden paths are named.
const SHOWN: usize = 3;
/// How the directory of an image that is to be in an archive begins.
const SCRATCH: &str = ".strata-image-";
/// What an image is tagged as until it is in its archive.
const TEMPORARY_TAG: &str = "image";

/// Writes the images to `destination`, and tags them.
///
/// # Errors
/// What reading the caches and writing to `destination` give; then there is no tag, or still the old one.
pub fn execute(
    plan: &BuildPlan,
    request: &BuildRequest<'_>,
    destination: &dyn Repository,
    tag: &TagName,
    reporter: &dyn Reporter,
) -> Result<BuildSummary, Error> {
    let reference = ImageReference::new(destination.url().clone(), tag.clone()).to_string();
    Ok(write(plan, request, destination, tag, reference, reporter)?.0)
}

/// Writes the images to an archive: `write` makes it of the image that is in a repository for the time being, beside
/// `file`.
///
/// # Errors
/// As [`execute`]. A file that was there is replaced once the new one is whole, and not before.
pub fn to_archive(
    plan: &BuildPlan,
    request: &BuildRequest<'_>,
    file: &Path,
    reference: String,
    reporter: &dyn Reporter,
    archive: impl FnOnce(&dyn Repository, &RawManifest) -> Result<(), Error>,
) -> Result<BuildSummary, Error> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = directory.canonicalize().map_err(|e| Error::io(directory, e))?;
    let scratch = Locked::below(&directory, SCRATCH).map_err(|e| Error::io(&directory, e))?;
    let layout = LayoutRepository::open_or_create(&RepositoryUrl::from_directory(scratch.path())?)?;
    let tag: TagName = TEMPORARY_TAG.parse()?;
    let (summary, root) = self::write(plan, request, &layout, &tag, reference, reporter)?;
    reporter.event(Event::Phase("Writing the archive"));
    archive(&layout, &root)?;
    Ok(summary)
}

fn write(
    plan: &BuildPlan,
    request: &BuildRequest<'_>,
    destination: &dyn Repository,
    tag: &TagName,
    reference: String,
    reporter: &dyn Reporter,
) -> Result<(BuildSummary, RawManifest), Error> {
    let views = views(plan, request, reporter)?;
    let merger = Merger::new(request.merged, request.jobs, None);
    let mut images = Vec::new();
    let mut members: Vec<Member> = Vec::new();
    let mut root: Option<RawManifest> = None;
    for (image, view) in plan.images.iter().zip(&views) {
        let (assembled, built) = one(image, view.as_ref(), request, destination, &merger, reporter)?;
        let (media_type, bytes) = (assembled.manifest.media_type.clone(), assembled.manifest.to_bytes()?);
        if plan.images.len() > 1 {
            destination.put_manifest_untagged(&media_type, &bytes)?;
            members.push(Member::new(&image.platform, &media_type, &bytes)?);
        }
        root = Some(RawManifest { digest: Digest::of(&bytes), media_type, bytes });
        images.push(built);
    }
    if members.len() > 1 {
        root = Some(compose_new(members, &reference)?);
    }
    let Some(root) = root else { return Err(Error::Panicked) };
    destination.put_manifest(tag, &root.media_type, &root.bytes)?;
    Ok((BuildSummary { reference, digest: root.digest.to_string(), images }, root))
}

/// The views, made before anything is written.
fn views(
    plan: &BuildPlan,
    request: &BuildRequest<'_>,
    reporter: &dyn Reporter,
) -> Result<Vec<Option<MadeView>>, Error> {
    let Some(root) = request.view else { return Ok(plan.images.iter().map(|_| None).collect()) };
    reporter.event(Event::Phase("Reading which files the roots have"));
    let mut views = Vec::new();
    for image in &plan.images {
        let view = prefix_view::make(root, image, request.mirrors)?;
        refuse_too_long(&view.environment, request)?;
        if !view.hidden.is_empty() {
            reporter.event(Event::Warning(&hidden(root, &view.hidden)));
        }
        views.push(Some(view));
    }
    Ok(views)
}

/// What a view has of one root only, although others have it, too.
fn hidden(root: &Path, hidden: &[(String, String, String)]) -> String {
    let example = |(path, shown, other): &(String, String, String)| {
        format!("{path} is that of {shown}, and not of {other}")
    };
    let examples: Vec<String> = hidden.iter().take(SHOWN).map(example).collect();
    let (what, more) = match hidden.len() {
        1 => ("1 path".to_owned(), ""),
        count => (format!("{count} paths"), if count > SHOWN { "; …" } else { "" }),
    };
    format!("{what} of {} can be of one package only: {}{more}", root.display(), examples.join("; "))
}

fn one(
    image: &PlannedImage,
    view: Option<&MadeView>,
    request: &BuildRequest<'_>,
    destination: &dyn Repository,
    merger: &Merger,
    reporter: &dyn Reporter,
) -> Result<(Assembled, BuiltImage), Error> {
    if let (Some(base), Some(source)) = (&image.below, request.base) {
        base.provide(source, destination, reporter)?;
    }
    if let Some(view) = view {
        let _ = destination.put_blob(&view.blob)?;
    }
    let nodes: Vec<&Node> = image.order.iter().filter_map(|hash| image.resolved.node(hash)).collect();
    let roots: Vec<&Node> =
        image.resolved.roots.iter().filter_map(|hash| image.resolved.node(hash)).collect();
    let layers: HashMap<DagHash, LayerInfo> =
        image.found.iter().map(|(hash, found)| (hash.clone(), found.info())).collect();
    let elsewhere: HashMap<DagHash, &dyn Repository> = image
        .found
        .iter()
        .map(|(hash, found)| (hash.clone(), &*request.mirrors[found.mirror].repository))
        .collect();
    let assembly = Assembly {
        nodes: &nodes,
        layers: &layers,
        elsewhere: &elsewhere,
        roots: &roots,
        base: image.below.as_ref(),
        environment: view.map_or(&image.environment, |view| &view.environment),
        runtime: request.runtime,
        budget: request.budget,
        merger,
        created: image.created,
        view: view.map(|view| view.layer),
        package: None,
    };
    let moved = provide(image, &assembly.alone()?, request, destination, reporter)?;
    let assembled = assemble(&assembly, destination, reporter)?;
    let bytes = assembled.manifest.to_bytes()?;
    let known: HashSet<Digest> = layers.values().chain(&assembly.view).map(|layer| layer.digest).collect();
    let of_base = image.below.as_ref().map_or(0, |base| base.layers.len());
    let ours = assembled.manifest.layers.iter().skip(of_base);
    let built = BuiltImage {
        merged: ours.filter(|layer| !known.contains(&layer.digest)).count(),
        platform: image.platform.to_string(),
        roots: roots.iter().map(|root| root.label()).collect(),
        digest: Digest::of(&bytes).to_string(),
        config: assembled.config.to_string(),
        base: image
            .below
            .as_ref()
            .map(|base| BaseUsed { reference: base.reference.clone(), digest: base.digest.to_string() }),
        packages: layers.len(),
        layers: assembled.manifest.layers.len(),
        size: assembled.manifest.layers.iter().map(|layer| layer.size).sum(),
        moved,
        missing: image.missing.clone(),
        unclear: image.unclear.clone(),
        hidden: view.map(|view| view.hidden.len()).unwrap_or_default(),
    };
    Ok((assembled, built))
}

/// Makes the layers available where the image is to be that are of one package.
fn provide(
    image: &PlannedImage,
    alone: &HashSet<&DagHash>,
    request: &BuildRequest<'_>,
    destination: &dyn Repository,
    reporter: &dyn Reporter,
) -> Result<Moved, Error> {
    let mut moved = Moved::default();
    let mut seen = HashSet::new();
    let mut elsewhere = Vec::new();
    let alone = image.order.iter().filter(|hash| alone.contains(hash));
    for node in alone.filter_map(|hash| image.resolved.node(hash)) {
        let Some(found) = image.found.get(&node.hash).filter(|found| seen.insert(found.layer.digest)) else {
            continue;
        };
        let source = &*request.mirrors[found.mirror].repository;
        if source.url() == destination.url() {
            moved.there += 1;
        } else {
            elsewhere.push((node.label(), source, &found.layer));
        }
    }
    if elsewhere.is_empty() {
        return Ok(moved);
    }
    reporter.event(Event::Expect(Action::Copy, elsewhere.len()));
    let copied = parallel::map(&elsewhere, COPIES, |(label, source, layer)| {
        reporter.event(Event::Started(Action::Copy, label));
        let since = Instant::now();
        let copied = copy_blob(*source, destination, layer)?;
        let (bytes, detail) = match copied {
            Copied::Existed => (0, "it was there"),
            Copied::Mounted => (0, "the registry took it from its other repository"),
            Copied::Sent => (layer.size, ""),
        };
        let elapsed = since.elapsed();
        reporter.event(Event::Finished { action: Action::Copy, package: label, bytes, elapsed, detail });
        Ok::<_, Error>((copied, layer.size))
    })?;
    for (copied, size) in copied {
        match copied {
            Copied::Existed => moved.there += 1,
            Copied::Mounted => moved.mounted += 1,
            Copied::Sent => {
                moved.sent += 1;
                moved.bytes_sent += size;
            }
        }
    }
    Ok(moved)
}
