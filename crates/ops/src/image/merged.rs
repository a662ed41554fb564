//! Layers that hold several packages: made of the packages' own, wherever these are, and put where the image is.
//!
//! What was merged before is not merged again: which layers make which is remembered, on disk if there is a place for it,
//! and believed as long as the repository has the outcome.

use super::assemble::LayerInfo;
use super::layer_type;
use crate::error::Error;
use crate::image::ImageError;
use crate::parallel::lock;
use crate::push::scratch::Scratch;
use crate::report::{Event, Reporter};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use strata_layer::compression::{Compression, Method};
use strata_layer::gzip::writer::CompressorPool;
use strata_layer::merge::merge;
use strata_layer::unpack::{Limits, UnpackOptions};
use strata_oci::media_type::Family;
use strata_oci::{BlobSource, Descriptor, Digest, Repository};
use tempfile::NamedTempFile;

/// Changes whenever the same layers are merged into another tar.
const FORMAT: &str = "strata merged layer 1";

/// Merges layers, the same ones once.
pub(crate) struct Merger {
    kept: Option<PathBuf>,
    jobs: usize,
    /// How merged layers are compressed; if it is not said, as those that they are made of.
    method: Option<Method>,
    /// By what they are made of. Whoever holds the inner lock is merging.
    made: Mutex<HashMap<Digest, Arc<Mutex<Option<LayerInfo>>>>>,
}

/// A layer to be merged, and where it is.
#[derive(Clone, Copy)]
pub(crate) struct Member<'r> {
    /// The layer.
    pub(crate) layer: LayerInfo,
    /// A repository that has it.
    pub(crate) repository: &'r dyn Repository,
}

/// What is kept of an outcome.
#[derive(Serialize, Deserialize)]
struct Note {
    digest: Digest,
    diff_id: Digest,
    size: u64,
}

impl Merger {
    /// One that remembers in `kept`, if it is given, and compresses with so many threads: with `method`, or else as the
    /// layers are that it merges, if they are all alike.
    pub(crate) fn new(kept: Option<&Path>, jobs: usize, method: Option<Method>) -> Self {
        let kept = kept.map(|directory| directory.join("merged"));
        Self { kept, jobs, method, made: Mutex::default() }
    }

