//! `include`.

use super::{Fields, Shape, TEXTS};

const PATH: Fields = Fields {
    known: &[
        ("when", &Shape::Text),
        ("name", &Shape::Text),
        ("path_override_env_var", &Shape::Text),
        ("path", &Shape::Text),
        ("sha256", &Shape::Text),
        ("optional", &Shape::Flag),
        ("prefer_modify", &Shape::Flag),
        ("git", &Shape::Text),
        ("branch", &Shape::Text),
        ("commit", &Shape::Text),
        ("tag", &Shape::Text),
        ("paths", &TEXTS),
    ],
    others: None,
    required: &[],
    one_of: &["path", "git"],
};

/// What the section may hold.
pub(super) const SHAPE: Shape = Shape::List(&Shape::Either(&[Shape::Text, Shape::Mapping(&PATH)]));
