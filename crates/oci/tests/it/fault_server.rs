//! A tiny HTTP server on loopback that answers as it is told, right or wrong.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use strata_oci::{RemoteRepository, RetryPolicy, Timeouts, Transport, TransportOptions};

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query, verbatim.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// What is sent back; the connection is closed afterwards.
pub(crate) struct Reply {
    pub(crate) bytes: Vec<u8>,
    /// How long to be silent before closing.
    pub(crate) stall: Duration,
    /// Whether to leave the request's body unread for that long, before anything is sent.
    pub(crate) deaf: bool,
}

/// A reply with a right `Content-Length`.
pub(crate) fn reply(status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Reply {
    let length = body.as_ref().len().to_string();
    let stated = headers.iter().any(|(name, _)| *name == "Content-Length");
    let length = [("Content-Length", length.as_str())];
    raw(status, headers.iter().chain(if stated { &[] } else { &length[..] }), body.as_ref())
}

pub(crate) fn html(status: u16) -> Reply {
    let page = "<html><title>Sign in</title><body>to the <b>hotel</b> network</body></html>";
    reply(status, &[("Content-Type", "text/html; charset=utf-8")], page)
}

/// A reply with just these headers: without `Content-Length`, its body ends with the connection.
pub(crate) fn raw<'a>(
    status: u16,
    headers: impl IntoIterator<Item = &'a (&'a str, &'a str)>,
    body: &[u8],
) -> Reply {
    let mut bytes = format!("HTTP/1.1 {status} As Told\r\nConnection: close\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    Reply { bytes, stall: Duration::ZERO, deaf: false }
}

type Handler = dyn Fn(&Request) -> Reply + Send + Sync;

pub(crate) struct FaultServer {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FaultServer {
    pub(crate) fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let handler: Arc<Handler> = Arc::new(handler);
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                // What a client does that goes away early is not the server's concern.
                std::thread::spawn(move || serve(stream.ok()?, &seen, &*handler));
            }
        });
        Self { port, requests, stop, thread: Some(thread) }
    }

    /// As [`start`](Self::start), for answers that do not depend on the request.
    pub(crate) fn always(answer: impl Fn() -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |_| answer())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn base(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The repository `some/cache` here, through a client that does not wait long and tries once.
    pub(crate) fn repository(&self) -> RemoteRepository {
        let retry = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
        self.repository_with(TransportOptions { retry, ..TransportOptions::default() })
    }

    /// As [`repository`](Self::repository), with options of which only the timeouts are made short.
    pub(crate) fn repository_with(&self, options: TransportOptions) -> RemoteRepository {
        let url = format!("oci+http://127.0.0.1:{}/some/cache", self.port).parse().unwrap();
        let timeouts = Timeouts {
            connect: Duration::from_secs(5),
            idle: Duration::from_secs(1),
            commit: Duration::from_secs(2),
        };
        let transport = Transport::new(TransportOptions { timeouts, ..options });
        RemoteRepository::open(&url, &transport, None).unwrap()
    }

    /// `METHOD target` of every request so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.requests().iter().map(|request| format!("{} {}", request.method, request.target)).collect()
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Request>>, handler: &Handler) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace().map(str::to_string);
    let (method, target) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_string()));
    }
    let mut request = Request { method, target, headers, body: Vec::new() };
    let reply = handler(&request);
    if reply.deaf {
        std::thread::sleep(reply.stall);
    }
    let length: u64 = request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    (&mut reader).take(length).read_to_end(&mut request.body).ok()?;
    let head_only = request.method == "HEAD";
    seen.lock().unwrap().push(request);
    let bytes = &reply.bytes;
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
    let mut stream = stream;
    stream.write_all(if head_only { &bytes[..end] } else { bytes }).ok()?;
    if !reply.deaf {
        std::thread::sleep(reply.stall);
    }
    Some(())
}

impl Reply {
    /// Only the first `length` bytes.
    pub(crate) fn cut(mut self, length: usize) -> Self {
        self.bytes.truncate(length);
        self
    }

    /// Nothing more for longer than the client waits.
    pub(crate) fn then_silence(mut self) -> Self {
        self.stall = Duration::from_secs(4);
        self
    }

    /// Silence first, with the request's body left unread, for longer than the client waits.
    pub(crate) fn deaf(mut self) -> Self {
        self.deaf = true;
        self.then_silence()
    }
}
