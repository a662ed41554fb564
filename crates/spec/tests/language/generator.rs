//! Specs of the whole language, at random: every text made here can be read.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::collections::BTreeMap;
use strata_spec::version::Version;

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    select(words).prop_map(str::to_owned)
}

/// A word in every spelling that the language allows for it.
fn release() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[0-9]{1,3}([._-]?([0-9]{1,3}|[a-z]{1,3}|rc|alpha|beta)){0,3}",
        1 => one_of(&["develop", "main", "master", "stable", "0x1f", "v1.2", "1.2-rc1", "01.02", "99999999999999999999"]),
    ]
}

fn version_item() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => release(),
        2 => release().prop_map(|version| format!("={version}")),
        1 => release().prop_map(|low| format!("{low}:")),
        1 => release().prop_map(|high| format!(":{high}")),
        2 => (release(), release()).prop_map(|(one, other)| {
            let (low, high): (Version, Version) = (one.parse().unwrap(), other.parse().unwrap());
            if low <= high { format!("{low}:{high}") } else { format!("{high}:{low}") }
        }),
    ]
}

fn versions() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => vec(version_item(), 1..4).prop_map(|items| format!("@{}", items.join(","))),
        1 => release().prop_map(|version| format!("@git.feature/branch-1={version}")),
        1 => "@git\\.[a-z][a-z0-9./-]{0,8}[a-z]",
        1 => "@[0-9a-f]{40}",
        1 => ("[0-9a-f]{40}", release()).prop_map(|(commit, version)| format!("@{commit}={version}")),
    ]
}

/// A value between quotes, or without them where that can be.
fn value() -> impl Strategy<Value = String> {
    let quoted = |quote: char| {
        let text = "[ -~é…]{0,12}".prop_filter("a backslash escapes the quote", |text| !text.ends_with('\\'));
        text.prop_map(move |text| format!("{quote}{}{quote}", text.replace(quote, &format!("\\{quote}"))))
    };
    let without_star = |value: &String| !value.trim_matches(['\'', '"']).split(',').any(|item| item == "*");
    let any = prop_oneof![
        4 => "[a-zA-Z0-9_./-]{1,8}(,[a-z0-9]{1,4}){0,2}",
        2 => "[a-zA-Z0-9_+*.,:%^~/\\\\-][a-zA-Z0-9_+*.,:=%^~/\\\\-]{0,7}",
        1 => quoted('\''),
        1 => quoted('"'),
    ];
    prop_oneof![6 => any.prop_filter("a star stands alone", without_star), 1 => Just("*".to_owned())]
}

fn sign() -> impl Strategy<Value = String> {
    one_of(&["=", "=", ":=", "==", ":=="])
}

/// Variants, each name once.
fn variants() -> impl Strategy<Value = Vec<String>> {
    let switch = one_of(&[" +", " ~", " -", " ++", " ~~", " --", " + ", " ~ "]);
    let variant = prop_oneof![
        switch.prop_map(|sigil| (sigil, String::new())),
        (sign(), value()).prop_map(|(sign, value)| (String::new(), format!("{sign}{value}"))),
    ];
    btree_map("[a-z][a-z0-9_.-]{0,5}[a-z0-9]", variant, 0..4).prop_map(|variants| {
        let is_free =
            |name: &str| !["os", "target", "arch", "ref", "tag", "commit", "platform"].contains(&name);
        let written = |(name, (sigil, value)): (String, (String, String))| match sigil.as_str() {
            "" => format!(" {name}{value}"),
            sigil => format!("{sigil}{name}"),
        };
        variants.into_iter().filter(|(name, _)| is_free(name)).map(written).collect()
    })
}

fn flags() -> impl Strategy<Value = Vec<String>> {
    let kinds = vec!["cflags", "cxxflags", "fflags", "ldflags", "ldlibs", "cppflags"];
    let flag = one_of(&["-O2", "-g", "-Wl,-s", "-isystem /include", "-DX=\\\"a b\\\"", "-march=x86-64-v2"]);
    let value = vec(flag, 1..4).prop_map(|flags| format!("\"{}\"", flags.join("  ")));
    let setting = (select(kinds), one_of(&["=", "=="]), value);
    vec(setting.prop_map(|(kind, sign, value)| format!(" {kind}{sign}{value}")), 0..3)
}

fn architecture() -> impl Strategy<Value = Vec<String>> {
    let targets = ["x86_64", "x86_64_v2:", ":zen2", "haswell:skylake", "zen2,x86_64_v3:", "*", "unheard_of"];
    let parts = (
        option::of(one_of(&[" platform=linux", " platform=*"])),
        option::of(one_of(&[" os=debian12", " operating_system=ubuntu22.04"])),
        option::of(select(targets.to_vec()).prop_map(|target| format!(" target={target}"))),
    );
    prop_oneof![
        8 => parts.prop_map(|(platform, os, target)| [platform, os, target].into_iter().flatten().collect()),
        1 => Just(vec![" arch=linux-debian12-zen3".to_owned()]),
    ]
}

