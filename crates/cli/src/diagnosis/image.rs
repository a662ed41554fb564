//! What kind of failure it is that an image cannot be made, and what to do about it.

use super::{
    KIND_CORRUPT, KIND_FAILED, KIND_NOT_FOUND, KIND_TRY_AGAIN, KIND_USAGE, Kind, layer_kind, system_kind,
};
use strata_layer::merge::MergeError;
use strata_layer::unpack::UnpackError;
use strata_ops::image::ImageError;
use strata_ops::image::archive::ArchiveError;

/// What kind of failure it is.
pub(super) fn kind(error: &ImageError) -> Kind {
    match error {
        ImageError::Incomplete { .. } => KIND_NOT_FOUND,
        ImageError::ViewRoot { .. }
        | ImageError::NoRoomForLayers { .. }
        | ImageError::TooFewLayers { .. }
        | ImageError::SeveralArchitectures { .. }
        | ImageError::BadBase { .. }
        | ImageError::BaseLibc { .. }
        | ImageError::BaseWithoutLibc { .. }
        | ImageError::VariableTooLong { .. }
        | ImageError::PackageTag { .. }
        | ImageError::SamePlatform { .. }
        | ImageError::SameImagePlatform { .. }
        | ImageError::MixedFamilies(_)
        | ImageError::NoPlatform { .. }
        | ImageError::NoImage { .. }
        | ImageError::NestedIndex { .. }
        | ImageError::NothingLeft { .. }
        | ImageError::NoPrefix { .. } => KIND_USAGE,
        ImageError::Archive { source, .. } if matches!(**source, ArchiveError::Name { .. }) => KIND_USAGE,
        ImageError::Archive { .. } => system_kind(error).unwrap_or(KIND_CORRUPT),
        ImageError::IndexContended { .. } => KIND_TRY_AGAIN,
        ImageError::ImageNotTagged { .. } => KIND_FAILED,
        ImageError::UnreadableLayer { source, .. }
        | ImageError::Merge {
            source: MergeError::Layer { source: UnpackError::Read { source }, .. }, ..
        } => layer_kind(source),
        ImageError::Merge { .. } => system_kind(error).unwrap_or(KIND_CORRUPT),
    }
}

/// What to do about it, where there is something to do that the message does not say; none is for its kind to tell.
pub(super) fn hint(error: &ImageError) -> Option<String> {
    let hint = match error {
        ImageError::NoRoomForLayers { .. } => {
            "ask for fewer layers with --max-layers, or leave it out; or take a base that has fewer"
        }
        ImageError::TooFewLayers { least, .. } => {
            return Some(format!("ask for more: --max-layers {least}"));
        }
        ImageError::BaseLibc { .. } => {
            "take a base that is as new as the machine the packages were built on; --no-libc-check puts them on this one \
             all the same"
        }
        ImageError::BaseWithoutLibc { .. } => {
            "take a base with a C library, such as debian or ubuntu; --no-libc-check is for packages that bring their own"
        }
        ImageError::Incomplete { .. } => {
            "push what is missing, or make the image without it with --allow-incomplete"
        }
        ImageError::VariableTooLong { .. } => {
            "make an image of fewer packages, or one with a view: `strata image build --view DIR`"
        }
        ImageError::SamePlatform { .. } => "name one of them: what is built for the older one runs on both",
        ImageError::SameImagePlatform { .. } => "add one of them",
        ImageError::MixedFamilies(_) => {
            "convert one of them, such as with `skopeo copy --format oci`; or make an index of its own for it"
        }
        ImageError::IndexContended { .. } => "do the same again: what is there already stays",
        ImageError::NothingLeft { .. } => "delete the tag instead",
        ImageError::NoPrefix { .. } => "push the package again with --force",
        ImageError::PackageTag { .. } => "choose a tag that does not end in .spack",
        ImageError::ImageNotTagged { .. } => "what was pushed is in the cache: push again once they can be",
        ImageError::ViewRoot { .. } => "name a directory of its own, such as /opt/view",
        _ => return None,
    };
    Some(hint.to_owned())
}
