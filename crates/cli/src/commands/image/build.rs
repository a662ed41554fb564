//! `strata image build`.

use super::words::words;
use crate::args;
use crate::args::image::Build;
use crate::commands::{resolving, specs};
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, bytes, packages};
use crate::progress::Console;
use crate::registries::Registries;
use crate::settings::Settings;
use std::fmt::Write;
use std::sync::Arc;
use strata_oci::{Image, Repository, image_config};
use strata_ops::environment::Locked;
use strata_ops::image::archive::{write_archive_file, write_docker_archive, write_oci_archive};
use strata_ops::image::build::{
    BuildPlan, BuildRequest, BuildSummary, BuiltImage, Destination, PlannedImage, execute, plan, to_archive,
};
use strata_ops::image::{BaseSource, Budget, Runtime};
use strata_ops::mirror::Direction;
use strata_ops::resolve::{Mirror, Unify};
use strata_ops::{Error, Event, Reporter};
use strata_spec::AbstractSpec;

/// How many packages that are missing are named.
const SHOWN: usize = 5;

/// Makes an image of packages that caches have.
pub(crate) fn build(args: &Build, settings: &Settings, console: &Arc<Console>) -> Result<Outcome, Diagnosis> {
    args.tag.refuse_package_tag()?;
    args.tag.refuse_unwritable()?;
    let runtime = runtime(&args.runtime)?;
    let Asked { specs, unify, is_concrete } = asked(args, settings)?;
    if let (Destination::DockerArchive { .. }, [_, _, ..]) = (&args.tag, &args.target[..]) {
        let text = "a docker-archive holds the image of one platform, and --target is given more than once";
        return Err(Diagnosis::misuse(text, "write one for each, or an oci-archive"));
    }
    let registries = Registries::new(settings, console)?;
    let (mirrors, destination, base) = places(args, &registries, settings)?;
    let target;
    let targets = if args.target.is_empty() && is_concrete {
        &[]
    } else if args.target.is_empty() {
        target = [strata_ops::host::detect().target];
        &target[..]
    } else {
        args.target.iter().for_each(|target| resolving::warn_if_unknown(target, console));
        &args.target[..]
    };
    let (indexes, merged) = (settings.kept_indexes(), settings.kept_images());
    let request = BuildRequest {
        specs: &specs,
        unify,
        targets,
        os: args.os.as_deref(),
        mirrors: &mirrors,
        kept: indexes.as_deref(),
        base: base.as_ref(),
        runtime: &runtime,
        budget: budget(args.max_layers),
        view: args.view.as_deref(),
        allow_incomplete: args.allow_incomplete,
        merged: merged.as_deref(),
        jobs: settings.cores,
        created: settings.source_date_epoch()?,
    };
    run(args, &request, destination.as_deref(), console)
}

/// What is to be in the image.
struct Asked {
    specs: Vec<AbstractSpec>,
    unify: Unify,
    /// Whether they are those of an environment, which is for the machines that it is for.
    is_concrete: bool,
}

fn asked(args: &Build, settings: &Settings) -> Result<Asked, Diagnosis> {
    let hint = "name a package or a /HASH, or an environment with -e";
    match (specs(&args.specs)?, settings.environment()?) {
        (specs, Some(directory)) if specs.is_empty() => {
            Ok(Asked { specs: Locked::read(&directory)?.specs()?, unify: Unify::False, is_concrete: true })
        }
        (specs, None) if specs.is_empty() => Err(Diagnosis::misuse("no spec is given", hint)),
        // An environment is no more than configuration then.
        (specs, _) => Ok(Asked { specs, unify: args.unify.into(), is_concrete: false }),
    }
}

/// Plans, and does it unless it is only to be said what would be done.
fn run(
    args: &Build,
    request: &BuildRequest<'_>,
    destination: Option<&dyn Repository>,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let plan = plan(request, console).map_err(diagnosed)?;
    for image in &plan.images {
        warn(image, console);
    }
    if args.dry_run {
        return Ok(Outcome::new(planned(&plan, &args.tag), &plan)?);
    }
    let reference = args.tag.to_string();
    let summary = match (&args.tag, destination, args.tag.tag()) {
        (Destination::OciArchive { file, name }, ..) => {
            to_archive(&plan, request, file, reference, console, |repository, root| {
                write_archive_file(file, |output| {
                    write_oci_archive(repository, root, name.as_deref(), output)
                })
            })?
        }
        (Destination::DockerArchive { file, name }, ..) => {
            to_archive(&plan, request, file, reference, console, |repository, root| {
                let manifest = root.parse()?;
                let config = image_config(repository, &manifest)?;
                let image = Image { digest: root.digest, manifest, config };
                write_archive_file(file, |output| {
                    write_docker_archive(repository, &image, name.as_deref(), output)
                })
            })?
        }
        (_, Some(repository), Some(tag)) => execute(&plan, request, repository, tag, console)?,
        _ => return Err(strata_ops::Error::Panicked.into()),
    };
    Ok(Outcome::new(built(&summary, args.tag.tag().is_none()), &summary)?)
}

/// What is said of installing does not hold for images.
fn diagnosed(error: Error) -> Diagnosis {
    let is_about_hosts = match &error {
        Error::NoBinary(explanation) => {
            explanation.advice.first().is_some_and(|advice| advice.contains("--no-host-check"))
        }
        _ => false,
    };
    let diagnosis = Diagnosis::from(error);
    match is_about_hosts {
        true => {
            diagnosis.with_hint("--target and --os say what the image is for; push what was built for that")
        }
        false => diagnosis,
    }
}

