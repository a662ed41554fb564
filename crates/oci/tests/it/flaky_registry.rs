//! A registry of blobs in memory that keeps its sessions and breaks its connections, by rules and by chance.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use strata_oci::{Digest, RemoteRepository, RetryPolicy, Transport, TransportOptions};

/// What is wrong with the registry.
#[derive(Clone)]
pub(crate) struct Faults {
    pub(crate) seed: u64,
    /// Each connection breaks after at most so many bytes of a body, in either direction.
    pub(crate) break_within: Option<u64>,
    /// So many bodies of requests break in their middle.
    pub(crate) break_first: u64,
    /// Of a thousand requests, how many are refused with 429 or 503, and those with a body with 401.
    pub(crate) refuse: u64,
    /// The most bytes of a request that are taken.
    pub(crate) body_limit: Option<u64>,
    /// Whether a body beyond the limit is answered at all, before the connection is closed upon it.
    pub(crate) says_too_large: bool,
    /// What is stated as the least size of chunks, and insisted on.
    pub(crate) least_chunk: Option<u64>,
    /// Whether a session is lost when a connection breaks, as with the reference implementation.
    pub(crate) forgets: bool,
    /// Whether the size of a session can be asked for.
    pub(crate) tells: bool,
    /// Whether a chunk may be sent at all.
    pub(crate) patch: bool,
    /// How many acknowledgements of blobs get lost.
    pub(crate) swallow: u64,
    /// Whether one POST may do it all.
    pub(crate) single_post: bool,
    /// The first download halts after so many bytes for so long, or until the client is gone.
    pub(crate) halt: Option<(u64, Duration)>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            seed: 1,
            break_within: None,
            break_first: 0,
            refuse: 0,
            body_limit: None,
            says_too_large: true,
            least_chunk: None,
            forgets: false,
            tells: true,
            patch: true,
            swallow: 0,
            single_post: false,
            halt: None,
        }
    }
}

#[derive(Default)]
struct State {
    /// By repository and digest.
    blobs: HashMap<(String, String), Arc<Vec<u8>>>,
    sessions: HashMap<u64, Session>,
    last_session: u64,
    /// `METHOD path range`, of each request as soon as its head was read.
    log: Vec<String>,
}

#[derive(Default)]
struct Session {
    bytes: Vec<u8>,
    /// Each answer points at a place of its own, and only the latest counts.
    tick: u64,
}

pub(crate) struct FlakyRegistry {
    port: u16,
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    faults: Faults,
    random: Mutex<fastrand::Rng>,
    state: Mutex<State>,
    received: AtomicU64,
    sent: AtomicU64,
    swallowed: AtomicU64,
    broken: AtomicU64,
    halted: AtomicBool,
}

