//! Where the layers of packages are, and what the configs of packages say of them.

use crate::error::Error;
use crate::image::assemble::LayerInfo;
use crate::locate::{Located, locate};
use crate::report::Reporter;
use crate::resolve::{Mirror, Resolved};
use crate::run_environment::Cached;
use crate::{package_tag, parallel};
use jiff::Timestamp;
use std::collections::HashMap;
use strata_oci::{Descriptor, Digest, ImageConfig};
use strata_spec::{DagHash, Node, closure};

/// A package's own layer.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Index into the mirrors.
    pub(super) mirror: usize,
    /// The layer there.
    pub(super) layer: Descriptor,
    /// Digest of the uncompressed tar.
    pub(super) diff_id: Digest,
    /// What the config says of the environment.
    pub(super) cached: Cached,
    /// `archive_timestamp`.
    pub(super) time: Option<Timestamp>,
}

impl Found {
    pub(super) fn info(&self) -> LayerInfo {
        LayerInfo::of(&self.layer, self.diff_id)
    }
}

/// Finds the layers of packages, many at the same time; those of `nodes` that no mirror has are not among them.
///
/// # Errors
/// If a mirror that may have one gives no answer and no other has it, and if a tag is not what its name says.
pub(super) fn find(
    nodes: &[&Node],
    mirrors: &[Mirror],
    resolved: &Resolved,
    reporter: &dyn Reporter,
) -> Result<HashMap<DagHash, Found>, Error> {
    let found = parallel::map(nodes, parallel::REQUESTS, |node| one(node, mirrors, resolved, reporter))?;
    Ok(nodes.iter().zip(found).filter_map(|(node, found)| Some((node.hash.clone(), found?))).collect())
}

fn one(
    node: &Node,
    mirrors: &[Mirror],
    resolved: &Resolved,
    reporter: &dyn Reporter,
) -> Result<Option<Found>, Error> {
    let Some(located) = locate(node, mirrors, resolved, reporter)? else { return Ok(None) };
    let Located { mirror, manifest, layer, config } = located;
    let Some(diff_id) = config.root_fs.diff_ids.last().copied() else {
        let place = mirrors[mirror].repository.url().to_string();
        return Err(Error::NotAPackage { tag: package_tag::of(node)?.to_string(), place });
    };
    let cached = Cached::of(&manifest, &config, Some(closure(resolved, &[node])?.len()));
    Ok(Some(Found { mirror, layer, diff_id, cached, time: archive_time(&config) }))
}

/// When the package was installed, or packed, if its config says so.
fn archive_time(config: &ImageConfig) -> Option<Timestamp> {
    let text: String = serde_json::from_str(config.extra.get("archive_timestamp")?.get()).ok()?;
    text.parse().ok()
}
