//! `mirrors`.

use super::{Fields, Shape, each};

const TEXT_OR_NOTHING: Shape = Shape::Either(&[Shape::Text, Shape::Null]);
/// `[id, secret]`, which Spack took until 1.0, is still read here: see [`AccessPair`](crate::AccessPair).
const ACCESS_PAIR: Shape = Shape::Either(&[
    Shape::Mapping(&Fields {
        known: &[("id", &Shape::Text), ("id_variable", &Shape::Text), ("secret_variable", &Shape::Text)],
        others: Some(&Shape::Any),
        required: &["secret_variable"],
        one_of: &["id", "id_variable"],
    }),
    Shape::List(&Shape::Any),
    Shape::Null,
]);

const DIRECTION: Shape = Shape::Either(&[
    Shape::Text,
    Shape::Mapping(&super::closed(&[
        ("url", &Shape::Text),
        ("view", &Shape::Text),
        ("access_pair", &ACCESS_PAIR),
        ("access_token", &TEXT_OR_NOTHING),
        ("profile", &TEXT_OR_NOTHING),
        ("endpoint_url", &TEXT_OR_NOTHING),
        ("access_token_variable", &TEXT_OR_NOTHING),
    ])),
]);

const ENTRY: Fields = Fields {
    known: &[
        ("source", &Shape::Flag),
        ("binary", &Shape::Flag),
        ("signed", &Shape::Flag),
        ("fetch", &DIRECTION),
        ("push", &DIRECTION),
        ("autopush", &Shape::Flag),
        ("url", &Shape::Text),
        ("view", &Shape::Text),
        ("access_pair", &ACCESS_PAIR),
        ("access_token", &TEXT_OR_NOTHING),
        ("profile", &TEXT_OR_NOTHING),
        ("endpoint_url", &TEXT_OR_NOTHING),
        ("access_token_variable", &TEXT_OR_NOTHING),
    ],
    others: None,
    required: &[],
    // An entry with `push` alone is refused by Spack, and is good to push to.
    one_of: &["url", "fetch", "push"],
};

/// What the section may hold.
pub(super) const SHAPE: Shape = Shape::Mapping(&each(&Shape::Either(&[Shape::Text, Shape::Mapping(&ENTRY)])));
