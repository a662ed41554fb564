//! Families of targets, and what container images call them.

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
    const X86_64: &[&str] = &[
        "nocona",
        "core2",
        "nehalem",
        "westmere",
        "sandybridge",
        "ivybridge",
        "haswell",
        "broadwell",
        "skylake",
        "mic_knl",
        "skylake_avx512",
        "cannonlake",
        "cascadelake",
        "icelake",
        "sapphirerapids",
        "alderlake",
        "arrowlake",
        "arrowlake_s",
        "graniterapids",
        "k10",
        "bulldozer",
        "piledriver",
        "steamroller",
        "excavator",
        "zen",
        "zen2",
        "zen3",
        "zen4",
        "zen5",
        "zen6",
    ];
    const AARCH64: &[&str] = &["thunderx2", "a64fx", "cortex_a72", "m1", "m2", "m3", "m4", "olympus"];
    if target == "x86_64" || target.starts_with("x86_64_v") || X86_64.contains(&target) {
        return "x86_64";
    }
    let arm_version = target.starts_with("armv8") || target.starts_with("armv9");
    if target == "aarch64" || arm_version || target.starts_with("neoverse_") || AARCH64.contains(&target) {
        return "aarch64";
    }
    match target {
        "power8le" | "power9le" | "power10le" => "ppc64le",
        "power7" | "power8" | "power9" | "power10" => "ppc64",
        "u74mc" | "rv64gc" => "riscv64",
        "pentium2" | "pentium3" | "pentium4" | "prescott" => "x86",
        other => other,
    }
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
}
