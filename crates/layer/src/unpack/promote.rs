//! The last step of unpacking: the package's prefix becomes the destination.

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;

use super::error::UnpackError;
use super::name::printable;

/// Where entries lie in the destination until then.
pub(super) const STAGING: &str = ".strata-unpack";

/// The names in `directory`, in no order, without `.` and `..`.
pub(super) fn names(directory: impl AsFd) -> Result<Vec<Vec<u8>>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    Ok(names)
}

/// Moves what lies in `prefix` below `staging` into `destination`, whose path is `path`, and removes
/// `staging`.
///
/// # Errors
/// [`UnpackError::OutsidePrefix`] if there is anything beside the prefix or one of its parents; nothing is
/// moved then.
pub(super) fn promote(
    path: &Path,
    destination: &OwnedFd,
    staging: OwnedFd,
    prefix: &[u8],
) -> Result<(), UnpackError> {
    let failed = |errno: Errno| UnpackError::Io { path: path.to_owned(), source: errno.into() };
    let components: Vec<&[u8]> = prefix.split(|byte| *byte == b'/').collect();
    let mut parents = vec![staging];
    for (depth, component) in components.iter().enumerate() {
        let directory = &parents[depth];
        if let Some(other) = names(directory).map_err(failed)?.iter().filter(|name| name != component).min() {
            let entry = [&components[..depth], &[&other[..]]].concat().join(&b'/');
            return Err(UnpackError::OutsidePrefix { entry: printable(&entry), prefix: printable(prefix) });
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        parents.push(rustix::fs::openat(directory, *component, flags, Mode::empty()).map_err(failed)?);
    }

    let top = &parents[components.len()];
    let children = names(top).map_err(failed)?;
    let staging = free_name(&children);
    if staging != STAGING {
        rustix::fs::renameat(destination, STAGING, destination, &staging).map_err(failed)?;
    }
    for child in &children {
        rustix::fs::renameat(top, &child[..], destination, &child[..]).map_err(failed)?;
    }
    for (parent, component) in parents.iter().zip(&components).rev() {
        rustix::fs::unlinkat(parent, *component, AtFlags::REMOVEDIR).map_err(failed)?;
    }
    rustix::fs::unlinkat(destination, &staging, AtFlags::REMOVEDIR).map_err(failed)
}

/// [`STAGING`], or a variation of it if the package itself has something of that name.
fn free_name(taken: &[Vec<u8>]) -> String {
    let mut name = STAGING.to_owned();
    while taken.iter().any(|other| other == name.as_bytes()) {
        name.push('+');
    }
    name
}
