//! Whether a concrete spec is one that an abstract spec asks for, and if not, why not.
//!
//! The rules are those of Spack's `Spec.satisfies` with a concrete left side and its builtin recipes at hand, odd ones included.
//! What is asked of a node itself is in `node`, what is asked of its dependencies in `dependencies`, what is known of
//! virtual packages in `virtuals`; `question` asks the same of many nodes, `reason` puts a failure into words.

mod dependencies;
mod node;
mod question;
mod reason;
pub(crate) mod virtuals;
pub(crate) mod visit;

pub use question::Question;
pub use virtuals::known_providers;

use crate::abstract_spec::AbstractSpec;
use crate::catalog::NodeRef;
use node::Own;
use serde::Serialize;

/// The first constraint that a concrete spec does not meet. Its text is a clause for people: `version 1.2.13, asked for
/// @1.3:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Which kind of constraint it is.
    pub constraint: Constraint,
    /// What was asked for, as a spec of its own: `zlib@1.3:`, `+shared`, `^openssl@3`.
    pub wanted: String,
    /// What the concrete spec has instead: `1.2.13`, `~shared`; none if it has nothing of the kind. Of a dependency, the
    /// nearest candidate.
    pub found: Option<String>,
    /// What that candidate lacks, if `found` does not show it.
    pub because: Option<Box<Mismatch>>,
}

/// Kinds of constraints, in the order in which they are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Constraint {
    /// Another DAG hash.
    Hash,
    /// Another package.
    Name,
    /// From another repository of recipes.
    Namespace,
    /// Another version.
    Version,
    /// Another value of a variant, or no such variant.
    Variant,
    /// Another platform.
    Platform,
    /// Another operating system.
    Os,
    /// Another target.
    Target,
    /// Other compiler flags.
    Flags,
    /// A dependency is missing or not as asked for.
    Dependency,
}

/// Whether `node` is one that `spec` asks for: Spack's `Spec.satisfies` with a concrete left side.
pub fn satisfies(node: NodeRef<'_>, spec: &AbstractSpec) -> bool {
    match node::compare(node, spec) {
        Own::Fails(_) => false,
        Own::Provides => true,
        Own::Meets => dependencies::unmet(node, spec).is_none(),
    }
}

/// As [`satisfies`], dependencies apart.
fn satisfies_alone(node: NodeRef<'_>, spec: &AbstractSpec) -> bool {
    !matches!(node::compare(node, spec), Own::Fails(_))
}

/// The first constraint of `spec` that `node` does not meet; none if it satisfies it.
pub fn mismatch(node: NodeRef<'_>, spec: &AbstractSpec) -> Option<Mismatch> {
    match node::compare(node, spec) {
        Own::Fails(unmet) => Some(reason::of_node(node, spec, unmet)),
        Own::Provides => None,
        Own::Meets => dependencies::unmet(node, spec).map(|unmet| reason::of_dependency(node, unmet)),
    }
}
