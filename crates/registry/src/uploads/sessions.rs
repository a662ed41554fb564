//! [`Sessions`]: the unfinished uploads of all repositories, each for one request at a time.
//!
//! An upload is a file `.strata/uploads/ID` of its repository's layout, so it belongs to that repository and survives
//! the server. The identifier is random (UUID version 4, RFC 9562 section 5.4): who knows it may write.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use strata_oci::LayoutRepository;
use tokio::sync::OwnedMutexGuard;
use tokio::time::timeout;
use uuid::Uuid;

use super::session::Session;
use crate::blocking::blocking;
use crate::failure::{Code, Failure};

/// Uploads that nobody has touched for so long are removed when a registry is opened, and every day.
const ABANDONED_AFTER: Duration = Duration::from_secs(7 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How long a request waits for another one of the same upload. A client that has lost its connection asks again at
/// once, maybe before the loss is noticed here.
const WAIT: Duration = Duration::from_secs(10);
/// How many uploads may be remembered before those that nobody is writing to are forgotten. Their files stay.
const REMEMBERED: usize = 4096;

/// The uploads that were touched since the start, by their files.
pub(crate) struct Sessions {
    known: Mutex<HashMap<PathBuf, Upload>>,
    /// When abandoned ones were last looked for.
    tidied: Mutex<Instant>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { known: Mutex::default(), tidied: Mutex::new(Instant::now()) }
    }
}

/// One upload, to be locked for writing.
#[derive(Clone)]
pub(crate) struct Upload {
    session: Arc<tokio::sync::Mutex<Session>>,
    received: Arc<AtomicU64>,
}

impl Upload {
    fn new(session: Session) -> Self {
        Self { received: session.counter(), session: Arc::new(tokio::sync::Mutex::new(session)) }
    }

    /// How many bytes have come, also while others come.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Acquire)
    }

    /// The session, for this request alone.
    ///
    /// # Errors
    /// 409 if another request holds it and does not come to an end; `BLOB_UPLOAD_UNKNOWN` if that one ended it.
    pub(crate) async fn lock(&self) -> Result<OwnedMutexGuard<Session>, Failure> {
        let session = timeout(WAIT, Arc::clone(&self.session).lock_owned()).await.map_err(|_| {
            Failure::new(
                Code::BlobUploadConflict,
                "another request is writing to this upload; try again later",
            )
        })?;
        if session.has_ended() {
            return Err(unknown());
        }
        Ok(session)
    }
}

impl Sessions {
    /// Begins an upload; its identifier.
    pub(crate) async fn begin(
        self: &Arc<Self>,
        layout: Arc<LayoutRepository>,
    ) -> Result<(String, Upload), Failure> {
        let sessions = Arc::clone(self);
        blocking(move || {
            layout.create()?;
            let id = Uuid::new_v4().to_string();
            let path = layout.uploads_directory().join(&id);
            let session = Session::begin(&path).map_err(|error| Failure::of_file("create", &error))?;
            let upload = Upload::new(session);
            let mut known = sessions.lock();
            if known.len() >= REMEMBERED {
                known.retain(|_, upload| Arc::strong_count(&upload.session) > 1);
            }
            known.insert(path, upload.clone());
            Ok((id, upload))
        })
        .await
    }

    /// The upload of that identifier.
    ///
    /// # Errors
    /// `BLOB_UPLOAD_UNKNOWN` if this repository has none such.
    pub(crate) async fn find(
        self: &Arc<Self>,
        layout: Arc<LayoutRepository>,
        id: &str,
    ) -> Result<Upload, Failure> {
        // In the one spelling in which it was given out: it becomes the name of a file.
        let id = Uuid::try_parse(id).ok().map(|uuid| uuid.to_string()).filter(|text| text == id);
        let path = layout.uploads_directory().join(id.ok_or_else(unknown)?);
        let sessions = Arc::clone(self);
        blocking(move || {
            let mut known = sessions.lock();
            let resumed = Session::resume(&path).map_err(|error| Failure::of_file("read", &error))?;
            let Some(session) = resumed else {
                known.remove(&path);
                return Err(unknown());
            };
            let upload = known.entry(path).or_insert_with(|| Upload::new(session)).clone();
            drop(known);
            if let Ok(mut idle) = upload.session.try_lock() {
                idle.look_again();
            }
            Ok(upload)
        })
        .await
    }

    /// Whether it is time again to look for abandoned uploads. Only one who asks is told so.
    pub(super) fn is_untidy(&self, now: Instant) -> bool {
        let mut tidied = self.tidied.lock().unwrap_or_else(PoisonError::into_inner);
        let due = now.saturating_duration_since(*tidied) >= DAY;
        if due {
            *tidied = now;
        }
        due
    }

    /// Forgets an upload that has ended.
    pub(crate) fn forget(&self, layout: &LayoutRepository, id: &str) {
        self.lock().remove(&layout.uploads_directory().join(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PathBuf, Upload>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the abandoned uploads of the layout in `directory`. What cannot be removed does no harm.
pub(crate) fn remove_abandoned(directory: &Path) {
    let uploads = directory.join(".strata/uploads");
    for entry in fs::read_dir(uploads).into_iter().flatten().flatten() {
        let touched = entry.metadata().and_then(|metadata| metadata.modified());
        let age = touched.ok().and_then(|touched| SystemTime::now().duration_since(touched).ok());
        if age.is_some_and(|age| age > ABANDONED_AFTER) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn unknown() -> Failure {
    Failure::new(Code::BlobUploadUnknown, "there is no such upload; begin anew with POST")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn abandoned_uploads_are_looked_for_once_a_day() {
        let sessions = Sessions::default();
        let start = Instant::now();
        assert!(!sessions.is_untidy(start));
        for day in 1..4 {
            assert!(sessions.is_untidy(start + DAY * day + Duration::from_secs(1)));
            assert!(!sessions.is_untidy(start + DAY * day + DAY / 2));
        }
    }
}
