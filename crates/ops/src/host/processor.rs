//! Which of archspec's targets a processor is, by the rules of archspec's own detection.

use std::collections::HashSet;
use strata_spec::target::{self, Microarchitecture};

/// What `/proc/cpuinfo` says of a processor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processor<'t> {
    /// The family that the kernel runs: `x86_64`, `aarch64`, `ppc64le`, …
    machine: &'t str,
    vendor: &'t str,
    features: HashSet<&'t str>,
    /// Of Power processors.
    generation: u32,
    /// Of Arm processors.
    cpu_part: &'t str,
    /// Of RISC-V processors.
    model: &'t str,
}

/// The family of the processor that this program was built for, as archspec names it.
pub fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "powerpc64" if cfg!(target_endian = "little") => "ppc64le",
        "powerpc64" => "ppc64",
        "x86" => "i686",
        other => other,
    }
}

impl<'t> Processor<'t> {
    /// Reads the first processor of the file.
    pub fn from_cpuinfo(machine: &'t str, cpuinfo: &'t str) -> Self {
        let first = cpuinfo.lines().skip_while(|line| line.trim().is_empty());
        let fields = first.map_while(|line| line.split_once(':'));
        let fields: Vec<_> = fields.map(|(key, value)| (key.trim(), value.trim())).collect();
        let get = |name: &str| fields.iter().rfind(|(key, _)| *key == name).map(|(_, value)| *value);
        let features = |name: &str| {
            let mut features: HashSet<_> = get(name).unwrap_or_default().split_whitespace().collect();
            if features.contains("ssse3") {
                // Linux does not list what this implies.
                features.insert("sse3");
            }
            features
        };
        let base = Self { machine, ..Self::default() };
        match machine {
            "x86_64" => {
                Self { vendor: get("vendor_id").unwrap_or("generic"), features: features("flags"), ..base }
            }
            "aarch64" => {
                let implementer = get("CPU implementer").unwrap_or("generic");
                Self {
                    vendor: target::arm_vendor(implementer).unwrap_or(implementer),
                    features: features("Features"),
                    cpu_part: get("CPU part").unwrap_or_default(),
                    ..base
                }
            }
            "ppc64le" | "ppc64" => {
                Self { generation: generation(get("cpu").unwrap_or_default()).unwrap_or(0), ..base }
            }
            "riscv64" => {
                let model = match get("uarch") {
                    Some("sifive,u74-mc") => "u74mc",
                    Some(other) => other,
                    None => "riscv64",
                };
                Self { model, ..base }
            }
            _ => base,
        }
    }

    /// The most specific target that it is.
    pub fn target(&self) -> String {
        // Of several that are equally good, archspec takes the first.
        let mut candidates: Vec<_> = target::known().rev().filter(|known| self.is(known)).collect();
        let depth = |known: &&Microarchitecture| (known.ancestors.len(), known.features.len());
        let generic = candidates.iter().copied().filter(|known| known.vendor == "generic").max_by_key(depth);
        let Some(generic) = generic else { return self.machine.to_owned() };
        if !self.cpu_part.is_empty() && candidates.iter().any(|known| known.cpu_part == self.cpu_part) {
            candidates.retain(|known| known.cpu_part == self.cpu_part);
        }
        // A feature that was switched off must not hide that all of a level is there.
        candidates.retain(|known| known.ancestors.contains(&generic.name));
        candidates.into_iter().max_by_key(depth).unwrap_or(generic).name.to_owned()
    }

    /// Whether the processor can do all that the target stands for.
    fn is(&self, known: &Microarchitecture) -> bool {
        let in_lineage = known.name == self.machine || known.ancestors.contains(&self.machine);
        let ours = known.vendor == "generic" || known.vendor == self.vendor;
        let has_features = || known.features.iter().all(|feature| self.features.contains(feature));
        in_lineage
            && match self.machine {
                "x86_64" => ours && has_features(),
                // Nothing tells which version of the architecture an Arm processor has.
                "aarch64" => {
                    let is_level = known.vendor == "generic" && known.name != "aarch64";
                    !is_level && ours && has_features()
                }
                "ppc64le" | "ppc64" => known.generation <= self.generation,
                "riscv64" => known.vendor == "generic" || known.name == self.model,
                _ => false,
            }
    }
}

/// The number in `POWER9, altivec supported`.
fn generation(cpu: &str) -> Option<u32> {
    let digits = &cpu[cpu.find("POWER")? + "POWER".len()..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_what_archspec_says() {
        for (machine, target, cpuinfo) in [
            ("x86_64", "skylake_avx512", include_str!("samples/skylake_avx512")),
            ("x86_64", "zen2", include_str!("samples/zen2")),
            ("x86_64", "nehalem", include_str!("samples/nehalem")),
            ("x86_64", "x86_64_v3", include_str!("samples/x86_64_v3")),
            ("aarch64", "neoverse_n1", include_str!("samples/neoverse_n1")),
            ("aarch64", "neoverse_v1", include_str!("samples/neoverse_v1")),
            ("aarch64", "a64fx", include_str!("samples/a64fx")),
            ("aarch64", "aarch64", include_str!("samples/aarch64")),
            ("ppc64le", "power9le", include_str!("samples/power9le")),
            ("riscv64", "u74mc", include_str!("samples/u74mc")),
            ("x86_64", "x86_64", ""),
            ("aarch64", "aarch64", "CPU implementer : 0x99\n"),
            ("ppc64le", "ppc64le", "cpu : POWER\n"),
            ("riscv64", "riscv64", "isa : rv64\n"),
            ("s390x", "s390x", "vendor_id : IBM/S390\n"),
        ] {
            assert_eq!(Processor::from_cpuinfo(machine, cpuinfo).target(), target);
        }
    }

    #[test]
    fn a_feature_less_is_a_target_less() {
        let cpuinfo = include_str!("samples/skylake_avx512").replace("avx512vl", "");
        assert_eq!(Processor::from_cpuinfo("x86_64", &cpuinfo).target(), "skylake");
        let cpuinfo = include_str!("samples/zen2").replace(" avx2 ", " ");
        assert_eq!(Processor::from_cpuinfo("x86_64", &cpuinfo).target(), "x86_64_v2");
    }
}
