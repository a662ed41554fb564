//! Putting blobs: sessions, chunks, the whole at once, and mounting from another repository.
//!
//! Distribution specification 1.1, "Pushing Blobs". Two things go beyond it, for clients whose connection broke: the
//! bytes that came before stay in the session, of a monolithic PUT too, and the session outlives the server.

mod content_range;
mod receive;
mod session;
mod sessions;

use std::sync::Arc;
use std::time::Instant;

use axum::http::header::{LOCATION, RANGE};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use strata_oci::{Digest, LayoutRepository};
use tokio::sync::OwnedMutexGuard;

use self::content_range::{first_byte, so_far};
use self::receive::receive;
use self::session::Session;
pub(crate) use self::sessions::{Sessions, remove_abandoned};
use crate::blobs;
use crate::blocking::blocking;
use crate::failure::{Code, Failure};
use crate::incoming::Incoming;
use crate::name::Name;
use crate::query::Query;
use crate::repositories::Repositories;
use crate::route;

/// Not in the specification, but every registry sends it and some clients' logs show it.
const UPLOAD_UUID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// The uploads of one repository.
pub(crate) struct Uploads {
    pub(crate) name: Name,
    pub(crate) layout: Arc<LayoutRepository>,
    pub(crate) sessions: Arc<Sessions>,
}

impl Uploads {
    /// POST: a mount, a whole blob, or a new session.
    pub(crate) async fn begin(
        &self,
        query: &Query,
        mut body: Incoming,
        repositories: Arc<Repositories>,
    ) -> Result<Response, Failure> {
        if let Some(wanted) = query.get("mount") {
            let digest = route::digest(wanted)?;
            if self.mount(digest, query.get("from"), Arc::clone(&repositories)).await? {
                return Ok(blobs::created(&self.name, &digest));
            }
        } else if let Some(digest) = query.get("digest") {
            let digest = route::digest(digest)?;
            let (id, upload) = self.sessions.begin(Arc::clone(&self.layout)).await?;
            let outcome = match receive(upload.lock().await?, &mut body).await {
                Ok(session) => self.finish(session, &digest).await,
                Err(failure) => Err(failure),
            };
            if outcome.is_err() {
                // Nobody was told of the session.
                self.delete(&id).await.ok();
            }
            self.sessions.forget(&self.layout, &id);
            return outcome;
        }
        if self.sessions.is_untidy(Instant::now()) {
            tokio::task::spawn_blocking(move || {
                for directory in repositories.directories() {
                    remove_abandoned(&directory);
                }
            });
        }
        let (id, _) = self.sessions.begin(Arc::clone(&self.layout)).await?;
        Ok(self.progress(StatusCode::ACCEPTED, &id, 0))
    }

    /// PATCH: bytes at the end.
    pub(crate) async fn append(
        &self,
        id: &str,
        headers: &HeaderMap,
        mut body: Incoming,
    ) -> Result<Response, Failure> {
        let session = self.writable(id, headers).await?;
        let session = receive(session, &mut body).await?;
        Ok(self.progress(StatusCode::ACCEPTED, id, session.received()))
    }

    /// PUT: the last bytes, or all of them, or none; then it is a blob.
    pub(crate) async fn complete(
        &self,
        id: &str,
        query: &Query,
        headers: &HeaderMap,
        mut body: Incoming,
    ) -> Result<Response, Failure> {
        let Some(digest) = query.get("digest") else {
            return Err(Failure::new(
                Code::DigestInvalid,
                "the blob's digest is missing: PUT …?digest=sha256:…",
            ));
        };
        let digest = route::digest(digest)?;
        let session = self.writable(id, headers).await?;
        let session = receive(session, &mut body).await?;
        let outcome = self.finish(session, &digest).await;
        self.forget_if_ended(id).await;
        outcome
    }

    /// GET: how much has come.
    pub(crate) async fn status(&self, id: &str) -> Result<Response, Failure> {
        let upload = self.sessions.find(Arc::clone(&self.layout), id).await?;
        Ok(self.progress(StatusCode::NO_CONTENT, id, upload.received()))
    }

    /// DELETE: it is given up.
    pub(crate) async fn delete(&self, id: &str) -> Result<Response, Failure> {
        let upload = self.sessions.find(Arc::clone(&self.layout), id).await?;
        let mut session = upload.lock().await?;
        blocking(move || session.give_up()).await?;
        self.sessions.forget(&self.layout, id);
        Ok(StatusCode::NO_CONTENT.into_response())
    }

    /// The session, if the bytes that the request brings belong at its end.
    async fn writable(&self, id: &str, headers: &HeaderMap) -> Result<OwnedMutexGuard<Session>, Failure> {
        let first = first_byte(headers)?;
        let upload = self.sessions.find(Arc::clone(&self.layout), id).await?;
        let mut session = upload.lock().await?;
        let received = session.received();
        match first {
            Some(first) if first == received => Ok(session),
            // `0-0` was said, and understood as nothing.
            Some(0) if received == 1 => {
                blocking(move || {
                    session.empty()?;
                    Ok(session)
                })
                .await
            }
            Some(first) => {
                let message = format!("the bytes begin at {first}, but {received} have come");
                let failure = Failure::range_of_upload(message, &so_far(received));
                Err(failure.with_text(LOCATION, &self.location(id)).with_text(UPLOAD_UUID, id))
            }
            None => Ok(session),
        }
    }

    async fn finish(
        &self,
        mut session: OwnedMutexGuard<Session>,
        digest: &Digest,
    ) -> Result<Response, Failure> {
        let (layout, digest) = (Arc::clone(&self.layout), *digest);
        blocking(move || session.finish(&digest, &layout)).await?;
        Ok(blobs::created(&self.name, &digest))
    }

    async fn forget_if_ended(&self, id: &str) {
        // Looking for it forgets it if its file is gone.
        let _ = self.sessions.find(Arc::clone(&self.layout), id).await;
    }

    /// Whether the blob is here now, if need be from the repository `from`.
    async fn mount(
        &self,
        digest: Digest,
        from: Option<&str>,
        repositories: Arc<Repositories>,
    ) -> Result<bool, Failure> {
        let from = from.and_then(|name| Name::parse(name).ok());
        let layout = Arc::clone(&self.layout);
        blocking(move || {
            if layout.blob_path(&digest).is_file() {
                return Ok(true);
            }
            let Some(from) = from else { return Ok(false) };
            match repositories.existing(&from) {
                Ok(other) => Ok(layout.link_blob_from(&other, &digest)?),
                Err(failure) if failure.code() == Code::NameUnknown => Ok(false),
                Err(failure) => Err(failure),
            }
        })
        .await
    }

    fn location(&self, id: &str) -> String {
        format!("/v2/{}/blobs/uploads/{id}", self.name)
    }

    fn progress(&self, status: StatusCode, id: &str, received: u64) -> Response {
        let headers =
            [(LOCATION, self.location(id)), (RANGE, so_far(received)), (UPLOAD_UUID, id.to_string())];
        (status, headers).into_response()
    }
}
