//! What went through the layer: each request as the client sent it, and what became of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode};

/// A request, and its answer as far as there is one yet.
#[derive(Debug)]
pub struct Entry {
    /// Which one it is, from 0.
    pub number: usize,
    /// Its method.
    pub method: Method,
    /// Its path and query, verbatim.
    pub target: String,
    /// Its headers, as the client sent them.
    pub headers: HeaderMap,
    received: AtomicU64,
    sent: AtomicU64,
    status: OnceLock<StatusCode>,
}

impl Entry {
    /// Whether it has this method, and this text in its path or query.
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method.as_str() == method && self.target.contains(part)
    }

    /// A header's value, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of the first parameter called `name` of its query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        self.parameters().into_iter().find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The parameters of its query, decoded.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The status of its answer, once there is one.
    pub fn status(&self) -> Option<u16> {
        self.status.get().map(StatusCode::as_u16)
    }

    /// How many bytes of its body came.
    pub fn bytes_received(&self) -> u64 {
        self.received.load(Ordering::SeqCst)
    }

    /// How many bytes of the answer's body went out, to within what a socket holds.
    pub fn bytes_sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    pub(super) fn received(&self, count: u64) {
        self.received.fetch_add(count, Ordering::SeqCst);
    }

    pub(super) fn sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::SeqCst);
    }

    pub(super) fn answered(&self, status: StatusCode) {
        let _ = self.status.set(status);
    }
}

/// All requests, in the order in which they came.
#[derive(Default)]
pub struct Log(Mutex<Vec<Arc<Entry>>>);

impl Log {
    /// All of them.
    pub fn entries(&self) -> Vec<Arc<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Those of this method with this text in their path or query.
    pub fn matching(&self, method: &str, part: &str) -> Vec<Arc<Entry>> {
        let mut entries = self.entries();
        entries.retain(|entry| entry.is(method, part));
        entries
    }

    /// How many there are of this method with this text in their path or query.
    pub fn count(&self, method: &str, part: &str) -> usize {
        self.matching(method, part).len()
    }

    /// How many were answered with this status.
    pub fn count_status(&self, status: u16) -> usize {
        self.entries().iter().filter(|entry| entry.status() == Some(status)).count()
    }

    /// How many bytes of bodies came.
    pub fn bytes_received(&self) -> u64 {
        self.entries().iter().map(|entry| entry.bytes_received()).sum()
    }

    /// How many bytes of answers' bodies went out.
    pub fn bytes_sent(&self) -> u64 {
        self.entries().iter().map(|entry| entry.bytes_sent()).sum()
    }

    /// `METHOD TARGET STATUS` of each, for comparisons and messages.
    pub fn lines(&self) -> Vec<String> {
        let line = |entry: &Arc<Entry>| {
            let status = entry.status().map_or_else(|| "-".to_string(), |status| status.to_string());
            format!("{} {} {status}", entry.method, entry.target)
        };
        self.entries().iter().map(line).collect()
    }

    /// Forgets what was, for a test's next part.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn begin(&self, request: &Request) -> Arc<Entry> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let entry = Arc::new(Entry {
            number: entries.len(),
            method: request.method().clone(),
            target: target.to_string(),
            headers: request.headers().clone(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            status: OnceLock::new(),
        });
        entries.push(Arc::clone(&entry));
        entry
    }
}
