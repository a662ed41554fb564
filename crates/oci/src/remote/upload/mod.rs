//! Putting a blob: POST for a place to put it, then one PUT with all of it.
//!
//! Not in chunks, unless the registry wants that: their size is limited by some registries without a way to ask for
//! the limit, and each costs a round trip. What breaks off is continued where the registry says it stands, and begun
//! anew if the registry has lost it; what counts is whether more of the blob arrived than ever before.

mod body;
mod chunk_size;
mod mounts;
mod once;
mod range;
mod session;
mod step;

use std::sync::Arc;

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, header};
use url::Url;

use self::body::Content;
use self::chunk_size::ChunkSize;
pub(super) use self::mounts::Mounts;
pub(super) use self::once::Uploads;
use self::session::{Begun, Session};
use self::step::Step;
use super::auth::Scope;
use super::client::Client;
use super::headway::Headway;
use super::request::Request;
use super::retry::Backoff;
use super::setback::Setback;
use super::{UploadMode, blob_size};
use crate::{BlobSource, Digest, Error, ErrorKind, Uploaded};

/// How often bodies may break off without leaving anything behind before smaller ones are tried. A proxy that refuses
/// a big body may close the connection so early that its 413 is lost.
const VANISHED: u32 = 2;

/// Where a blob goes.
pub(super) struct Destination<'a> {
    pub(super) client: &'a Client,
    /// The repository's name.
    pub(super) name: &'a str,
    /// Where uploads begin.
    pub(super) uploads: Url,
    /// Where the blob will be.
    pub(super) blob: Url,
    /// From where it may be mounted.
    pub(super) mounts: &'a Mounts,
}

impl Destination<'_> {
    /// Asks for a blob to be taken from the repository `from` of the registry. One token has to allow both.
    async fn ask_to_mount(&self, digest: Digest, from: &str) -> Result<Begun, Error> {
        let mut url = self.uploads.clone();
        url.query_pairs_mut().append_pair("mount", &digest.to_string()).append_pair("from", from);
        let scope = Scope::push(self.name);
        let request = post(url, if from == self.name { scope } else { scope.and_pull(from) });
        let response = self.client.send(&request).await?;
        Session::begun(self.client, &request, response).await
    }
}

/// Has a blob taken from the repository `from` of the registry, which has it; false if the registry does not do that.
pub(super) async fn mount(destination: Destination<'_>, digest: Digest, from: &str) -> Result<bool, Error> {
    let mounts = destination.mounts;
    if !mounts.may_work(from) {
        return Ok(false);
    }
    match destination.ask_to_mount(digest, from).await {
        Ok(Begun::Stored) => {
            mounts.tried(from, true);
            return Ok(true);
        }
        Ok(Begun::Session(session)) => {
            mounts.tried(from, false);
            session.cancel(destination.client).await;
        }
        // As when it is put: there may be the right to write here, and not to read there.
        Ok(Begun::Refused(_)) | Err(Error::Authorization(_)) => mounts.refused(from),
        Err(error) if error.kind() == ErrorKind::Denied => mounts.refused(from),
        // It says that it has begun an upload, and not where: there is nothing to cancel.
        Err(Error::Protocol { .. }) => mounts.tried(from, false),
        Err(error) => return Err(error),
    }
    Ok(false)
}

/// Puts a blob that the repository does not have yet; it may be mounted from the repository `mount_from`.
pub(super) async fn put(
    destination: Destination<'_>,
    source: &BlobSource,
    mount_from: Option<&str>,
) -> Result<Uploaded, Error> {
    let options = destination.client.options();
    let upload = Upload {
        content: Content::of(source)?,
        digest: source.digest,
        size: source.size,
        chunk: match options.uploads {
            UploadMode::Chunked(bytes) => ChunkSize::Bytes(bytes),
            UploadMode::Monolithic | UploadMode::SinglePost => ChunkSize::Whole,
        },
        in_one_post: options.uploads == UploadMode::SinglePost,
        backoff: destination.client.backoff(),
        headway: Headway::through(source.size),
        most_held: 0,
        vanished: 0,
        denied: false,
        too_large: None,
        destination,
    };
    upload.run(mount_from).await
}

