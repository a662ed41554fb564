//! Words of the language that stand for others, and the order of dependency types.

use crate::dag::DependencyTypes;

/// Compilers that are written by an older name after `%`, and their packages.
const LEGACY_COMPILERS: [(&str, &str); 5] = [
    ("clang", "llvm"),
    ("oneapi", "intel-oneapi-compilers"),
    ("rocmcc", "llvm-amdgpu"),
    ("intel", "intel-oneapi-compilers-classic"),
    ("arm", "acfl"),
];

/// The package that `name` means after `%`.
pub(super) fn compiler_package(name: &str) -> &str {
    LEGACY_COMPILERS.iter().find(|(legacy, _)| *legacy == name).map_or(name, |(_, package)| package)
}

/// How the package is written after `%`.
pub(crate) fn legacy_compiler(package: &str) -> &str {
    LEGACY_COMPILERS.iter().find(|(_, of)| *of == package).map_or(package, |(legacy, _)| legacy)
}

/// Kinds of compiler flags.
pub(super) const FLAG_KINDS: [&str; 6] = ["cflags", "cxxflags", "fflags", "ldflags", "ldlibs", "cppflags"];

/// Names that cannot be propagated: what is not a variant, and variants that only the package itself can have.
pub(super) const RESERVED: [&str; 13] = [
    "arch",
    "architecture",
    "branch",
    "commit",
    "dev_path",
    "namespace",
    "operating_system",
    "os",
    "patches",
    "platform",
    "ref",
    "tag",
    "target",
];

/// Edges to one package are kept in this order: link, run, build, test.
pub(crate) fn type_rank(types: DependencyTypes) -> u8 {
    let ranks = [DependencyTypes::LINK, DependencyTypes::RUN, DependencyTypes::BUILD, DependencyTypes::TEST];
    ranks.iter().enumerate().map(|(rank, one)| u8::from(one.intersects(types)) << rank).sum()
}

/// The type of that name.
pub(super) fn dependency_type(name: &str) -> Option<DependencyTypes> {
    match name {
        "build" => Some(DependencyTypes::BUILD),
        "link" => Some(DependencyTypes::LINK),
        "run" => Some(DependencyTypes::RUN),
        "test" => Some(DependencyTypes::TEST),
        _ => None,
    }
}

/// Whether one package can have two edges of these types to packages of one name: a build-only one beside another.
pub(super) fn can_coexist(one: DependencyTypes, other: DependencyTypes) -> bool {
    let both_at_run_time =
        one.intersects(DependencyTypes::RUNTIME) && other.intersects(DependencyTypes::RUNTIME);
    !one.intersects(other) && !both_at_run_time
}

/// Whether it is a letter, digit, `_` or `-`, not beginning with `-`.
pub(crate) fn is_identifier(text: &str) -> bool {
    let accepted = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(accepted)
}
