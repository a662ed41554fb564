//! The names that a layer has given so far, and of what.
//!
//! Files are written by other threads and may not be there yet, so that it is here and not on the disk that a second
//! entry of a name, a file with entries below it or a hard link to nothing is noticed.

use std::collections::HashMap;
use std::sync::Arc;

use super::name::EntryName;

/// The number of the archive's root.
pub(super) const ROOT: u32 = 0;

/// A tree of names. Numbers of nodes are given in the order they come in.
pub(super) struct Names {
    nodes: Vec<Node>,
}

struct Node {
    parent: u32,
    base: Arc<[u8]>,
    what: What,
}

/// What a name is of.
pub(super) enum What {
    /// A directory, with what is in it.
    Directory(HashMap<Arc<[u8]>, u32>),
    File,
    /// A symbolic link, with its target.
    Symlink(Vec<u8>),
    /// Another name of this file.
    HardLink(u32),
}

impl What {
    pub(super) fn directory() -> Self {
        What::Directory(HashMap::new())
    }

    /// For messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            What::Directory(_) => "a directory",
            What::File | What::HardLink(_) => "a file",
            What::Symlink(_) => "a symbolic link",
        }
    }
}

impl Names {
    /// Nothing but the root.
    pub(super) fn new() -> Self {
        Names { nodes: vec![Node { parent: ROOT, base: Arc::default(), what: What::directory() }] }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn what(&self, node: u32) -> &What {
        &self.nodes[node as usize].what
    }

    pub(super) fn parent(&self, node: u32) -> u32 {
        self.nodes[node as usize].parent
    }

    /// The last component of its name.
    pub(super) fn base(&self, node: u32) -> &Arc<[u8]> {
        &self.nodes[node as usize].base
    }

    /// What is called `base` in the directory `parent`.
    pub(super) fn child(&self, parent: u32, base: &[u8]) -> Option<u32> {
        match self.what(parent) {
            What::Directory(children) => children.get(base).copied(),
            _ => None,
        }
    }

    /// Adds a name that is not there yet; gives its number.
    pub(super) fn add(&mut self, parent: u32, base: &[u8], what: What) -> u32 {
        let (node, base) = (self.nodes.len() as u32, Arc::<[u8]>::from(base));
        if let What::Directory(children) = &mut self.nodes[parent as usize].what {
            children.insert(Arc::clone(&base), node);
        }
        self.nodes.push(Node { parent, base, what });
        node
    }

    /// What `name` is of; the error is the first node on the way that is no directory.
    pub(super) fn find(&self, name: &[u8]) -> Result<Option<u32>, u32> {
        let mut node = ROOT;
        for component in name.split(|byte| *byte == b'/').filter(|component| !component.is_empty()) {
            if !matches!(self.what(node), What::Directory(_)) {
                return Err(node);
            }
            match self.child(node, component) {
                Some(child) => node = child,
                None => return Ok(None),
            }
        }
        Ok(Some(node))
    }

    /// The full name of a node.
    pub(super) fn name(&self, mut node: u32) -> Vec<u8> {
        let mut components = Vec::new();
        while node != ROOT {
            components.push(&self.nodes[node as usize].base[..]);
            node = self.nodes[node as usize].parent;
        }
        components.reverse();
        components.join(&b'/')
    }

    /// The file that `name` is of: the first of its names.
    pub(super) fn file(&self, name: &EntryName) -> Result<u32, NoFile> {
        match self.find(name.bytes()) {
            Err(_) => Err(NoFile::Other),
            Ok(None) => Err(NoFile::Missing),
            Ok(Some(node)) => match self.what(node) {
                What::File => Ok(node),
                What::HardLink(first) => Ok(*first),
                What::Directory(_) | What::Symlink(_) => Err(NoFile::Other),
            },
        }
    }
}

/// Why a name is not one of a regular file.
pub(super) enum NoFile {
    Missing,
    Other,
}
