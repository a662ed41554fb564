//! What to change, so that there is a binary.

use super::{Lack, Nearest};
use crate::resolve::Obstacle;
use strata_spec::AbstractSpec;
use strata_spec::host::Host;

/// Where nothing is near.
const LIST: &str = "see what there is with `strata buildcache list -l`";

/// What to do about the nearest ones, most useful first; at most one piece of advice of a kind.
pub(super) fn of(spec: &AbstractSpec, groups: &[Nearest], host: Option<&Host>) -> Vec<String> {
    let mut advice: Vec<String> = Vec::new();
    let mut add = |text: String| {
        if !advice.contains(&text) {
            advice.push(text);
        }
    };
    if let Some(meant) = spec.perhaps_meant() {
        add(format!("did you mean `{meant}`? `{spec}` asks for a variant"));
        return advice;
    }
    let Some(first) = groups.first() else {
        return vec![LIST.to_owned()];
    };
    let is_obstacle = |lack: &Lack| matches!(lack, Lack::Obstacle(_));
    if let Some(would_do) = &first.would_do
        && !first.lacks.iter().any(is_obstacle)
    {
        add(format!("`{would_do}` would match {}", first.package));
    }
    let count = first.lacks.len();
    let as_near = groups.iter().take_while(|group| group.lacks.len() == count);
    for lack in as_near.flat_map(|group| group.lacks.iter().map(move |lack| (group, lack))) {
        let (group, Lack::Obstacle(obstacle)) = lack else { continue };
        add(about(obstacle, spec, group, host));
        break;
    }
    if advice.is_empty() {
        advice.push(LIST.to_owned());
    }
    advice
}

fn about(obstacle: &Obstacle, spec: &AbstractSpec, group: &Nearest, host: Option<&Host>) -> String {
    let short = group.hash.get(..7).unwrap_or(&group.hash);
    match obstacle {
        Obstacle::Host { property: "target", .. } => format!(
            "build it for this machine, as `spack install '{}'` does, and push that; --no-host-check takes it as it is",
            for_target(spec, group, host.map_or("…", |host| &host.target))
        ),
        Obstacle::Host { property: "libc", .. } => {
            "build it on a system whose C library is no newer than this one's, and push that; --no-host-check takes it as it is"
                .to_owned()
        }
        Obstacle::Host { property: "os", .. } => {
            "if it is known to run there, --no-host-check takes it as it is".to_owned()
        }
        Obstacle::Host { .. } => "build it for this platform, and push that".to_owned(),
        Obstacle::NotCached { external: false } => {
            format!("push it from where it is installed: `strata buildcache push MIRROR /{short}`")
        }
        Obstacle::MissingDependency { .. } => format!(
            "push it with what it needs, from where it is installed: `strata buildcache push MIRROR /{short}`"
        ),
        Obstacle::Incomplete { .. } => {
            "write the index anew: `strata buildcache update-index MIRROR`".to_owned()
        }
        Obstacle::NotCached { external: true } => {
            "have Spack build it (packages.yaml tells it to take the one of the system), and push that".to_owned()
        }
    }
}

/// What to ask Spack for: the spec, or what its hash means, for another target.
fn for_target(spec: &AbstractSpec, group: &Nearest, target: &str) -> String {
    let meant = group.package.rsplit_once('/').filter(|_| spec.hash.is_some());
    let mut spec = meant.and_then(|(package, _)| package.parse().ok()).unwrap_or_else(|| spec.clone());
    spec.architecture.target = Some(target.to_owned());
    spec.to_string()
}
