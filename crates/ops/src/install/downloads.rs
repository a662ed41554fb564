//! Layers on their way: one whose first bytes were looked at is gone on with, not asked for again.

use super::plan::PlannedInstall;
use crate::error::Error;
use crate::parallel::lock;
use crate::resolve::Mirror;
use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::sync::Mutex;
use strata_spec::DagHash;

type Layer = Box<dyn Read + Send>;

/// The layers of what is to be installed.
pub(super) struct Downloads<'m> {
    mirrors: &'m [Mirror],
    /// Those that somebody has looked at.
    begun: Mutex<HashMap<DagHash, Layer>>,
}

impl<'m> Downloads<'m> {
    pub(super) fn new(mirrors: &'m [Mirror]) -> Self {
        Self { mirrors, begun: Mutex::default() }
    }

    /// Lets `look` read the beginning of a layer. If it can make sense of that, whoever takes the layer next is given all of it, and
    /// the registry is not asked a second time.
    pub(super) fn peek<T>(
        &self,
        planned: &PlannedInstall,
        look: impl FnOnce(&mut dyn Read) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut peeked = Peeked { layer: self.take(planned)?, read: Vec::new() };
        let seen = look(&mut peeked)?;
        let whole: Layer = Box::new(Cursor::new(peeked.read).chain(peeked.layer));
        lock(&self.begun).insert(planned.hash.clone(), whole);
        Ok(seen)
    }

    /// The whole layer, verified as it is read.
    pub(super) fn take(&self, planned: &PlannedInstall) -> Result<Layer, Error> {
        if let Some(layer) = lock(&self.begun).remove(&planned.hash) {
            return Ok(layer);
        }
        Ok(self.mirrors[planned.place.mirror].repository.blob(&planned.place.layer)?)
    }

    /// Whether somebody has looked at it.
    pub(super) fn is_begun(&self, hash: &DagHash) -> bool {
        lock(&self.begun).contains_key(hash)
    }

    /// Lets go of a layer that nobody is going to take soon: other processes may be waiting for it to be complete.
    pub(super) fn forget(&self, hash: &DagHash) {
        lock(&self.begun).remove(hash);
    }

    /// Where it comes from.
    pub(super) fn mirror(&self, planned: &PlannedInstall) -> &'m Mirror {
        &self.mirrors[planned.place.mirror]
    }
}

/// A layer that remembers what was read of it.
struct Peeked {
    layer: Layer,
    read: Vec<u8>,
}

impl Read for Peeked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.layer.read(buffer)?;
        self.read.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}
