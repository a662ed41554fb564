//! `packages`.

use super::{Fields, Shape, TEXTS, closed, each, open};

const WHO: Shape = Shape::Word(&["user", "group", "world"]);
const PERMISSIONS: Shape =
    Shape::Mapping(&closed(&[("read", &WHO), ("write", &WHO), ("group", &Shape::Text)]));
const VARIANTS: Shape = Shape::Either(&[Shape::Text, TEXTS]);

const REQUIREMENT: Shape = Shape::Either(&[
    Shape::Mapping(&closed(&[
        ("one_of", &TEXTS),
        ("any_of", &TEXTS),
        ("spec", &Shape::Text),
        ("message", &Shape::Text),
        ("when", &Shape::Text),
    ])),
    Shape::Text,
]);
const REQUIREMENTS: Shape = Shape::Either(&[Shape::List(&REQUIREMENT), Shape::Text]);
const WISHES: Shape = Shape::List(&Shape::Either(&[
    Shape::Mapping(&closed(&[("spec", &Shape::Text), ("message", &Shape::Text), ("when", &Shape::Text)])),
    Shape::Text,
]));
const ATTRIBUTES: Shape = Shape::Mapping(&open(&[]));

const ALL: Shape = Shape::Mapping(&closed(&[
    ("require", &REQUIREMENTS),
    ("prefer", &WISHES),
    ("conflict", &WISHES),
    ("target", &TEXTS),
    ("compiler", &TEXTS),
    ("buildable", &Shape::Flag),
    ("permissions", &PERMISSIONS),
    ("package_attributes", &ATTRIBUTES),
    ("providers", &Shape::Mapping(&each(&TEXTS))),
    ("variants", &VARIANTS),
]));

const EXTERNAL: Fields = Fields {
    known: &[
        ("spec", &Shape::Text),
        ("prefix", &Shape::Text),
        ("modules", &TEXTS),
        ("id", &Shape::Text),
        ("extra_attributes", &Shape::Mapping(&open(&[]))),
        (
            "dependencies",
            &Shape::List(&Shape::Mapping(&open(&[
                ("id", &Shape::Text),
                ("spec", &Shape::Text),
                ("deptypes", &VARIANTS),
                ("virtuals", &Shape::Text),
            ]))),
        ),
    ],
    others: None,
    required: &["spec"],
    one_of: &[],
};

const PACKAGE: Shape = Shape::Mapping(&closed(&[
    ("require", &REQUIREMENTS),
    ("prefer", &WISHES),
    ("conflict", &WISHES),
    ("version", &Shape::List(&Shape::Either(&[Shape::Text, Shape::Number]))),
    ("buildable", &Shape::Flag),
    ("permissions", &PERMISSIONS),
    ("package_attributes", &ATTRIBUTES),
    ("variants", &VARIANTS),
    ("externals", &Shape::List(&Shape::Mapping(&EXTERNAL))),
]));

/// What the section may hold.
pub(super) const SHAPE: Shape =
    Shape::Mapping(&Fields { known: &[("all", &ALL)], others: Some(&PACKAGE), required: &[], one_of: &[] });