/// The caches, where the image goes if that is a repository, and its base.
type Places = (Vec<Mirror>, Option<Box<dyn Repository>>, Option<BaseSource>);

fn places(args: &Build, registries: &Registries<'_>, settings: &Settings) -> Result<Places, Diagnosis> {
    let place = match &args.tag {
        Destination::Beside(tag) => match &args.mirror[..] {
            [mirror] => Some(mirror.clone()),
            _ => {
                let text = format!("`{tag}` is a tag alone, which has a place only beside one --mirror");
                return Err(Diagnosis::misuse(text, "say where: HOST/NAME:TAG, or oci+file:///DIR:TAG"));
            }
        },
        Destination::Repository(reference) => Some(reference.repository().to_string()),
        Destination::OciArchive { .. } | Destination::DockerArchive { .. } => None,
    };
    let place: Vec<(String, Direction)> = place.into_iter().map(|place| (place, Direction::Push)).collect();
    let (mirrors, mut others) = registries.readable_with(&args.mirror, &place)?;
    let destination = others.pop();
    let base = match &args.base_image {
        None => None,
        Some(reference) => {
            let caches = mirrors.iter().map(|mirror| &mirror.repository).chain(&destination);
            let beside: Vec<_> = caches.map(|repository| repository.url()).collect();
            Some(BaseSource {
                repository: registries.open_base(reference.repository(), &beside)?,
                reference: reference.clone(),
                libc_check: !args.no_libc_check,
                kept: settings.kept_images(),
            })
        }
    };
    Ok((mirrors, destination, base))
}

fn runtime(args: &args::image::Runtime) -> Result<Runtime, Diagnosis> {
    let entrypoint = words("entrypoint", &args.entrypoint)?;
    // With `docker run`, that means none at all.
    if entrypoint.as_ref().and_then(|words| words.first()).is_some_and(String::is_empty) {
        let text = "--entrypoint is empty, and there is no program without a name";
        return Err(Diagnosis::misuse(text, "an image without one is made with --entrypoint '[]'"));
    }
    // Docker and podman take no other, and say so only when a container is to start.
    if let Some(workdir) = args.workdir.as_ref().filter(|workdir| !workdir.starts_with('/')) {
        let text = format!("--workdir `{workdir}` is no absolute path: no container would start there");
        return Err(Diagnosis::misuse(text, format!("write --workdir /{workdir}, if that is meant")));
    }
    Ok(Runtime {
        entrypoint,
        cmd: words("cmd", &args.cmd)?,
        env: args.env.clone(),
        labels: args.label.iter().cloned().collect(),
        workdir: args.workdir.clone(),
        user: args.user.clone(),
    })
}

fn budget(layers: Option<u16>) -> Budget {
    let chosen = |layers| Budget { layers: usize::from(layers), explicit: true };
    layers.map_or_else(Budget::default, chosen)
}

/// Says what an image lacks, and what of its environment is not known.
fn warn(image: &PlannedImage, console: &Console) {
    if !image.missing.is_empty() {
        let shown = image.missing.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = match image.missing.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        console.event(Event::Warning(&format!("the image will lack what no cache has: {shown}{more}")));
    }
    for text in &image.warnings {
        console.event(Event::Warning(text));
    }
}

fn planned(plan: &BuildPlan, destination: &Destination) -> String {
    let mut text = String::new();
    for image in &plan.images {
        let base = image.base.as_ref().map(|base| format!(" on {base}")).unwrap_or_default();
        writeln!(text, "would make {destination} for {}{base}", image.platform).ok();
        for package in &image.packages {
            let (label, mirror) = (&package.package, &package.mirror);
            writeln!(text, "  {label} from {mirror} ({})", bytes(package.size)).ok();
        }
        for package in &image.missing {
            writeln!(text, "  without {package}").ok();
        }
    }
    text
}

fn built(summary: &BuildSummary, is_archive: bool) -> String {
    let mut text = String::new();
    for image in &summary.images {
        writeln!(text, "{}", line(image, is_archive)).ok();
    }
    writeln!(text, "{}", summary.reference).ok();
    writeln!(text, "{}", summary.digest).ok();
    text
}

/// `linux/amd64: 20 packages in 20 layers, 120.4 MB, on debian:12; nothing was sent`
fn line(image: &BuiltImage, is_archive: bool) -> String {
    let layers = if image.layers == 1 { "1 layer".to_owned() } else { format!("{} layers", image.layers) };
    let (contents, size) = (packages(image.packages), bytes(image.size));
    let mut text = format!("{}: {contents} in {layers}, {size}", image.platform);
    if let Some(base) = &image.base {
        write!(text, ", on {}", base.reference).ok();
    }
    if image.merged > 0 {
        write!(text, "; {} shared by several packages", image.merged).ok();
    }
    let moved = &image.moved;
    match (moved.mounted, moved.sent) {
        // It was all written to a file.
        _ if is_archive => {}
        (0, 0) if image.merged == 0 => text.push_str("; no layer was sent"),
        (mounted, sent) => {
            if mounted > 0 {
                write!(text, "; {mounted} mounted").ok();
            }
            if sent > 0 {
                write!(text, "; {sent} copied, {}", bytes(moved.bytes_sent)).ok();
            }
        }
    }
    if !image.missing.is_empty() {
        write!(text, "; {} missing", image.missing.len()).ok();
    }
    text
}
