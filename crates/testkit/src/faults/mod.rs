//! Faults between a client and a server that is all right: a layer that answers for the server, changes what it
//! answers, breaks connections, and writes down all that it sees.
//!
//! What a rule is asked about is in [`log`], the usual rules are in [`rules`], changes to answers in [`rewrite`].

mod body;
pub mod log;
pub mod rewrite;
pub mod rules;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;

pub use self::log::{Entry, Log};

/// What goes wrong with one request.
pub enum Fault {
    /// The server is not asked: this is the answer, once the request's body has been received.
    Answer(Answer),
    /// As [`Answer`](Self::Answer), but before the request's body is received, which it never is.
    AnswerEarly(Answer),
    /// The server is not asked: this is where to go instead (307).
    Redirect(String),
    /// The connection breaks after this many bytes of the answer's body, if there are as many or more; at 0, in the
    /// place of the whole answer.
    BreakAnswerAfter(u64),
    /// The connection breaks after this many bytes of the request's body, if there are more. The server keeps what it
    /// makes of those.
    BreakRequestAfter(u64),
    /// The server is asked after this time.
    Delay(Duration),
    /// There is never an answer.
    Stall,
    /// The server's answer is changed. The one fault of which a request can have several.
    Rewrite(Box<dyn FnOnce(Response) -> Response + Send>),
}

/// An answer that no server gave.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, beside `Content-Length`.
    pub headers: Vec<(&'static str, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Answer {
    /// An answer without headers and body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new() }
    }

    /// The error document of the distribution specification.
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::status(status).header("Content-Type", "application/json").body(body.to_string())
    }

    /// A page for people.
    pub fn page(status: u16) -> Self {
        let page =
            "<!DOCTYPE html><html><title>Sign in</title><body>to the <b>hotel</b> network</body></html>";
        Self::status(status).header("Content-Type", "text/html; charset=utf-8").body(page)
    }

    /// With one more header.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// With this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a status");
        for (name, value) in self.headers {
            response.headers_mut().append(name, HeaderValue::from_str(&value).expect("a header's value"));
        }
        response
    }
}

/// Decides on the fault of a request, if it is to have one.
pub type Rule = Box<dyn Fn(&Entry) -> Option<Fault> + Send + Sync>;

/// The layer. Clones are the same one, so that a test can add rules while it is in use.
#[derive(Clone, Default)]
pub struct Faults(Arc<Shared>);

#[derive(Default)]
struct Shared {
    log: Log,
    rules: Mutex<Vec<Arc<Rule>>>,
}

impl Faults {
    /// A layer that only writes down.
    pub fn none() -> Self {
        Self::default()
    }

    /// One more rule. Rules are asked in the order in which they were added; of what they say all changes to answers
    /// are made, and the first of anything else.
    pub fn add(&self, rule: impl Fn(&Entry) -> Option<Fault> + Send + Sync + 'static) {
        self.rules().push(Arc::new(Box::new(rule)));
    }

    /// No more faults.
    pub fn clear(&self) {
        self.rules().clear();
    }

    /// What it saw.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// `router` behind this layer.
    pub fn around(&self, router: Router) -> Router {
        let faults = self.clone();
        router.layer(from_fn(move |request: Request, next: Next| {
            let faults = faults.clone();
            async move { faults.pass(request, next).await }
        }))
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Rule>>> {
        self.0.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What rules say about a request: changes to its answer, and at most one thing else.
    fn of(&self, entry: &Entry) -> (Vec<Fault>, Option<Fault>) {
        // A rule may add rules: it is not asked under the lock.
        let rules = self.rules().clone();
        let (mut rewrites, mut other) = (Vec::new(), None);
        for rule in rules {
            match rule(entry) {
                Some(rewrite @ Fault::Rewrite(_)) => rewrites.push(rewrite),
                Some(fault) if other.is_none() => other = Some(fault),
                _ => {}
            }
        }
        (rewrites, other)
    }

    async fn pass(&self, request: Request, next: Next) -> Response {
        let entry = self.0.log.begin(&request);
        let (rewrites, fault) = self.of(&entry);
        let Some(mut response) = self.answer(&entry, fault, request, next).await else {
            return body::no_answer();
        };
        for rewrite in rewrites {
            if let Fault::Rewrite(change) = rewrite {
                response = change(response);
            }
        }
        entry.answered(response.status());
        if entry.method == Method::HEAD {
            return response;
        }
        state_length(&mut response);
        response.map(|body| body::counted(body, move |count| entry.sent(count)))
    }

    /// The answer before it is changed; `None` if the connection breaks without one.
    async fn answer(
        &self,
        entry: &Arc<Entry>,
        fault: Option<Fault>,
        request: Request,
        next: Next,
    ) -> Option<Response> {
        let receiving = Arc::clone(entry);
        let request = request.map(|body| body::counted(body, move |count| receiving.received(count)));
        Some(match fault {
            None | Some(Fault::Rewrite(_)) => next.run(request).await,
            Some(Fault::Answer(answer)) => {
                body::drain(request.into_body()).await;
                answer.into_response()
            }
            Some(Fault::AnswerEarly(answer)) => answer.into_response(),
            Some(Fault::Redirect(target)) => {
                body::drain(request.into_body()).await;
                Answer::status(307).header("Location", target).into_response()
            }
            Some(Fault::Delay(time)) => {
                tokio::time::sleep(time).await;
                next.run(request).await
            }
            Some(Fault::Stall) => std::future::pending().await,
            Some(Fault::BreakRequestAfter(limit)) => {
                let (request, broken) = body::broken_after(request, limit);
                let response = next.run(request).await;
                return (!broken.happened()).then_some(response);
            }
            Some(Fault::BreakAnswerAfter(0)) => {
                next.run(request).await;
                return None;
            }
            Some(Fault::BreakAnswerAfter(limit)) => {
                let mut response = next.run(request).await;
                state_length(&mut response);
                response.map(|body| body::cut(body, limit))
            }
        })
    }
}

/// What a server states by the kind of its body is lost when that becomes a stream: says it in a header instead.
fn state_length(response: &mut Response) {
    let silent = response.status().is_informational() || response.status() == StatusCode::NO_CONTENT;
    if silent || response.headers().contains_key(header::CONTENT_LENGTH) {
        return;
    }
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}
