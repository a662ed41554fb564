//! What machine this is: what its processor, operating system and C library are.
//!
//! Nothing is asked of a compiler, and no tool is called but musl's own loader. What a file says is read by functions
//! that know nothing of this machine ([`processor`], [`system`], [`libc`]).

pub mod libc;
pub mod processor;
pub mod system;

use std::fs;
use std::path::Path;
use strata_spec::host::Host;

/// Looks at the machine. What cannot be found out is left open.
pub fn detect() -> Host {
    let processor = processor::machine();
    let target = match fs::read_to_string("/proc/cpuinfo") {
        Ok(cpuinfo) => processor::Processor::from_cpuinfo(processor, &cpuinfo).target(),
        Err(_) => processor.to_owned(),
    };
    let libc = libc::detect(Path::new("/"));
    let os = system::detect(Path::new("/"), libc.as_ref());
    Host { platform: platform().to_owned(), os, target, libc }
}

/// The platform as Spack names it.
pub fn platform() -> &'static str {
    match std::env::consts::OS {
        "macos" => "darwin",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use strata_testkit::golden;

    #[test]
    fn this_machine_is_what_spack_says() {
        const TEST: &str = "this_machine_is_what_spack_says";
        let host = detect();
        assert_eq!(host.platform, platform());
        assert_eq!(strata_spec::target::family(&host.target), processor::machine());
        let Ok(arch) = Command::new("spack").arg("arch").output() else {
            return golden::skipped(TEST, "there is no spack to ask");
        };
        let found = format!("{}-{}-{}", host.platform, host.os.unwrap_or_default(), host.target);
        assert_eq!(found, String::from_utf8_lossy(&arch.stdout).trim());
    }

    #[test]
    fn the_c_library_is_the_one_that_programs_get() {
        const TEST: &str = "the_c_library_is_the_one_that_programs_get";
        let Ok(output) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else {
            return golden::skipped(TEST, "there is no getconf to ask");
        };
        let said = String::from_utf8_lossy(&output.stdout);
        if said.trim().is_empty() {
            return golden::skipped(TEST, "getconf knows of no glibc");
        }
        let found = libc::detect(Path::new("/")).map(|libc| libc.to_string());
        assert_eq!(found.as_deref(), Some(said.trim()));
    }
}
