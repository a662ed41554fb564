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

/// How many manifests are remembered before all are forgotten.
const REMEMBERED: usize = 1 << 20;

/// What each manifest is about. A digest never says anything else, so each is read once.
#[derive(Default)]
pub(crate) struct Referrers {
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Those that have no subject, which are nearly all.
    without: HashSet<Digest>,
    /// The others, with their subjects.
    with: HashMap<Digest, (Digest, Descriptor)>,
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
            if let Some((about, descriptor)) = self.look_at(layout, &entry)
                && about == subject
            {
                found.push(descriptor);
            }
        }
        Ok(found)
    }

    /// What the manifest is about, and what is to be said of it. One that cannot be read is about nothing.
    fn look_at(&self, layout: &LayoutRepository, entry: &Descriptor) -> Option<(Digest, Descriptor)> {
        {
            let known = self.lock();
            if known.without.contains(&entry.digest) {
                return None;
            }
            if let Some(found) = known.with.get(&entry.digest) {
                return Some(found.clone());
            }
        }
        let raw = layout.manifest(&ManifestRef::Digest(entry.digest)).ok()??;
        let document = Document::parse(&raw.bytes).ok()?;
        let about = document.subject.as_deref().and_then(|subject| subject.parse().ok());
        let mut known = self.lock();
        if known.without.len() + known.with.len() > REMEMBERED {
            *known = Known::default();
        }
        let Some(about) = about else {
            known.without.insert(entry.digest);
            return None;
        };
        let mut descriptor = Descriptor::new(&entry.media_type, entry.digest, raw.bytes.len() as u64);
        descriptor.annotations = document.annotations;
        if let Some(kind) = &document.artifact_type {
            descriptor.extra.set("artifactType", kind).ok()?;
        }
        known.with.insert(entry.digest, (about, descriptor.clone()));
        Some((about, descriptor))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
