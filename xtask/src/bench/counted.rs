//! [`Counted`]: a registry behind a port that counts what goes through it.

use super::Outcome;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use strata_testkit::docker_registry::DockerRegistry;

/// Bytes that went to the registry and came from it, headers included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Traffic {
    pub(super) sent: u64,
    pub(super) received: u64,
}

#[derive(Default)]
struct Totals {
    sent: AtomicU64,
    received: AtomicU64,
}

/// A `docker-registry`, over plain http.
pub(super) struct Counted {
    registry: DockerRegistry,
    port: u16,
    totals: Arc<Totals>,
}

impl Counted {
    /// Starts both. The port is served until this process ends.
    pub(super) fn start() -> Outcome<Self> {
        let registry = DockerRegistry::start().ok_or("docker-registry is not installed")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (totals, behind) = (Arc::<Totals>::default(), registry.port());
        let counted = Arc::clone(&totals);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let totals = Arc::clone(&counted);
                thread::spawn(move || serve(&client, behind, &totals));
            }
        });
        Ok(Self { registry, port, totals })
    }

    /// The URL of a repository by way of the port that counts.
    pub(super) fn url(&self, name: &str) -> String {
        format!("oci+http://127.0.0.1:{}/{name}", self.port)
    }

    /// What went through since the beginning.
    pub(super) fn traffic(&self) -> Traffic {
        let load = |total: &AtomicU64| total.load(Ordering::Relaxed);
        Traffic { sent: load(&self.totals.sent), received: load(&self.totals.received) }
    }

    /// The requests since the beginning, as `METHOD PATH`.
    pub(super) fn requests(&self) -> Vec<String> {
        let log = self.registry.access_log();
        let quoted = log.lines().filter_map(|line| line.split('"').nth(1)?.strip_suffix(" HTTP/1.1"));
        quoted.map(str::to_owned).collect()
    }
}

/// Passes on what either side says until it has nothing more to say.
fn serve(client: &TcpStream, port: u16, totals: &Totals) {
    let Ok(registry) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { return };
    // Small messages both ways: waiting to fill a packet would be measured.
    let _ = (client.set_nodelay(true), registry.set_nodelay(true));
    thread::scope(|scope| {
        scope.spawn(|| pass_on(&registry, client, &totals.received));
        pass_on(client, &registry, &totals.sent);
    });
}

fn pass_on(mut from: &TcpStream, mut to: &TcpStream, total: &AtomicU64) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
        total.fetch_add(length as u64, Ordering::Relaxed);
    }
    let _ = to.shutdown(Shutdown::Write);
}
