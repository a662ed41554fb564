//! What a user asks for: a spec that leaves things open.
//!
//! The types are here; how a spec is read is in [`parse`](crate::parse), how it is written in `display`, what happens when
//! two are to hold together in `merge`. Whether a concrete spec is one that is asked for is
//! [`matching`](crate::matching)'s matter.

mod display;
mod merge;
mod satisfies;

pub use merge::Contradiction;

use crate::dag::DependencyTypes;
use crate::node::Node;
use crate::parse::SpecSyntaxError;
use crate::version::VersionList;
use std::collections::BTreeMap;
use std::str::FromStr;

/// An abstract spec: one node and its constraints, and what is asked of its dependencies.
///
/// [`Display`](std::fmt::Display) writes Spack's canonical form; [`FromStr`] reads the language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AbstractSpec {
    /// Package name, or name of a virtual package; none for an anonymous spec.
    pub name: Option<String>,
    /// Namespace of the recipe.
    pub namespace: Option<String>,
    /// What follows `@`.
    pub versions: VersionList,
    /// Variants by name.
    pub variants: BTreeMap<String, VariantConstraint>,
    /// Compiler flags by kind (`cflags`, …).
    pub flags: BTreeMap<String, Vec<CompilerFlag>>,
    /// Platform, operating system and target.
    pub architecture: ArchitectureConstraint,
    /// What follows `/`: the start of a DAG hash, unchecked.
    pub hash: Option<String>,
    /// What follows `^` and `%`.
    pub dependencies: Vec<DependencyConstraint>,
}

/// What is asked of one variant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VariantConstraint {
    /// The value asked for.
    pub value: VariantValue,
    /// `++`, `~~`, `==`: of the dependencies that have it, too.
    pub propagate: bool,
}

/// The value of a variant in an abstract spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VariantValue {
    /// `+shared`, `~shared`, `shared=true`.
    Bool(bool),
    /// `libs=shared,static`: these values and perhaps more. Sorted, each once.
    AtLeast(Vec<String>),
    /// `libs:=shared`: these values and no others. Sorted, each once.
    Exactly(Vec<String>),
    /// `libs=*`: any value.
    Any,
}

/// One compiler flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompilerFlag {
    /// The flag, `-O2`.
    pub flag: String,
    /// `cflags==-O2`.
    pub propagate: bool,
}

/// What is asked of the architecture. Each may be `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArchitectureConstraint {
    /// `linux`
    pub platform: Option<String>,
    /// `debian12`
    pub os: Option<String>,
    /// `x86_64_v3`, `x86_64:x86_64_v3`, `haswell,zen2:`: as written.
    pub target: Option<String>,
}

/// What follows one `^` or `%`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DependencyConstraint {
    /// What is asked of the dependency; direct dependencies of its own included.
    pub spec: AbstractSpec,
    /// `%`: a direct dependency; `^`: anywhere below.
    pub direct: bool,
    /// `%%`: dependencies prefer it, too.
    pub propagate: bool,
    /// `deptypes=`; empty asks nothing.
    pub types: DependencyTypes,
    /// `virtuals=`, or what precedes `=` in `^mpi=openmpi`.
    pub virtuals: Vec<String>,
    /// `when=`: only asked if the parent is like this.
    pub when: Option<Box<AbstractSpec>>,
}

impl AbstractSpec {
    /// The one concrete spec that `node` is.
    pub fn of_hash(node: &Node) -> Self {
        Self { name: Some(node.name.clone()), hash: Some(node.hash.as_str().to_owned()), ..Self::default() }
    }

    /// Reads the specs of a command line, as Spack does: the words belong together, `python ^zlib` given as two words is one
    /// spec, and a word with blanks in the value of a variant or flag is quoted for the reader.
    ///
    /// # Errors
    /// With the character at which the language was left, and what was expected there.
    pub fn parse_arguments(arguments: &[String]) -> Result<Vec<Self>, SpecSyntaxError> {
        crate::parse::arguments(arguments)
    }

    /// Reads all specs of a text: `zlib@1.3 curl ^openssl` are two.
    ///
    /// # Errors
    /// With the character at which the language was left, and what was expected there.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, SpecSyntaxError> {
        crate::parse::all(text)
    }

    /// What was perhaps meant by a spec that is correct and yet looks like a slip: `zlib=1.2` asks for any package with a
    /// variant `zlib`. For hints where nothing was found.
    pub fn perhaps_meant(&self) -> Option<String> {
        let (name, variant) = self.variants.iter().next().filter(|_| self.variants.len() == 1)?;
        let (VariantValue::AtLeast(values) | VariantValue::Exactly(values)) = &variant.value else {
            return None;
        };
        let is_version = |value: &String| value.starts_with(|c: char| c.is_ascii_digit());
        let version = values.iter().find(|value| is_version(value)).filter(|_| self.name.is_none())?;
        Some(format!("{name}@{version}"))
    }
}

impl AbstractSpec {
    /// Puts dependencies and flags in the order in which they are written, so that specs that say the same are equal.
    pub(crate) fn put_in_order(&mut self) {
        for flags in self.flags.values_mut() {
            flags.sort_by_key(|flag| flag.propagate);
        }
        self.dependencies.sort_by(|one, other| one.place().cmp(&other.place()));
        for edge in &mut self.dependencies {
            edge.spec.put_in_order();
        }
    }
}

impl DependencyConstraint {
    /// Where it is written: direct ones first, then by name, then by types.
    fn place(&self) -> (bool, Option<&str>, u8) {
        (!self.direct, self.spec.name.as_deref(), crate::parse::names::type_rank(self.types))
    }
}

impl FromStr for AbstractSpec {
    type Err = SpecSyntaxError;

    /// Reads exactly one spec; an empty text is the spec that every package satisfies.
    fn from_str(text: &str) -> Result<Self, SpecSyntaxError> {
        crate::parse::one(text)
    }
}
