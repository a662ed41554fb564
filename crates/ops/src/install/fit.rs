//! Whether the packages can be relocated to this store at all, asked before anything is written.
//!
//! A string in a binary cannot grow. Whether that matters shows in the lengths of the old and the new root, and the
//! old one is in the first entries of a layer: one layer is looked at, and only if its root says that strings could
//! be too short are all layers read through, without writing, to find out which ones are.

use super::InstallOptions;
use super::downloads::Downloads;
use super::package::Here;
use super::plan::{InstallPlan, PlannedInstall};
use crate::error::Error;
use crate::parallel;
use crate::report::{Event, Reporter};
use std::convert::Infallible;
use std::io::{Read, Seek};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use strata_layer::relocate::{Fit, PrefixMap};
use strata_layer::unpack::{Limits, UnpackOptions, for_each_file, leading_directories, read_build_info};
use strata_oci::Location;
use strata_store::StoreRoot;

/// A binary with more bytes than this is looked at in a nameless file.
const HELD_IN_MEMORY: u64 = 16 << 20;

/// Fails if the files of a package cannot be made to name their new places, and says how short a root has to be.
pub(super) fn check(
    plan: &InstallPlan,
    downloads: &Downloads<'_>,
    here: &Here,
    root: &StoreRoot,
    options: &InstallOptions,
    reporter: &dyn Reporter,
) -> Result<(), Error> {
    if plan.to_install.is_empty() {
        return Ok(());
    }
    let mut by_size: Vec<&PlannedInstall> = plan.to_install.iter().collect();
    by_size.sort_by_key(|planned| planned.size);
    // A layer that cannot be read says nothing of the others: installing it will report why.
    let answer = by_size.into_iter().find_map(|sample| may_fail(sample, downloads, root).ok());
    if !answer.unwrap_or(true) {
        return Ok(());
    }
    reporter.event(Event::Phase(
        "Checking that paths fit: the root is not much shorter than the one packages were built for",
    ));
    let misfits = parallel::map(&plan.to_install, options.jobs, |planned| {
        Ok::<_, Infallible>(misfit(planned, downloads, here).ok().flatten())
    });
    let mut misfits = misfits.into_iter().flatten().flatten();
    let Some(first) = misfits.next() else { return Ok(()) };
    let longest_root = misfits.fold(first.longest_root, |a, b| a.into_iter().chain(b.longest_root).min());
    Err(Error::DoesNotFit {
        package: first.package,
        root: root.root().to_owned(),
        reason: first.reason,
        longest_root,
    })
}

/// Whether strings could be too short, judged by the prefix that a package had where it was built.
fn may_fail(sample: &PlannedInstall, downloads: &Downloads<'_>, root: &StoreRoot) -> Result<bool, Error> {
    let directories = downloads.peek(sample, |layer| {
        leading_directories(layer).map_err(|source| Error::Unpack { package: sample.label(), source })
    })?;
    let new = sample.prefix.as_os_str().as_bytes();
    let old = directories.iter().find(|path| path.ends_with(sample.hash.as_str()));
    let below_root = sample.prefix.strip_prefix(root.root()).ok().map(|rest| rest.as_os_str().as_bytes());
    let old_root = old.zip(below_root).and_then(|(old, rest)| old.as_bytes().strip_suffix(rest));
    // Anything unusual: look closely.
    let (Some(old), Some(old_root)) = (old, old_root) else { return Ok(true) };
    let absolute = |path: &[u8]| [b"/", path].concat();
    let old_root = absolute(old_root.strip_suffix(b"/").unwrap_or(old_root));
    let new_root = root.root().as_os_str().as_bytes().to_vec();
    let map = PrefixMap::new([(absolute(old.as_bytes()), new.to_vec()), (old_root, new_root)]);
    Ok(map.map_or(true, |map| map.may_fail()))
}

struct MisfitPackage {
    package: String,
    reason: String,
    longest_root: Option<usize>,
}

/// Reads through a layer; what does not fit, if anything.
fn misfit(
    planned: &PlannedInstall,
    downloads: &Downloads<'_>,
    here: &Here,
) -> Result<Option<MisfitPackage>, Error> {
    let label = planned.label();
    let unpack_error = |source| Error::Unpack { package: label.clone(), source };
    let options = UnpackOptions { limits: Limits::for_layer(planned.place.layer.size), threads: 1 };
    let mut layer = LayerReader::open(planned, downloads)?;
    let unpacked = read_build_info(layer.rewound()?, &options).map_err(unpack_error)?;
    let map = here.prefix_map(&label, &unpacked.build_info)?;
    if !map.may_fail() {
        return Ok(None);
    }
    let root = here.root.as_os_str().as_bytes();
    let mut fit = Fit::new(&map, root, here.sbang.as_os_str().as_bytes());
    let binaries = &unpacked.build_info.relocate_binaries;
    let binaries: std::collections::HashSet<&Path> = binaries.iter().map(Path::new).collect();
    let visit = |path: &Path, size: u64, content: &mut dyn Read| {
        if !binaries.contains(path) {
            return Ok(());
        }
        if size > HELD_IN_MEMORY {
            let mut file = tempfile::tempfile()?;
            std::io::copy(content, &mut file)?;
            return fit.check_file(path, &file);
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        fit.check(path, &bytes);
        Ok::<_, std::io::Error>(())
    };
    for_each_file(layer.rewound()?, &unpacked.prefix_in_layer, &options, visit).map_err(unpack_error)?;
    let longest_root = fit.longest_root();
    Ok(fit.finish().err().map(|misfit| MisfitPackage {
        package: label.clone(),
        reason: misfit.misfits.first().map(ToString::to_string).unwrap_or_default(),
        longest_root,
    }))
}

/// A layer that can be read more than once: from a layout each time, from a registry by way of a nameless file.
enum LayerReader<'m> {
    Layout(&'m PlannedInstall, &'m crate::resolve::Mirror),
    Spooled(std::fs::File),
}

impl<'m> LayerReader<'m> {
    fn open(planned: &'m PlannedInstall, downloads: &Downloads<'m>) -> Result<Self, Error> {
        let mirror = downloads.mirror(planned);
        if let Location::Layout { .. } = mirror.repository.url().location() {
            return Ok(Self::Layout(planned, mirror));
        }
        let scratch = std::env::temp_dir();
        let mut file = tempfile::tempfile().map_err(|e| Error::io(&scratch, e))?;
        let mut blob = downloads.take(planned)?;
        std::io::copy(&mut blob, &mut file).map_err(|e| strata_oci::Error::from_read(e, &scratch))?;
        Ok(Self::Spooled(file))
    }

    fn rewound(&mut self) -> Result<Box<dyn Read + '_>, Error> {
        match self {
            Self::Layout(planned, mirror) => Ok(mirror.repository.blob(&planned.place.layer)?),
            Self::Spooled(file) => {
                file.rewind().map_err(|e| Error::io(&std::env::temp_dir(), e))?;
                Ok(Box::new(file))
            }
        }
    }
}
