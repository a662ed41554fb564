//! `config`.

use super::{PROJECTIONS, Shape, TEXTS, each, open};

const LINKING: Shape = Shape::Word(&["rpath", "runpath"]);

/// What the section may hold. Keys that are not known are let through, as Spack does.
pub(super) const SHAPE: Shape = Shape::Mapping(&open(&[
    ("flags", &Shape::Mapping(&open(&[("keep_werror", &Shape::Word(&["all", "specific", "none"]))]))),
    (
        "shared_linking",
        &Shape::Either(&[
            LINKING,
            Shape::Mapping(&open(&[
                ("type", &LINKING),
                ("bind", &Shape::Flag),
                ("missing_library_policy", &Shape::Word(&["error", "warn", "ignore"])),
            ])),
        ]),
    ),
    (
        "install_tree",
        &Shape::Either(&[
            Shape::Mapping(&open(&[
                ("root", &Shape::Text),
                ("padded_length", &Shape::Either(&[Shape::Integer(0), Shape::Flag])),
                ("projections", &PROJECTIONS),
            ])),
            // As it was written before there was more to say; today's Spack refuses it.
            Shape::Text,
        ]),
    ),
    ("install_hash_length", &Shape::Integer(1)),
    ("build_stage", &Shape::Either(&[Shape::Text, TEXTS])),
    ("stage_name", &Shape::Text),
    ("develop_stage_link", &Shape::Text),
    ("test_stage", &Shape::Text),
    ("extensions", &TEXTS),
    ("template_dirs", &TEXTS),
    ("license_dir", &Shape::Text),
    ("source_cache", &Shape::Text),
    ("misc_cache", &Shape::Text),
    ("environments_root", &Shape::Text),
    ("connect_timeout", &Shape::Integer(0)),
    ("verify_ssl", &Shape::Flag),
    ("ssl_certs", &Shape::Text),
    ("suppress_gpg_warnings", &Shape::Flag),
    ("debug", &Shape::Flag),
    ("checksum", &Shape::Flag),
    ("deprecated", &Shape::Flag),
    ("locks", &Shape::Flag),
    ("dirty", &Shape::Flag),
    ("build_language", &Shape::Text),
    ("build_jobs", &Shape::Integer(1)),
    ("concurrent_packages", &Shape::Integer(0)),
    ("ccache", &Shape::Flag),
    ("db_lock_timeout", &Shape::Integer(1)),
    ("package_lock_timeout", &Shape::Either(&[Shape::Integer(1), Shape::Null])),
    ("allow_sgid", &Shape::Flag),
    ("install_status", &Shape::Flag),
    ("url_fetch_method", &Shape::Either(&[Shape::Word(&["urllib", "curl"]), Shape::Start("curl ")])),
    ("additional_external_search_paths", &TEXTS),
    ("binary_index_ttl", &Shape::Integer(0)),
    ("aliases", &Shape::Mapping(&each(&Shape::Text))),
    ("installer", &Shape::Word(&["old", "new"])),
]));
