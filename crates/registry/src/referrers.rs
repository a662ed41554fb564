//! Which manifests are about a manifest (distribution specification 1.1, "Listing Referrers").

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::HeaderName;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use strata_oci::{Descriptor, Digest, ImageIndex, LayoutRepository, ManifestRef, Repository, media_type};

use crate::blocking::blocking;
use crate::document::Document;
use crate::failure::{Code, Failure};
use crate::query::Query;

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

/// How many manifests are remembered before all are forgotten: about 20 MB.
const REMEMBERED: usize = 1 << 18;

/// What each manifest is about. A digest never says anything else, so each is read once, and those that are listed
/// again for every answer: annotations may be long, and are not kept in memory.
#[derive(Default)]
pub(crate) struct Referrers {
    subjects: Mutex<HashMap<Digest, Option<Digest>>>,
}

impl Referrers {
    /// GET.
    pub(crate) async fn list(
        self: &Arc<Self>,
        layout: Option<Arc<LayoutRepository>>,
        subject: Digest,
        query: &Query,
    ) -> Result<Response, Failure> {
        let referrers = Arc::clone(self);
        let mut found = match layout {
            Some(layout) => blocking(move || referrers.of(&layout, subject)).await?,
            // Who asks about a repository that is not there learns that nothing refers to anything there.
            None => Vec::new(),
        };
        let wanted = query.all("artifactType");
        if !wanted.is_empty() {
            found.retain(|descriptor| {
                let kind = descriptor.extra.get("artifactType");
                let kind = kind.and_then(|kind| serde_json::from_str::<String>(kind.get()).ok());
                kind.is_some_and(|kind| wanted.contains(&kind.as_str()))
            });
        }
        let index = ImageIndex { manifests: found, ..ImageIndex::default() };
        let bytes = index.to_bytes().map_err(|error| Failure::new(Code::Unknown, error.to_string()))?;
        let mut response = ([(CONTENT_TYPE, media_type::OCI_INDEX)], bytes).into_response();
        if !wanted.is_empty() {
            let applied = axum::http::HeaderValue::from_static("artifactType");
            response.headers_mut().insert(FILTERS_APPLIED, applied);
        }
        Ok(response)
    }

    /// The descriptors of all manifests of the layout whose subject is `subject`, each once, in the index's order.
    fn of(&self, layout: &LayoutRepository, subject: Digest) -> Result<Vec<Descriptor>, Failure> {
        let mut seen = HashSet::new();
        let mut found = Vec::new();
        for entry in layout.entries()? {
            if !seen.insert(entry.digest) {
                continue;
            }
            if self.known(&entry.digest).is_some_and(|about| about != Some(subject)) {
                continue;
            }
            // One that cannot be read is about nothing.
            let Ok(Some(raw)) = layout.manifest(&ManifestRef::Digest(entry.digest)) else { continue };
            let Ok(document) = Document::parse(&raw.bytes) else { continue };
            let about = document.subject.as_deref().and_then(|subject| subject.parse().ok());
            self.remember(entry.digest, about);
            if about == Some(subject) {
                found.push(described(&entry, raw.bytes.len(), document)?);
            }
        }
        Ok(found)
    }

    /// What the manifest is about, if anything; `None` if it has not been read yet.
    fn known(&self, manifest: &Digest) -> Option<Option<Digest>> {
        self.lock().get(manifest).copied()
    }

    fn remember(&self, manifest: Digest, about: Option<Digest>) {
        let mut subjects = self.lock();
        if subjects.len() >= REMEMBERED {
            *subjects = HashMap::new();
        }
        subjects.insert(manifest, about);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Option<Digest>>> {
        self.subjects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is said of a manifest in the list of referrers (distribution specification 1.1, "Listing Referrers").
fn described(entry: &Descriptor, size: usize, document: Document) -> Result<Descriptor, Failure> {
    let mut descriptor = Descriptor::new(&entry.media_type, entry.digest, size as u64);
    descriptor.annotations = document.annotations;
    if let Some(kind) = &document.artifact_type {
        let set = descriptor.extra.set("artifactType", kind);
        set.map_err(|error| Failure::new(Code::Unknown, error.to_string()))?;
    }
    Ok(descriptor)
}
