//! On what, when and of what was measured: figures say nothing without.

use super::super::Outcome;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// What there is to say, as it is written into the results.
pub(super) fn describe(strata: &Path, scratch: &Path) -> Outcome<Value> {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).map(str::trim);
    Ok(json!({
        "date": said("date", &["--utc", "+%Y-%m-%d"])?,
        "commit": said("git", &["describe", "--always", "--dirty", "--abbrev=12"]).ok(),
        "strata": said(&strata.to_string_lossy(), &["--version"])?,
        "processor": model.map(|(_, name)| name),
        "cores": std::thread::available_parallelism()?.get(),
        "memory": memory,
        "kernel": said("uname", &["-sr"])?,
        "file_system": said("stat", &["--file-system", "--format=%T", &scratch.to_string_lossy()])?,
        "load_before": fs::read_to_string("/proc/loadavg").unwrap_or_default().trim(),
    }))
}

/// The line that a command prints.
fn said(program: &str, arguments: &[&str]) -> Outcome<String> {
    let output = Command::new(program).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output()?;
    if !output.status.success() {
        return Err(format!("{program} {arguments:?}: {}", output.status).into());
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}