impl FlakyRegistry {
    pub(crate) fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            random: Mutex::new(fastrand::Rng::with_seed(faults.seed)),
            faults,
            state: Mutex::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            swallowed: AtomicU64::new(0),
            broken: AtomicU64::new(0),
            halted: AtomicBool::new(false),
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (serving, stopped) = (Arc::clone(&shared), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let serving = Arc::clone(&serving);
                std::thread::spawn(move || serving.serve(stream.ok()?).ok());
            }
        });
        Self { port, shared, stop, thread: Some(thread) }
    }

    /// The repository `some/cache` here, by a client that tries again at once.
    pub(crate) fn repository(&self) -> RemoteRepository {
        self.repository_with(options())
    }

    pub(crate) fn repository_with(&self, options: TransportOptions) -> RemoteRepository {
        let url = format!("oci+http://127.0.0.1:{}/some/cache", self.port).parse().unwrap();
        RemoteRepository::open(&url, &Transport::new(options), None).unwrap()
    }

    /// Puts a blob there, past all faults.
    pub(crate) fn keep(&self, repository: &str, content: &[u8]) {
        let key = (repository.to_string(), Digest::of(content).to_string());
        self.shared.state.lock().unwrap().blobs.insert(key, Arc::new(content.to_vec()));
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.shared.blob("some/cache", &digest.to_string()).is_some()
    }

    /// How many bytes of bodies came.
    pub(crate) fn received(&self) -> u64 {
        self.shared.received.load(Ordering::SeqCst)
    }

    /// How many bytes of blobs went out.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }

    /// `METHOD` and range of each request.
    pub(crate) fn log(&self) -> Vec<String> {
        self.shared.state.lock().unwrap().log.clone()
    }

    /// How many sessions nobody ended.
    pub(crate) fn sessions(&self) -> usize {
        self.shared.state.lock().unwrap().sessions.len()
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// Options of a client that tries again at once.
pub(crate) fn options() -> TransportOptions {
    let retry = RetryPolicy {
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(5),
        ..RetryPolicy::default()
    };
    TransportOptions { retry, ..TransportOptions::default() }
}

impl Drop for FlakyRegistry {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request, and what is left of the connection's life.
struct Exchange {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    method: String,
    path: String,
    query: HashMap<String, String>,
    headers: HashMap<String, String>,
    /// After how many bytes of a body the connection breaks.
    budget: u64,
}

impl Exchange {
    fn read(stream: TcpStream, budget: u64) -> io::Result<Self> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(str::to_string);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut headers = HashMap::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_string());
        }
        let url = url::Url::parse("http://h/").unwrap().join(&target).unwrap();
        let query = url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        Ok(Self { stream, reader, method, path: url.path().to_string(), query, headers, budget })
    }

    fn length(&self) -> u64 {
        self.headers.get("content-length").map_or(0, |length| length.parse().unwrap())
    }

    fn reply(&mut self, status: u16, headers: &[(&str, String)]) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {status} As Told\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Content-Length") {
            head.push_str("Content-Length: 0\r\n");
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.stream.write_all(format!("{head}\r\n").as_bytes())
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> io::Result<()> {
        let (budget, fate) = {
            let mut random = self.random.lock().unwrap();
            let budget = self.faults.break_within.map_or(u64::MAX, |most| random.u64(1..=most));
            (budget, random.u64(0..1000))
        };
        let mut exchange = Exchange::read(stream, budget)?;
        let range = exchange.headers.get("range").or(exchange.headers.get("content-range"));
        let line = format!("{} {}", exchange.method, range.map_or("", |range| range));
        self.state.lock().unwrap().log.push(line.trim_end().to_string());
        let uploads = matches!(exchange.method.as_str(), "PUT" | "PATCH");
        if fate < self.faults.refuse {
            let status = [429, 503, if uploads { 401 } else { 503 }][usize::try_from(fate % 3).unwrap()];
            return Self::refuse(&mut exchange, status, &[("Retry-After", "0".to_string())]);
        }
        if let Some(limit) = self.faults.body_limit
            && exchange.length() > limit
        {
            if !self.faults.says_too_large {
                return Ok(());
            }
            return Self::refuse(&mut exchange, 413, &[]);
        }
        let path = exchange.path.clone();
        let (name, rest) = path.strip_prefix("/v2/").and_then(|path| path.split_once("/blobs/")).unwrap();
        match (exchange.method.as_str(), rest.strip_prefix("uploads/")) {
            ("POST", Some(_)) => self.begin(&mut exchange, name),
            (_, Some(session)) => self.go_on(&mut exchange, name, session.parse().unwrap()),
            _ => self.download(&mut exchange, name, rest),
        }
    }

    /// Answers without having read the body.
    fn refuse(exchange: &mut Exchange, status: u16, headers: &[(&str, String)]) -> io::Result<()> {
        exchange.reply(status, headers)?;
        if exchange.length() > 0 {
            // Who closes upon unread bytes takes the answer back.
            exchange.stream.shutdown(std::net::Shutdown::Write)?;
            exchange.stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            let _ = io::copy(&mut exchange.reader, &mut io::sink());
        }
        Ok(())
    }

    fn blob(&self, name: &str, digest: &str) -> Option<Arc<Vec<u8>>> {
        self.state.lock().unwrap().blobs.get(&(name.to_string(), digest.to_string())).cloned()
    }

    fn download(&self, exchange: &mut Exchange, name: &str, digest: &str) -> io::Result<()> {
        let Some(blob) = self.blob(name, digest) else { return exchange.reply(404, &[]) };
        let from = exchange.headers.get("range").map(|range| {
            range
                .strip_prefix("bytes=")
                .and_then(|range| range.strip_suffix('-'))
                .unwrap()
                .parse::<usize>()
                .unwrap()
        });
        let length = |from: usize| ("Content-Length", (blob.len() - from).to_string());
        match from {
            Some(from) if from >= blob.len() => return exchange.reply(416, &[]),
            Some(from) => {
                let range = format!("bytes {from}-{}/{}", blob.len() - 1, blob.len());
                exchange.reply(206, &[length(from), ("Content-Range", range)])?;
            }
            None => exchange.reply(200, &[length(0)])?,
        }
        if exchange.method == "HEAD" {
            return Ok(());
        }
        let rest = &blob[from.unwrap_or(0)..];
        let rest = &rest[..rest.len().min(usize::try_from(exchange.budget).unwrap_or(usize::MAX))];
        let mut halt = self.faults.halt.filter(|_| !self.halted.swap(true, Ordering::SeqCst));
        let mut written = 0;
        for chunk in rest.chunks(64 << 10) {
            if let Some((_, duration)) = halt.take_if(|(after, _)| written >= *after) {
                exchange.stream.set_read_timeout(Some(duration))?;
                let _ = exchange.reader.read(&mut [0]);
            }
            exchange.stream.write_all(chunk)?;
            written += chunk.len() as u64;
            self.sent.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }

    fn begin(&self, exchange: &mut Exchange, name: &str) -> io::Result<()> {
        if let (Some(digest), Some(from)) = (exchange.query.get("mount"), exchange.query.get("from"))
            && let Some(blob) = self.blob(from, digest)
        {
            self.state.lock().unwrap().blobs.insert((name.to_string(), digest.clone()), blob);
            return exchange.reply(201, &[]);
        }
        if let Some(digest) = exchange.query.get("digest").cloned()
            && self.faults.single_post
        {
            let mut bytes = Vec::new();
            let whole = self.take(exchange, &mut bytes)?;
            return if whole { self.store(exchange, name, &digest, bytes) } else { Ok(()) };
        }
        // Who sends everything with the POST may as well send it for nothing.
        let length = exchange.length();
        io::copy(&mut (&mut exchange.reader).take(length), &mut io::sink())?;
        let id = {
            let mut state = self.state.lock().unwrap();
            state.last_session += 1;
            let id = state.last_session;
            state.sessions.insert(id, Session::default());
            id
        };
        let mut headers = vec![("Location", format!("/v2/{name}/blobs/uploads/{id}?tick=0&blank="))];
        headers.extend(self.faults.least_chunk.map(|least| ("OCI-Chunk-Min-Length", least.to_string())));
        exchange.reply(202, &headers)
    }

    fn go_on(&self, exchange: &mut Exchange, name: &str, id: u64) -> io::Result<()> {
        if (exchange.method == "PATCH" && !self.faults.patch)
            || (exchange.method == "GET" && !self.faults.tells)
        {
            return Self::refuse(exchange, 405, &[]);
        }
        let mut session = {
            let mut state = self.state.lock().unwrap();
            match state.sessions.remove(&id) {
                Some(session)
                    if exchange.query.get("tick") == Some(&session.tick.to_string())
                        && exchange.query.contains_key("blank") =>
                {
                    session
                }
                other => {
                    state.sessions.extend(other.map(|session| (id, session)));
                    drop(state);
                    return Self::refuse(exchange, 404, &[]);
                }
            }
        };
        let before = session.bytes.len();
        let begins_right = exchange
            .headers
            .get("content-range")
            .is_none_or(|range| range.split_once('-').is_some_and(|(first, _)| first == before.to_string()));
        let status = match exchange.method.as_str() {
            "DELETE" => return exchange.reply(204, &[]),
            "GET" => 204,
            _ if !begins_right => 416,
            _ => {
                let whole = self.take(exchange, &mut session.bytes)?;
                if !whole {
                    if !self.faults.forgets {
                        self.state.lock().unwrap().sessions.insert(id, session);
                    }
                    return Ok(());
                }
                let digest = exchange.query.get("digest").cloned();
                if let ("PUT", Some(digest)) = (exchange.method.as_str(), digest) {
                    return self.store(exchange, name, &digest, session.bytes);
                }
                202
            }
        };
        session.tick += 1;
        let held = session.bytes.len();
        let location = format!("/v2/{name}/blobs/uploads/{id}?tick={}&blank=", session.tick);
        self.state.lock().unwrap().sessions.insert(id, session);
        let range = format!("0-{}", held.saturating_sub(1));
        exchange.reply(status, &[("Location", location), ("Range", range)])
    }

    /// Reads a body; false if the connection breaks before its end.
    fn take(&self, exchange: &mut Exchange, into: &mut Vec<u8>) -> io::Result<bool> {
        let (length, mut budget) = (exchange.length(), exchange.budget);
        if length > 1 && self.broken.fetch_add(1, Ordering::SeqCst) < self.faults.break_first {
            budget = length / 2;
        }
        let came = (&mut exchange.reader).take(length.min(budget)).read_to_end(into).unwrap_or(0) as u64;
        self.received.fetch_add(came, Ordering::SeqCst);
        Ok(came == length)
    }

    fn store(&self, exchange: &mut Exchange, name: &str, digest: &str, bytes: Vec<u8>) -> io::Result<()> {
        if Digest::of(&bytes).to_string() != digest {
            return exchange.reply(400, &[]);
        }
        let key = (name.to_string(), digest.to_string());
        self.state.lock().unwrap().blobs.insert(key, Arc::new(bytes));
        if self.swallowed.fetch_add(1, Ordering::SeqCst) < self.faults.swallow {
            return Ok(());
        }
        exchange.reply(201, &[])
    }
}
