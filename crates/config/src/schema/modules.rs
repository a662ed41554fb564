//! `modules`. Of the keys that are specs, none is parsed here.

use super::{Fields, PROJECTIONS, Shape, TEXTS, closed, each, open};

const DEPENDENCIES: Shape = Shape::Word(&["none", "run", "direct", "all"]);
const INSPECTIONS: Shape = Shape::Mapping(&each(&TEXTS));

/// What is said of some packages.
const PACKAGES: Shape = Shape::Mapping(&closed(&[
    ("filter", &Shape::Mapping(&closed(&[("exclude_env_vars", &TEXTS)]))),
    ("template", &Shape::Text),
    ("autoload", &DEPENDENCIES),
    ("prerequisites", &DEPENDENCIES),
    ("conflict", &TEXTS),
    ("load", &TEXTS),
    ("suffixes", &Shape::Mapping(&each(&Shape::Text))),
    ("environment", &Shape::Any),
]));

/// `tcl` and `lmod`.
const SYSTEM: Fields = Fields {
    known: &[
        ("verbose", &Shape::Flag),
        ("hash_length", &Shape::Integer(0)),
        ("include", &TEXTS),
        ("exclude", &TEXTS),
        ("exclude_implicits", &Shape::Flag),
        ("defaults", &TEXTS),
        ("hide_implicits", &Shape::Flag),
        ("naming_scheme", &Shape::Text),
        ("projections", &PROJECTIONS),
        ("all", &PACKAGES),
        ("core_compilers", &TEXTS),
        ("hierarchy", &TEXTS),
        ("core_specs", &TEXTS),
        ("filter_hierarchy_specs", &Shape::Mapping(&each(&TEXTS))),
    ],
    others: Some(&PACKAGES),
    required: &[],
    one_of: &[],
};

const SET: Shape = Shape::Mapping(&closed(&[
    ("use_view", &Shape::Either(&[Shape::Text, Shape::Flag])),
    ("arch_folder", &Shape::Flag),
    ("roots", &Shape::Mapping(&open(&[("tcl", &Shape::Text), ("lmod", &Shape::Text)]))),
    ("enable", &Shape::List(&Shape::Word(&["tcl", "lmod"]))),
    ("lmod", &Shape::Mapping(&SYSTEM)),
    ("tcl", &Shape::Mapping(&SYSTEM)),
    ("prefix_inspections", &INSPECTIONS),
]));

/// What the section may hold: sets of modules by name.
pub(super) const SHAPE: Shape = Shape::Mapping(&Fields {
    known: &[("prefix_inspections", &INSPECTIONS)],
    others: Some(&SET),
    required: &[],
    one_of: &[],
});
