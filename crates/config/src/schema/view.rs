//! `view`.

use super::{Fields, PROJECTIONS, Shape, TEXTS, each};

const VIEW: Fields = Fields {
    known: &[
        ("root", &Shape::Text),
        ("link", &Shape::Word(&["roots", "all", "run"])),
        ("link_type", &Shape::Word(&["symlink", "hardlink", "copy"])),
        ("select", &TEXTS),
        ("exclude", &TEXTS),
        ("projections", &PROJECTIONS),
    ],
    others: None,
    required: &["root"],
    one_of: &[],
};

/// What the section may hold.
pub(super) const SHAPE: Shape =
    Shape::Either(&[Shape::Flag, Shape::Text, Shape::Mapping(&each(&Shape::Mapping(&VIEW)))]);
