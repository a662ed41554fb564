//! Many requests at once: one token for all of them, and no more than the registry bears.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::thread;

use strata_oci::Repository;
use strata_testkit::faults::Log;
use strata_testkit::registry::TestRegistry;
use strata_testkit::token_server::{Rights, TokenOptions, TokenServer};

use crate::client::{blob, open_as, read};

/// As many threads as requests, which begin together.
const CROWD: usize = 100;

fn all_at_once(work: impl Fn(u64) + Sync) {
    let barrier = Barrier::new(CROWD);
    thread::scope(|scope| {
        for number in 0..CROWD as u64 {
            let (barrier, work) = (&barrier, &work);
            scope.spawn(move || {
                barrier.wait();
                work(number);
            });
        }
    });
}

/// How often a token for each scope was asked for.
fn by_scope(tokens: &TokenServer) -> BTreeMap<Vec<String>, usize> {
    let mut counts = BTreeMap::new();
    for request in tokens.requests() {
        *counts.entry(request.scopes).or_default() += 1;
    }
    counts
}

fn blob_requests(log: &Log) -> usize {
    log.entries().iter().filter(|entry| entry.target.contains("/blobs/")).count()
}

#[test]
fn a_hundred_blob_requests_cause_one_token_request_per_scope() {
    let tokens = TokenServer::start(TokenOptions::only("me", "secret", Rights::Everything));
    let registry = TestRegistry::builder().tokens(&tokens).start();

    let repository = open_as(&registry, "me", "secret");
    all_at_once(|number| assert!(!repository.put_blob(&blob(1000, number)).unwrap().existed));
    assert!(blob_requests(registry.log()) >= 3 * CROWD);
    let counts = by_scope(&tokens);
    assert!(!counts.is_empty() && counts.values().all(|count| *count == 1), "{counts:?}");

    // Another handle has to begin anew, and asks for no more than it needs.
    let before = tokens.requests().len();
    let repository = open_as(&registry, "me", "secret");
    all_at_once(|number| {
        let source = blob(1000, number);
        assert_eq!(read(&repository, &source).unwrap().len(), 1000);
    });
    let requests = &tokens.requests()[before..];
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert_eq!(requests[0].scopes, ["repository:some/cache:pull"]);
}

#[test]
fn a_hundred_requests_whose_token_is_revoked_cause_one_token_request_more() {
    let tokens = TokenServer::start(TokenOptions::only("me", "secret", Rights::Everything));
    let registry = TestRegistry::builder().tokens(&tokens).start();
    let repository = open_as(&registry, "me", "secret");
    let source = blob(1000, 0);
    let _ = repository.put_blob(&source).unwrap();
    read(&repository, &source).unwrap();
    let before = tokens.requests().len();
    tokens.book().revoke_all();
    all_at_once(|_| assert_eq!(read(&repository, &source).unwrap().len(), 1000));
    let requests = &tokens.requests()[before..];
    assert_eq!(requests.len(), 1, "{requests:?}");
}
