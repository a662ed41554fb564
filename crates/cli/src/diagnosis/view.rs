//! Failures that are about views.

use super::{KIND_DISK, KIND_USAGE, Kind, system_kind};
use strata_ops::Error;
use strata_store::ViewError;

/// What kind of failure it is.
pub(super) fn kind(error: &Error) -> Kind {
    match error {
        Error::View(view @ ViewError::Io { .. }) => system_kind(view).unwrap_or(KIND_DISK),
        _ => KIND_USAGE,
    }
}

/// What to do about it.
pub(super) fn hint(error: &Error) -> Option<&'static str> {
    let hint = match error {
        Error::View(ViewError::Foreign { .. }) => {
            "move it away, or give the view another place: `strata env view enable PATH`"
        }
        Error::View(ViewError::Blocked { .. }) => {
            "leave one of the packages out with `exclude`, or give them directories of their own with `projections`"
        }
        Error::View(ViewError::OtherFileSystem { .. }) => {
            "use `link_type: symlink` or `copy`, or put the view on the file system of the store"
        }
        Error::SameProjection { .. } => {
            "let the environment have one of them only (`concretizer:unify:true`), give them directories of their own \
             (`projections: {all: '{name}/{version}-{hash:7}'}`), leave one out (`exclude`), or have no view \
             (`strata env view disable`)"
        }
        Error::ViewSpec { .. } | Error::ViewProjection { .. } => {
            "change `view` in the spack.yaml of the environment"
        }
        _ => return None,
    };
    Some(hint)
}