/// A blob on its way, through as many sessions as it takes.
struct Upload<'a> {
    destination: Destination<'a>,
    content: Content,
    digest: Digest,
    size: u64,
    chunk: ChunkSize,
    /// Whether the next attempt is one POST with everything.
    in_one_post: bool,
    backoff: Backoff,
    headway: Headway,
    /// The most bytes that the registry had at any time: to have more is progress.
    most_held: u64,
    /// How many bodies broke off without leaving anything behind.
    vanished: u32,
    /// Whether authorization was refused since there last was progress.
    denied: bool,
    /// Why it is sent in chunks that nobody asked for.
    too_large: Option<Error>,
}

/// How a session ended.
enum End {
    Stored,
    /// It is of no use any more.
    Lost,
    /// The registry takes it in smaller pieces only.
    TooLarge,
}

impl Upload<'_> {
    async fn run(mut self, mount_from: Option<&str>) -> Result<Uploaded, Error> {
        const SENT: Uploaded = Uploaded { existed: false, mounted: false };
        let mounts = self.destination.mounts;
        let mut first = None;
        if let Some(from) = mount_from.filter(|from| mounts.may_ask(from)) {
            match self.destination.ask_to_mount(self.digest, from).await {
                Ok(Begun::Stored) => return Ok(Uploaded { existed: false, mounted: true }),
                Ok(Begun::Session(session)) => first = Some(session),
                // The right to read there may be missing, for which a registry refuses the request and a token server
                // the token; there is still the right to write here.
                Ok(Begun::Refused(_)) | Err(Error::Authorization(_)) => mounts.refused(from),
                Err(error) if error.kind() == ErrorKind::Denied => mounts.refused(from),
                Err(error) => return Err(error),
            }
        }
        loop {
            let session = match first.take() {
                Some(session) => Some(session),
                None if self.in_one_post => match self.post_all().await? {
                    Some(Begun::Stored) => return Ok(SENT),
                    Some(Begun::Session(session)) => Some(session),
                    Some(Begun::Refused(_)) | None => None,
                },
                None => Some(self.begin().await?),
            };
            if let Some(mut session) = session {
                match self.fill(&mut session).await {
                    Ok(End::Stored) => return Ok(SENT),
                    Ok(End::Lost) => session.cancel(self.destination.client).await,
                    Ok(End::TooLarge) => {
                        session.cancel(self.destination.client).await;
                        continue;
                    }
                    Err(error) => {
                        session.cancel(self.destination.client).await;
                        return Err(error);
                    }
                }
            }
            // It may be there all the same: what was lost may be no more than the registry's acknowledgement.
            let Destination { client, name, blob, .. } = &self.destination;
            if blob_size::ask(client, name, blob).await? == Some(self.size) {
                return Ok(SENT);
            }
        }
    }

    /// Begins a session.
    async fn begin(&self) -> Result<Session, Error> {
        let Destination { client, .. } = &self.destination;
        let request = post(self.destination.uploads.clone(), self.scope());
        let response = client.send(&request).await?;
        match Session::begun(client, &request, response).await? {
            Begun::Session(session) => Ok(session),
            Begun::Stored => Err(request.exchange.protocol("it claims to have a blob that was not named")),
            Begun::Refused(response) => Err(client.failure(&request.exchange, response).await),
        }
    }

    /// Sends everything with one POST. `None` if that came to nothing and something else has been decided on.
    async fn post_all(&mut self) -> Result<Option<Begun>, Error> {
        let client = self.destination.client;
        let url = session::with_digest(self.destination.uploads.clone(), self.digest);
        let request = Request::new(Method::POST, url, self.scope())
            .header(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))
            .stream(Arc::new(self.content.part(0, self.size)));
        let setback = match client.send_once(&request).await {
            Ok(response) => match Session::begun(client, &request, response).await? {
                Begun::Refused(response) if response.status() == StatusCode::PAYLOAD_TOO_LARGE => {
                    let error = client.failure(&request.exchange, response).await;
                    self.in_one_post = false;
                    return self.send_smaller(error, 0).map(|()| None);
                }
                Begun::Refused(response) if response.status() == StatusCode::BAD_REQUEST => {
                    self.content.verify(self.digest, self.size).await?;
                    Setback::answered(client, &request.exchange, response).await
                }
                Begun::Refused(response) => Setback::answered(client, &request.exchange, response).await,
                begun => return Ok(Some(begun)),
            },
            Err(error) => Setback::silent(client, &request.exchange, error),
        };
        self.wait(setback).await.map(|()| None)
    }

    /// Sends the blob into a session until it is stored, or the session cannot be gone on with.
    async fn fill(&mut self, session: &mut Session) -> Result<End, Error> {
        let mut held = 0;
        // Whether something broke off, so that there may be in the session what should not.
        let mut mended = false;
        loop {
            let step = self.step(session, held).await?;
            let broke = matches!(step, Step::Broke(_));
            let disputed = matches!(step, Step::Disputed(_));
            match step {
                Step::Stored => return Ok(End::Stored),
                Step::Holds(now) => {
                    held = now;
                    self.note(held);
                    continue;
                }
                Step::TooLarge(error) => {
                    self.send_smaller(error, session.least_chunk)?;
                    return Ok(End::TooLarge);
                }
                Step::Denied(error) => {
                    // A token that ran out; but credentials that are wrong stay wrong.
                    if std::mem::replace(&mut self.denied, true) {
                        return Err(error);
                    }
                }
                Step::Wrong(error) => {
                    // What the registry finds wrong may be wrong indeed, and only we know where it comes from.
                    self.content.verify(self.digest, self.size).await?;
                    if !mended {
                        return Err(error);
                    }
                    self.wait(Setback::disputed(error)).await?;
                    return Ok(End::Lost);
                }
                Step::NoChunks(error) => {
                    match (self.too_large.take(), self.destination.client.options().uploads) {
                        (Some(too_large), _) => return Err(too_large),
                        (None, UploadMode::Chunked(_)) => return Err(error),
                        // The chunks were our own idea.
                        (None, _) => {
                            self.chunk = ChunkSize::Whole;
                            self.wait(Setback::disputed(error)).await?;
                            return Ok(End::Lost);
                        }
                    }
                }
                Step::Gone(error) => {
                    self.wait(Setback::disputed(error)).await?;
                    return Ok(End::Lost);
                }
                Step::Disputed(error) => self.wait(Setback::disputed(error)).await?,
                Step::Broke(setback) | Step::Failed(setback) => self.wait(setback).await?,
            }
            mended = true;
            let now = session.held(self.destination.client).await?;
            if broke && now.unwrap_or(0) <= held {
                self.vanished += 1;
                if self.vanished >= VANISHED
                    && let Some(smaller) = self.chunk.smaller(self.size, session.least_chunk)
                {
                    self.chunk = smaller;
                    self.in_one_post = false;
                }
            }
            match now {
                // It says what we say, and acts otherwise.
                Some(now) if disputed && now == held => return Ok(End::Lost),
                Some(now) if now <= self.size => {
                    held = now;
                    self.note(held);
                }
                _ => return Ok(End::Lost),
            }
        }
    }

    /// Sends in smaller pieces from now on.
    fn send_smaller(&mut self, error: Error, least: u64) -> Result<(), Error> {
        match self.chunk.smaller(self.size, least) {
            Some(smaller) => {
                self.chunk = smaller;
                self.too_large = Some(error);
                Ok(())
            }
            None => Err(error),
        }
    }

    /// The registry has so many bytes.
    fn note(&mut self, held: u64) {
        let more = held.saturating_sub(self.most_held);
        if more > 0 {
            self.most_held = held;
            self.vanished = 0;
        }
        if self.headway.made(more) {
            self.backoff.progressed();
            self.denied = false;
        }
    }

    /// Waits for what failed to pass; gives it back when it was waited for often enough.
    async fn wait(&mut self, setback: Setback) -> Result<(), Error> {
        setback.overcome(self.destination.client, &mut self.backoff).await
    }

    fn scope(&self) -> Scope {
        Scope::push(self.destination.name)
    }
}

fn post(url: Url, scope: Scope) -> Request {
    Request::new(Method::POST, url, scope).header(header::CONTENT_LENGTH, HeaderValue::from_static("0"))
}