    /// The layer that holds all of `members`, put into `repository`. `label` is what the layer is called in messages.
    pub(crate) fn merge(
        &self,
        members: &[Member<'_>],
        label: &str,
        repository: &dyn Repository,
        reporter: &dyn Reporter,
    ) -> Result<LayerInfo, Error> {
        // The uncompressed layers and how they are compressed decide what comes out.
        let method = self.method.unwrap_or_else(|| method_of(members));
        let key = format!("{FORMAT}, {}", method.recipe());
        let key = members.iter().fold(key, |key, member| format!("{key}\n{}", member.layer.diff_id));
        let key = Digest::of(key.as_bytes());
        let place = Arc::clone(lock(&self.made).entry(key).or_default());
        let mut made = lock(&place);
        if let Some(layer) = *made {
            return Ok(layer);
        }
        let layer = match self.kept(&key, method, repository)? {
            Some(layer) => layer,
            None => {
                reporter.event(Event::Detail(&format!("merging layers: {label}")));
                let layer = self.make(members, label, method, repository)?;
                self.keep(&key, layer, reporter);
                layer
            }
        };
        *made = Some(layer);
        Ok(layer)
    }

    fn make(
        &self,
        members: &[Member<'_>],
        label: &str,
        method: Method,
        repository: &dyn Repository,
    ) -> Result<LayerInfo, Error> {
        let scratch = Scratch::for_repository(repository)?;
        let threads = NonZeroUsize::new(self.jobs).unwrap_or(NonZeroUsize::MIN);
        let pool = CompressorPool::with_method(threads, method);
        let pool = pool.map_err(Error::Threads)?;
        let file = NamedTempFile::new_in(scratch.path()).map_err(|error| scratch.refused(error))?;
        let failure = RefCell::new(None);
        let mut readers = Vec::with_capacity(members.len());
        for Member { layer, repository } in members {
            let media_type = layer_type::media_type(layer.compression, Family::Oci);
            let media_type = media_type.unwrap_or(Family::Oci.layer());
            let descriptor = Descriptor::new(media_type, layer.digest, layer.size);
            let reader =
                Opening { repository: *repository, descriptor, state: State::NotYet, failure: &failure };
            // What is made is remembered by the diff ids, so that they had better be true.
            readers.push((reader, *layer.diff_id.as_bytes()));
        }
        let largest = members.iter().map(|member| member.layer.size).max().unwrap_or_default();
        let options = UnpackOptions { limits: Limits::for_layer(largest), threads: self.jobs };
        let merged = merge(readers, &options, &pool, file.as_file());
        let merged = merged.map_err(|error| match error {
            strata_layer::merge::MergeError::Write(source) => scratch.refused(source),
            // That a layer could not be asked for says more than that it could not be read.
            _ if failure.borrow().is_some() => failure.take().map_or(Error::Panicked, Error::from),
            source => Error::Image(ImageError::Merge { packages: label.to_owned(), source }),
        })?;
        let layer = LayerInfo {
            digest: Digest::from_sha256(merged.digest),
            diff_id: Digest::from_sha256(merged.diff_id),
            size: merged.size,
            compression: method.compression(),
        };
        let path = file.into_temp_path();
        let _ = repository.put_blob(&BlobSource::file(path.to_path_buf(), layer.digest, layer.size))?;
        Ok(layer)
    }

    /// What was made of the same layers before, if the repository still has it.
    fn kept(
        &self,
        key: &Digest,
        method: Method,
        repository: &dyn Repository,
    ) -> Result<Option<LayerInfo>, Error> {
        let Some(directory) = &self.kept else { return Ok(None) };
        let note = std::fs::read(directory.join(key.hex())).ok();
        let Some(note) = note.and_then(|text| serde_json::from_slice::<Note>(&text).ok()) else {
            return Ok(None);
        };
        let Note { digest, diff_id, size } = note;
        let is_there = repository.blob_size(&digest)? == Some(size);
        Ok(is_there.then_some(LayerInfo { digest, diff_id, size, compression: method.compression() }))
    }

    /// Remembers an outcome; where nothing can be kept, it is made again the next time.
    fn keep(&self, key: &Digest, layer: LayerInfo, reporter: &dyn Reporter) {
        let Some(directory) = &self.kept else { return };
        let note = Note { digest: layer.digest, diff_id: layer.diff_id, size: layer.size };
        if let Err(error) = super::kept::write(directory, &key.hex(), &note) {
            let text = format!("cannot remember a merged layer in {}: {error}", directory.display());
            reporter.event(Event::Detail(&text));
        }
    }
}

/// As the layers are, or with gzip if they are not all alike.
fn method_of(members: &[Member<'_>]) -> Method {
    let mut all = members.iter().map(|member| member.layer.compression);
    let first = all.next().unwrap_or(Compression::Gzip);
    if all.all(|other| other == first) { first.into() } else { Method::Gzip }
}

/// A blob that is asked for when its first byte is wanted, and let go after its last: connections for all members at once
/// would wait, and time out.
struct Opening<'r> {
    repository: &'r dyn Repository,
    descriptor: Descriptor,
    state: State,
    /// Why it could not be asked for.
    failure: &'r RefCell<Option<strata_oci::Error>>,
}

enum State {
    NotYet,
    Reading(Box<dyn Read + Send>),
    Read,
}

impl Read for Opening<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if matches!(self.state, State::NotYet) {
            self.state = match self.repository.blob(&self.descriptor) {
                Ok(reader) => State::Reading(reader),
                Err(error) => {
                    let text = error.to_string();
                    self.failure.replace(Some(error));
                    return Err(io::Error::other(text));
                }
            };
        }
        let State::Reading(reader) = &mut self.state else { return Ok(0) };
        let count = reader.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.state = State::Read;
        }
        Ok(count)
    }
}
