//! Memory does not grow with what is put and got. In a process of its own, for it measures that of the process.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures_util::{StreamExt, future, stream};
use strata_oci::Digest;
use strata_registry::{Registry, RegistryOptions, serve};
use tokio::io::AsyncWriteExt;

const CLIENTS: usize = 16;
const STALLED: usize = 300;
const SIZE: usize = 32 << 20;
/// What client and server together may take beyond what they began with. All blobs at once are 512 MiB.
const LIMIT: u64 = 96 << 20;

/// The most memory that this process ever had, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_clients_at_once_take_constant_memory() {
    let directory = tempfile::tempdir().unwrap();
    let registry = Registry::open(directory.path(), RegistryOptions::default()).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(registry.router(), listener, None, future::pending()));
    let piece = Bytes::from((0..64 << 10).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
    let digest = Digest::of(&piece.repeat(SIZE / piece.len()));
    let client = reqwest::Client::new();
    let before = peak();
    future::join_all((0..CLIENTS).map(|number| {
        let (client, host, piece) = (&client, &host, &piece);
        async move {
            let begin = client.post(format!("{host}/v2/{number}/blobs/uploads/")).send().await.unwrap();
            let location = begin.headers()["location"].to_str().unwrap().to_string();
            let pieces = stream::repeat(piece.clone()).take(SIZE / piece.len()).map(Ok::<_, std::io::Error>);
            let put = client.put(format!("{host}{location}?digest={digest}"));
            let put = put.body(reqwest::Body::wrap_stream(pieces)).send().await.unwrap();
            assert_eq!(put.status().as_u16(), 201);
            let mut body =
                client.get(format!("{host}/v2/{number}/blobs/{digest}")).send().await.unwrap().bytes_stream();
            let mut received = 0;
            while let Some(bytes) = body.next().await {
                received += bytes.unwrap().len();
            }
            assert_eq!(received, SIZE);
        }
    }))
    .await;
    let taken = peak() - before;
    assert!(taken < LIMIT, "{} MiB", taken >> 20);

    // Clients that ask and then read nothing.
    let address = host.trim_start_matches("http://");
    let mut stalled = Vec::new();
    for _ in 0..STALLED {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET /v2/0/blobs/{digest} HTTP/1.1\r\nHost: registry\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        stalled.push(stream);
    }
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    let taken = peak() - before;
    assert!(taken < LIMIT, "{} MiB with {STALLED} stalled clients", taken >> 20);
}
