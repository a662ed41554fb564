//! Q7, Q8, Q10: when credentials are sent, to whom, and what happens when they are not good any more.

use strata_oci::{ErrorKind, RemoteRepository, Repository, Transport};
use strata_testkit::faults::rules::once;
use strata_testkit::registry::TestRegistry;
use strata_testkit::token_server::{Rights, TokenOptions, TokenServer};

use crate::client::{NAME, blob, credentials, open, open_as, open_at, options, read};
use crate::image::{Image, name};

/// Public images need a token, too, which everybody gets who asks; for private ones it is the token server that
/// refuses.
#[test]
fn q07_anonymous_token() {
    let mut access = TokenOptions::only("writer", "secret", Rights::Everything);
    access.anonymous = Rights::Pull;
    let tokens = TokenServer::start(access);
    let registry = TestRegistry::builder().tokens(&tokens).start();
    let image = Image::new("x");
    image.put(&open_as(&registry, "writer", "secret"), "t");
    let anybody = open(&registry);
    assert_eq!(anybody.resolve(&name("t")).unwrap().unwrap().digest, image.digest());
    let requests = tokens.requests();
    assert!(requests.iter().any(|request| request.user.is_none()), "{requests:?}");
}

/// The other half of Q7: 401 from the token server is not a wrong password alone.
#[test]
fn q07_private_is_refused_by_the_token_server() {
    let tokens = TokenServer::start(TokenOptions::only("owner", "secret", Rights::Everything));
    let registry = TestRegistry::builder().tokens(&tokens).start();
    for repository in [open(&registry), open_as(&registry, "stranger", "wrong")] {
        let error = repository.resolve(&name("t")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        let message = error.to_string();
        assert!(message.contains("private") && message.contains("does not exist"), "{message}");
        assert!(message.contains(NAME), "{message}");
        assert!(!message.contains("wrong?"), "{message}");
    }
    assert_eq!(registry.log().count("GET", "/blobs/"), 0);
}

/// Tokens live for minutes, and uploads for longer.
#[test]
fn q08_token_expires_in_the_middle_of_an_upload() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = TestRegistry::builder().tokens(&tokens).start();
    let book = tokens.book().clone();
    // Each of these finds its token gone, once.
    for (method, part) in [("PUT", "/blobs/uploads/"), ("PUT", "/manifests/"), ("GET", "/blobs/sha256:")] {
        let book = book.clone();
        registry.faults().add(once(move |entry| {
            if entry.is(method, part) {
                book.revoke_all();
                return Some(strata_testkit::faults::rewrite::with(|response| response));
            }
            None
        }));
    }
    let repository = open(&registry);
    let layer = blob(3 << 20, 8);
    assert!(!repository.put_blob(&layer).unwrap().existed);
    let image = Image::new("x");
    image.put(&repository, "t");
    read(&repository, &layer).unwrap();
    assert_eq!(read(&open(&registry), &layer).unwrap().len(), 3 << 20);
}

/// The other half of Q8: a token is for one repository, not for a host.
#[test]
fn q08_tokens_are_kept_by_repository() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = TestRegistry::builder().tokens(&tokens).start();
    let transport = Transport::new(options());
    for name in ["one/cache", "other/cache", "one/cache"] {
        let url = registry.url(name).parse().unwrap();
        let repository = RemoteRepository::open(&url, &transport, None).unwrap();
        for _ in 0..3 {
            assert_eq!(repository.tags().unwrap(), Vec::<String>::new());
        }
    }
    assert!(tokens.count(&["repository:one/cache:pull"]) >= 1);
    assert_eq!(tokens.count(&["repository:other/cache:pull"]), 1);
}

/// Plain http is spoken where it was asked for, and nowhere else; and there, too, a challenge is answered once.
#[test]
fn q10_plain_http_only_where_asked_for() {
    let registry = TestRegistry::builder().user("me", "secret").start();
    let with_tls = registry.url(NAME).replace("oci+http://", "oci://");
    let error = open_at(&with_tls, options(), Some(credentials("me", "secret"))).tags().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("oci+http://"), "{error}");
    assert!(registry.log().entries().is_empty(), "{:?}", registry.log().lines());

    let repository = open_as(&registry, "me", "secret");
    let image = Image::new("x");
    image.put(&repository, "t");
    for _ in 0..5 {
        assert_eq!(repository.tags().unwrap(), ["t"]);
    }
    assert_eq!(registry.log().count_status(401), 1, "{:?}", registry.log().lines());
}
