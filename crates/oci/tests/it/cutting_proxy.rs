//! A proxy before a real registry that cuts connections off.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// After how many bytes the connection of this number is cut off, upwards and downwards.
type Limits = dyn Fn(u64) -> (u64, u64) + Send + Sync;

pub(crate) struct CuttingProxy {
    port: u16,
    passed: Arc<[AtomicU64; 2]>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl CuttingProxy {
    /// Before the registry on `registry`; `limits` gives for each connection, numbered from 0, how many bytes pass
    /// from the client, and to it.
    pub(crate) fn start(registry: u16, limits: impl Fn(u64) -> (u64, u64) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let passed: Arc<[AtomicU64; 2]> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (counters, stopped, limits) =
            (Arc::clone(&passed), Arc::clone(&stop), Box::new(limits) as Box<Limits>);
        let thread = std::thread::spawn(move || {
            for (number, client) in (0..).zip(listener.incoming()) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (up, down) = limits(number);
                let (Ok(client), Ok(server)) = (client, TcpStream::connect((Ipv4Addr::LOCALHOST, registry)))
                else {
                    continue;
                };
                for (from, to, limit, counter) in [(&client, &server, up, 0), (&server, &client, down, 1)] {
                    let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let counters = Arc::clone(&counters);
                    std::thread::spawn(move || pass(from, to, limit, &counters[counter]));
                }
            }
        });
        Self { port, passed, stop, thread: Some(thread) }
    }

    /// The mirror URL of a repository behind the proxy.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("oci+http://127.0.0.1:{}/{name}", self.port)
    }

    /// How many bytes have passed from clients, and to them.
    pub(crate) fn passed(&self) -> (u64, u64) {
        (self.passed[0].load(Ordering::SeqCst), self.passed[1].load(Ordering::SeqCst))
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Passes bytes on until there are no more or enough of them, and ends the connection.
fn pass(mut from: TcpStream, mut to: TcpStream, limit: u64, counter: &AtomicU64) {
    let mut left = limit;
    let mut buffer = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let allowed = left.min(count as u64);
        if to.write_all(&buffer[..usize::try_from(allowed).unwrap()]).is_err() {
            break;
        }
        counter.fetch_add(allowed, Ordering::SeqCst);
        left -= allowed;
        if left == 0 {
            break;
        }
    }
    for stream in [&from, &to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}
