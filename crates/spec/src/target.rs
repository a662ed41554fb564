//! Targets of processors: families, what runs on what, and ranges.
//!
//! Names and their partial order are archspec's (`data`). A name that archspec does not know is never an
//! error: it is its own family and equal to itself alone.

mod data;

pub use data::{Microarchitecture, arm_vendor, known};

/// The architecture, as Go and OCI image configs name it, of a target by archspec's name.
///
/// Families follow archspec's data; a family that Go names differently is translated as Spack does (`x86_64` →
/// `amd64`, `aarch64` → `arm64`), any other keeps its own name. A name that is not known is its own family.
pub fn image_architecture(target: &str) -> &str {
    match family(target) {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The root of the target's lineage: `x86_64` for `zen4`, `aarch64` for `neoverse_v2`.
pub fn family(target: &str) -> &str {
    match data::named(target) {
        Some(known) => known.family(),
        None => target,
    }
}

/// The closest level that no vendor has to itself: `x86_64_v3` for `zen2`.
pub fn generic(target: &str) -> &str {
    match data::named(target) {
        Some(known) => known.generic(),
        None => target,
    }
}

/// All that is older than `target` and runs on it, nearest first.
pub fn ancestors(target: &str) -> &'static [&'static str] {
    data::named(target).map(|known| known.ancestors.as_slice()).unwrap_or_default()
}

/// How specific a target is: how many others are older and run on it. Of two that run on the same machine, the one with more
/// makes more of it.
pub fn specificity(target: &str) -> usize {
    ancestors(target).len()
}

/// Whether what was built for `older` runs on `target`: it is the same or one of its ancestors.
pub fn runs(target: &str, older: &str) -> bool {
    target == older || ancestors(target).contains(&older)
}

/// Whether the concrete `target` is one that `asked` names: `*`, or a list of names and ranges `low:high`, of which
/// either end may be left open. `:high` has all that runs on `high`.
pub fn matches(target: &str, asked: &str) -> bool {
    let within = |item: &str| match item.split_once(':') {
        None => item == target,
        Some((low, high)) => (low.is_empty() || runs(target, low)) && (high.is_empty() || runs(high, target)),
    };
    asked == "*" || asked.split(',').any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_gos() {
        for (target, architecture) in [
            ("x86_64_v2", "amd64"),
            ("zen4", "amd64"),
            ("neoverse_v2", "arm64"),
            ("armv8.4a", "arm64"),
            ("power9le", "ppc64le"),
            ("something_new", "something_new"),
        ] {
            assert_eq!(image_architecture(target), architecture);
        }
    }

    #[test]
    fn the_order_is_partial() {
        assert!(runs("zen2", "x86_64_v3") && runs("zen2", "zen") && runs("zen2", "zen2"));
        assert!(!runs("zen2", "haswell") && !runs("haswell", "zen2") && !runs("x86_64_v3", "zen2"));
        assert!(!runs("something_new", "x86_64") && runs("something_new", "something_new"));
        assert_eq!(
            (generic("zen2"), generic("icelake"), generic("m1")),
            ("x86_64_v3", "x86_64_v4", "armv8.4a")
        );
        assert_eq!(generic("something_new"), "something_new");
        assert_eq!(ancestors("x86_64_v2"), ["x86_64"]);
    }

    #[test]
    fn ranges_follow_the_order() {
        for (asked, expected) in [
            ("*", true),
            ("haswell", true),
            ("x86_64", false),
            ("x86_64:", true),
            (":haswell", true),
            (":icelake", true),
            (":zen2", false),
            ("x86_64_v2:x86_64_v4", false),
            ("x86_64_v2:skylake", true),
            ("zen:,haswell", true),
            ("zen:,nehalem:broadwell", true),
            (":", true),
            ("never_heard_of:", false),
            (":never_heard_of", false),
        ] {
            assert_eq!(matches("haswell", asked), expected, "haswell in {asked}");
        }
        assert!(matches("something_new", "something_new:") && !matches("something_new", "x86_64:"));
    }
}