/// What may follow a name, in any order.
fn attributes() -> impl Strategy<Value = String> {
    let hash = option::of("[ ]?/[a-z2-7]{1,32}");
    (option::weighted(0.4, versions()), variants(), flags(), architecture(), hash)
        .prop_map(|(versions, variants, flags, architecture, hash)| {
            // A reference to a branch may have slashes in it, and so swallows a hash.
            let versions = versions.map(|versions| format!(" {versions} "));
            let hash = hash.map(|hash| format!(" {hash}"));
            [versions.into_iter().collect(), variants, flags, architecture, hash.into_iter().collect()]
                .concat()
        })
        .prop_flat_map(|parts| {
            let count = parts.len();
            (subsequence(parts, 0..=count)).prop_shuffle().prop_map(|parts| parts.concat())
        })
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-z][a-z0-9]{0,4}(-[a-z0-9]{1,3})?",
        1 => one_of(&["gcc", "clang", "oneapi", "zlib_ng", "7zip", "Zlib"]),
    ]
}

fn virtuals() -> impl Strategy<Value = String> {
    btree_set(one_of(&["c", "cxx", "fortran", "mpi", "zlib-api"]), 1..3)
        .prop_map(|names| names.into_iter().collect::<Vec<_>>().join(","))
}

/// `deptypes=`, `virtuals=` and `when=` between brackets.
fn edge_attributes() -> impl Strategy<Value = String> {
    let types = subsequence(vec!["build", "link", "run", "test"], 1..4);
    let types = types.prop_map(|types| format!("deptypes={}", types.join(",")));
    let condition = one_of(&[
        "when=+x",
        "when='@1.2: ~y'",
        "when=\"os=linux cflags='-O2 -g' +x\"",
        "when='^b %c=gcc'",
        "when=\"foo='a b'\"",
        "when=\"^[when='+deep'] b\"",
        "when=*",
    ]);
    let virtuals = virtuals().prop_map(|names| format!("virtuals={names}"));
    (option::of(types), option::of(virtuals), option::of(condition)).prop_map(
        |(types, virtuals, condition)| {
            let attributes: Vec<String> = [types, virtuals, condition].into_iter().flatten().collect();
            format!("[{}]", attributes.join(" "))
        },
    )
}

/// One dependency after its sigil: attributes of the edge, and a node.
fn dependency(prefix: &'static str) -> impl Strategy<Value = (String, String)> {
    let named = (option::weighted(0.3, virtuals()), name(), attributes()).prop_map(
        move |(virtuals, name, attributes)| {
            let virtuals = virtuals.map(|names| format!("{names}=")).unwrap_or_default();
            (name.clone(), format!("{virtuals}{prefix}{name}{attributes}"))
        },
    );
    let anonymous = attributes().prop_map(|attributes| (String::new(), format!("*{attributes}")));
    let node = prop_oneof![9 => named, 1 => anonymous];
    (option::weighted(0.3, edge_attributes()), node).prop_map(|(edge, (name, node))| {
        // Two nameless dependencies of one type exclude each other.
        let edge = edge.filter(|edge| !name.is_empty() || !edge.contains("deptypes")).unwrap_or_default();
        (name, format!("{edge} {node}"))
    })
}

/// Dependencies of one parent, each name once, except where the second says the very same.
///
/// The prefix keeps names that follow `^` apart from those that follow `%`.
fn dependencies(sigils: &'static [&'static str], prefix: &'static str) -> impl Strategy<Value = Vec<String>> {
    let several = vec((one_of(sigils), dependency(prefix), any::<bool>()), 0..3);
    several.prop_map(|found| {
        let mut by_name = BTreeMap::new();
        for (sigil, (name, text), again) in found {
            by_name.entry(name).or_insert_with(|| {
                let once = format!(" {sigil}{text}");
                if again && !text.contains("deptypes") { once.repeat(2) } else { once }
            });
        }
        by_name.into_values().collect()
    })
}

/// A spec with dependencies, and these with direct ones of their own.
pub(crate) fn spec() -> impl Strategy<Value = String> {
    let root = prop_oneof![9 => name(), 1 => Just("*".to_owned())];
    let transitive = (dependencies(&["^"], "below-"), dependencies(&["%", "%%"], ""));
    (root, attributes(), dependencies(&["%", "%%"], ""), transitive).prop_map(
        |(root, attributes, direct, (transitive, below))| {
            let below = if transitive.is_empty() { Vec::new() } else { below };
            [vec![root, attributes], direct, transitive, below].concat().concat()
        },
    )
}
