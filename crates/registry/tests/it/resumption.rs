//! Uploads go on after a broken connection and after a restart, and are never mixed up.

use std::fs::{self, File};
use std::time::{Duration, Instant, SystemTime};

use reqwest::{Method, StatusCode};
use strata_oci::Digest;
use strata_registry::RegistryOptions;
use tokio::io::AsyncWriteExt;
use tokio::time::{sleep, timeout};

use crate::raw::sending;
use crate::served::{Served, content, header, refused};

/// Waits until the registry says that so many bytes have come.
async fn wait_for(served: &Served, location: &str, received: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let expected = format!("0-{}", received - 1);
    loop {
        let response = served.get(location).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        let range = header(&response, "range");
        if range == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{range}, not {expected}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Begins a request that is to send `bytes`, sends the first `sent`, and closes the connection.
async fn cut(served: &Served, method: &str, path: &str, bytes: &[u8], sent: usize) {
    let mut stream = served.connect().await;
    stream.write_all(sending(method, path, bytes.len()).as_bytes()).await.unwrap();
    stream.write_all(&bytes[..sent]).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_monolithic_put_that_broke_goes_on_where_it_was() {
    let served = Served::start().await;
    let bytes = content(5_000_000);
    let digest = Digest::of(&bytes);
    let location = served.begin("a").await;
    cut(&served, "PUT", &format!("{location}?digest={digest}"), &bytes, 3_000_001).await;
    wait_for(&served, &location, 3_000_001).await;
    assert_eq!(served.patch(&location, 3_000_001, &bytes[3_000_001..]).await.status(), StatusCode::ACCEPTED);
    assert_eq!(served.complete(&location, &digest, b"").await.status(), StatusCode::CREATED);
    assert!(served.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap() == bytes);
}

#[tokio::test]
async fn a_chunk_that_broke_goes_on_where_it_was_again_and_again() {
    let served = Served::start().await;
    let bytes = content(2_000_000);
    let location = served.begin("a").await;
    let mut received = 0;
    for sent in [1, 2, 70_000, 600_000, 900_000] {
        cut(&served, "PATCH", &location, &bytes[received..], sent).await;
        received += sent;
        wait_for(&served, &location, received).await;
    }
    let digest = Digest::of(&bytes);
    assert_eq!(served.complete(&location, &digest, &bytes[received..]).await.status(), StatusCode::CREATED);
    assert!(served.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap() == bytes);
}

#[tokio::test]
async fn uploads_survive_a_restart_of_the_registry() {
    let served = Served::start().await;
    let bytes = content(1_500_000);
    let digest = Digest::of(&bytes);
    let untouched = served.begin("a/b").await;
    let location = served.begin("a/b").await;
    assert_eq!(served.patch(&location, 0, &bytes[..500_000]).await.status(), StatusCode::ACCEPTED);

    let served = served.restart().await;
    let status = served.get(&location).await;
    assert_eq!(header(&status, "range"), "0-499999");
    assert_eq!(
        served.patch(&location, 500_000, &bytes[500_000..1_000_000]).await.status(),
        StatusCode::ACCEPTED
    );
    let served = served.restart().await;
    assert_eq!(served.complete(&location, &digest, &bytes[1_000_000..]).await.status(), StatusCode::CREATED);
    assert!(served.get(&format!("/v2/a/b/blobs/{digest}")).await.bytes().await.unwrap() == bytes);

    // One that is only closed after a restart.
    assert_eq!(served.patch(&untouched, 0, b"whole").await.status(), StatusCode::ACCEPTED);
    let served = served.restart().await;
    let whole = Digest::of(b"whole");
    assert_eq!(served.complete(&untouched, &whole, b"").await.status(), StatusCode::CREATED);
    assert!(!served.files().iter().any(|file| file.contains("uploads")), "{:?}", served.files());
}

#[tokio::test]
async fn a_damaged_session_is_found_out_after_a_restart() {
    let served = Served::start().await;
    let location = served.begin("a").await;
    assert_eq!(served.patch(&location, 0, b"0123456789").await.status(), StatusCode::ACCEPTED);
    let file = served.directory.join("a/.strata/uploads").join(location.rsplit('/').next().unwrap());
    let served = served.restart().await;
    fs::write(file, b"0123456X89").unwrap();
    let response = served.complete(&location, &Digest::of(b"0123456789"), b"").await;
    refused(response, 400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn what_another_server_adds_to_an_upload_is_not_taken_for_what_was_hashed() {
    let served = Served::start().await;
    let bytes = content(300_000);
    let (whole, begun) = (Digest::of(&bytes), Digest::of(&bytes[..100_000]));
    let location = served.begin("a").await;
    assert_eq!(served.patch(&location, 0, &bytes[..100_000]).await.status(), StatusCode::ACCEPTED);
    // As while one server stops and the next has begun.
    let other = Served::over(&served.directory, RegistryOptions::default(), None).await;
    assert_eq!(
        other.patch(&location, 100_000, &bytes[100_000..200_000]).await.status(),
        StatusCode::ACCEPTED
    );
    assert_eq!(header(&served.get(&location).await, "range"), "0-199999");
    assert_eq!(served.patch(&location, 200_000, &bytes[200_000..]).await.status(), StatusCode::ACCEPTED);
    assert_eq!(other.complete(&location, &whole, b"").await.status(), StatusCode::CREATED);
    assert!(served.get(&format!("/v2/a/blobs/{whole}")).await.bytes().await.unwrap() == bytes);
    // What one of them has hashed is not what there is now.
    let location = served.begin("a").await;
    assert_eq!(served.patch(&location, 0, &bytes[..100_000]).await.status(), StatusCode::ACCEPTED);
    assert_eq!(other.patch(&location, 100_000, b"x").await.status(), StatusCode::ACCEPTED);
    refused(served.complete(&location, &begun, b"").await, 400, "DIGEST_INVALID").await;
    assert_eq!(served.head(&format!("/v2/a/blobs/{begun}")).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn requests_for_one_upload_take_turns() {
    let served = Served::start().await;
    let location = served.begin("a").await;
    // One begins to send and is slow about it.
    let mut slow = served.connect().await;
    slow.write_all(sending("PATCH", &location, 10).as_bytes()).await.unwrap();
    slow.write_all(b"01234").await.unwrap();
    wait_for(&served, &location, 5).await;
    let digest = Digest::of(b"0123456789abc");
    let mut second = std::pin::pin!(served.complete(&location, &digest, b"abc"));
    assert!(timeout(Duration::from_millis(200), &mut second).await.is_err(), "it waits for its turn");
    slow.write_all(b"56789").await.unwrap();
    assert_eq!(second.await.status(), StatusCode::CREATED);
    assert_eq!(served.get(&format!("/v2/a/blobs/{digest}")).await.text().await.unwrap(), "0123456789abc");
}

#[tokio::test]
async fn of_many_chunks_at_the_same_place_one_is_taken() {
    let served = Served::start().await;
    let location = served.begin("a").await;
    let chunks: Vec<Vec<u8>> = (0..8).map(|number| vec![number; 100_000]).collect();
    let outcomes = futures_util::future::join_all(
        chunks.iter().map(|chunk| async { served.patch(&location, 0, chunk).await.status().as_u16() }),
    )
    .await;
    assert_eq!(outcomes.iter().filter(|status| **status == 202).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|status| **status == 416).count(), 7, "{outcomes:?}");
    let taken = outcomes.iter().position(|status| *status == 202).unwrap();
    let response = served.complete(&location, &Digest::of(&chunks[taken]), b"").await;
    assert_eq!(response.status(), StatusCode::CREATED);
}

#[tokio::test]
async fn many_writers_of_the_same_and_of_other_blobs_lose_nothing() {
    let served = Served::start().await;
    let shared = content(700_000);
    futures_util::future::join_all((0..16).map(|writer| {
        let (served, shared) = (&served, &shared);
        async move {
            served.put_blob("a", shared).await;
            for number in 0..4 {
                let tag = format!("{writer}-{number}");
                served.put_image("a", &tag, &tag).await;
            }
        }
    }))
    .await;
    assert_eq!(served.tags("a").await.len(), 64);
    let digest = Digest::of(&shared);
    assert!(served.get(&format!("/v2/a/blobs/{digest}")).await.bytes().await.unwrap() == shared);
    assert!(!served.files().iter().any(|file| file.contains(".strata")), "{:?}", served.files());
}

#[tokio::test]
async fn uploads_that_nobody_goes_on_with_for_a_week_are_removed_at_the_start() {
    let served = Served::start().await;
    let [old, young] = [served.begin("a").await, served.begin("a").await];
    let file = |location: &str| {
        served.directory.join("a/.strata/uploads").join(location.rsplit('/').next().unwrap())
    };
    let days = |days: u64| SystemTime::now() - Duration::from_secs(days * 24 * 3600);
    for (location, age) in [(&old, 8), (&young, 6)] {
        File::options().write(true).open(file(location)).unwrap().set_modified(days(age)).unwrap();
    }
    let served = served.restart().await;
    assert_eq!(served.get(&old).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(served.get(&young).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_graceful_stop_lets_a_request_finish() {
    let mut served = Served::start().await;
    let address = served.address;
    let location = served.begin("a").await;
    let digest = Digest::of(b"0123456789");
    let mut slow = served.connect().await;
    slow.write_all(sending("PUT", &format!("{location}?digest={digest}"), 10).as_bytes()).await.unwrap();
    slow.write_all(b"01234").await.unwrap();
    wait_for(&served, &location, 5).await;
    let directory = served.directory.clone();
    let temporary = served.keep();
    let stopping = tokio::spawn(served.stop());
    // It takes no new connection, sooner or later, and waits for the one it has.
    let deadline = Instant::now() + Duration::from_secs(60);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(5)).await;
    }
    assert!(!stopping.is_finished());
    slow.write_all(b"56789").await.unwrap();
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut slow, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    stopping.await.unwrap();
    let again = Served::over(&directory, RegistryOptions::default(), None).await;
    let head = again.request(Method::HEAD, &format!("/v2/a/blobs/{digest}")).send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    drop(temporary);
}
