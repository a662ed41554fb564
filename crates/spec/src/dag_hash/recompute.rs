//! The DAG hash of a node, computed anew from what the node says.
//!
//! It names everything that goes into a package: name, version, architecture, parameters, the hash of the recipe, patches,
//! what an external is, and the DAG hashes of all dependencies with what they are for. So it can be told from one node
//! alone whether that node is what its hash says; and if all are, the DAG is.

use super::DagHash;
use super::canonical::{self, NotCanonical};
use crate::node::Node;
use data_encoding::BASE32;
use sha1::{Digest, Sha1};
use std::fmt;

/// How many characters a spliced spec has in common with the one it was spliced from, at the end: as long as the hash is the
/// same in length and end, paths can be replaced where strings share their tails.
const SPLICED_TAIL: usize = 7;

/// What comes of computing a DAG hash anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recomputed {
    /// The hash.
    Hash(DagHash),
    /// The node was first written in a format whose hashes cannot be computed from what is left of it.
    Unknowable {
        /// Version of that format.
        original_format: u32,
    },
}

/// A node whose hash is not its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashMismatch {
    /// Its name, version and hash, as people read them.
    pub package: String,
    /// What it is called.
    pub stated: DagHash,
    /// What it should be called; none if its JSON is not that of a node.
    pub computed: Option<DagHash>,
}

impl fmt::Display for HashMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.computed {
            Some(computed) => {
                write!(f, "{} is not what its hash says: that would be /{computed}", self.package)
            }
            None => write!(f, "{} is not what its hash says", self.package),
        }
    }
}

/// Computes the DAG hash of a node.
///
/// - Nodes of format 5: always.
/// - Nodes of formats 3 and 4 as long as they are in that format; in a file of format 5 their architecture and compiler are
///   not there in full any more.
/// - Nodes of formats 1 and 2: never. Their hashes leave out build dependencies, and edges name those by other hashes.
///
/// # Errors
/// If the JSON of the node is not what Spack could have written.
pub fn recompute(node: &Node) -> Result<Recomputed, NotCanonical> {
    match (node.original_format, node.is_in_format_5()) {
        (5, _) => Ok(Recomputed::Hash(hash_of(&canonical::of_format_5(node)?, node))),
        (3 | 4, false) => {
            let [older, newer] = canonical::as_written(node)?.map(|json| hash_of(&json, node));
            Ok(Recomputed::Hash(if older == node.hash { older } else { newer }))
        }
        (original_format, _) => Ok(Recomputed::Unknowable { original_format }),
    }
}

fn hash_of(json: &str, node: &Node) -> DagHash {
    let mut text = BASE32.encode(&Sha1::digest(json)).to_ascii_lowercase();
    if let Some(build_spec) = &node.build_spec {
        let tail = text.len() - SPLICED_TAIL;
        text.replace_range(tail.., &build_spec.as_str()[tail..]);
    }
    DagHash(text.into())
}

/// What came of computing the DAG hashes of several nodes anew.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many nodes have the hash that is their own.
    pub right: usize,
    /// The nodes whose hash is not their own.
    pub wrong: Vec<HashMismatch>,
    /// How many nodes there are of which it cannot be told: [`Recomputed::Unknowable`].
    pub unknowable: usize,
}

/// Computes the DAG hash of each node by itself, so that parts of a big index can be verified in parallel.
pub fn verify<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Verified {
    let mut verified = Verified::default();
    for node in nodes {
        let computed = match recompute(node) {
            Ok(Recomputed::Unknowable { .. }) => {
                verified.unknowable += 1;
                continue;
            }
            Ok(Recomputed::Hash(hash)) if hash == node.hash => {
                verified.right += 1;
                continue;
            }
            Ok(Recomputed::Hash(hash)) => Some(hash),
            Err(NotCanonical(_)) => None,
        };
        verified.wrong.push(HashMismatch { package: node.label(), stated: node.hash.clone(), computed });
    }
    verified
}
