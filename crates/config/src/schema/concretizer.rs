//! `concretizer`.

use super::{Fields, Shape, TEXTS, closed, each, open};

const REUSE: Shape = Shape::Mapping(&open(&[
    ("roots", &Shape::Flag),
    ("include", &TEXTS),
    ("exclude", &TEXTS),
    (
        "from",
        &Shape::List(&Shape::Mapping(&open(&[
            ("type", &Shape::Word(&["local", "buildcache", "external", "environment"])),
            ("path", &Shape::Text),
            ("include", &TEXTS),
            ("exclude", &TEXTS),
        ]))),
    ),
]));

const SPLICE: Fields = Fields {
    known: &[("target", &Shape::Text), ("replacement", &Shape::Text), ("transitive", &Shape::Flag)],
    others: None,
    required: &["target", "replacement"],
    one_of: &[],
};

/// What the section may hold.
pub(super) const SHAPE: Shape = Shape::Mapping(&closed(&[
    ("force", &Shape::Flag),
    ("reuse", &Shape::Either(&[Shape::Flag, Shape::Word(&["dependencies"]), REUSE])),
    (
        "targets",
        &Shape::Mapping(&open(&[
            ("host_compatible", &Shape::Flag),
            ("granularity", &Shape::Word(&["generic", "microarchitectures"])),
        ])),
    ),
    ("unify", &Shape::Either(&[Shape::Flag, Shape::Word(&["when_possible"])])),
    ("compiler_mixing", &Shape::Either(&[Shape::Flag, Shape::List(&Shape::Any)])),
    (
        "splice",
        &Shape::Mapping(&closed(&[
            ("explicit", &Shape::List(&Shape::Mapping(&SPLICE))),
            ("automatic", &Shape::Flag),
        ])),
    ),
    (
        "duplicates",
        &Shape::Mapping(&open(&[
            ("strategy", &Shape::Word(&["none", "minimal", "full"])),
            ("max_dupes", &Shape::Mapping(&each(&Shape::Integer(1)))),
        ])),
    ),
    ("static_analysis", &Shape::Flag),
    ("timeout", &Shape::Integer(0)),
    ("error_on_timeout", &Shape::Flag),
    ("os_compatible", &Shape::Mapping(&each(&Shape::List(&Shape::Any)))),
    (
        "concretization_cache",
        &Shape::Mapping(&open(&[
            ("enable", &Shape::Flag),
            ("url", &Shape::Text),
            ("entry_limit", &Shape::Integer(0)),
        ])),
    ),
    (
        "externals",
        &Shape::Mapping(&open(&[("completion", &Shape::Word(&["architecture_only", "default_variants"]))])),
    ),
]));
