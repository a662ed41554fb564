//! Q1–Q6, Q9: how registries ask for credentials, and how token servers answer.

use strata_oci::{BlobSource, ErrorKind, Repository};
use strata_testkit::certificates::Authority;
use strata_testkit::faults::rewrite;
use strata_testkit::faults::rules::when;
use strata_testkit::registry::TestRegistry;
use strata_testkit::token_server::{Field, Rights, TokenOptions, TokenServer};

use crate::client::{NAME, credentials, open, open_as, open_at, options, read};
use crate::image::{Image, name};

const PULL: &str = "repository:some/cache:pull";

/// Pushes and pulls.
fn works(repository: &dyn Repository) {
    let image = Image::new("quirk");
    image.put(repository, "t");
    assert_eq!(repository.resolve(&name("t")).unwrap().unwrap().digest, image.digest());
    assert_eq!(repository.tags().unwrap(), ["t"]);
    read(repository, &image.layer).unwrap();
}

/// Azure's registry names the token as OAuth 2 does.
#[test]
fn q01_access_token_instead_of_token() {
    let tokens = TokenServer::start(TokenOptions { field: Field::AccessToken, ..TokenOptions::default() });
    let registry = TestRegistry::builder().tokens(&tokens).start();
    works(&open(&registry));
}

/// Amazon's registry has no token server: the user is AWS, and the token is the password.
#[test]
fn q02_basic_challenge() {
    let registry = TestRegistry::builder().user("AWS", "ey-long-token").start();
    works(&open_as(&registry, "AWS", "ey-long-token"));
    let error = open_as(&registry, "AWS", "yesterday's").tags().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains("the test's own"), "{error}");
}

/// Several challenges, in one header or in several, in any order, with blanks, quotes and tokens in odd places.
#[test]
fn q03_several_challenges_in_one_header() {
    let disguises: [fn(&str) -> String; 3] = [
        |bearer| format!("Negotiate, NTLM TlRMTVNTUAAC=, Basic realm=\"a, \\\"b\\\" c\", {bearer}"),
        |bearer| format!("{bearer}, Negotiate YIIZg1NTA=="),
        |bearer| {
            let shouted =
                bearer.replacen("Bearer realm=", "bEaReR  Realm = ", 1).replace(",service=", " ,, SERVICE= ");
            format!("Digest realm=\"Bearer realm=\\\"http://127.0.0.1:1/\\\"\", qop=auth, {shouted}")
        },
    ];
    for disguise in disguises {
        let tokens = TokenServer::start(TokenOptions::default());
        let registry = TestRegistry::builder().tokens(&tokens).start();
        registry.faults().add(when(|_| true, move |_| rewrite::change_header("www-authenticate", disguise)));
        works(&open(&registry));
    }
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = TestRegistry::builder().tokens(&tokens).start();
    registry.faults().add(when(
        |_| true,
        |_| {
            rewrite::with(|mut response| {
                let headers = response.headers_mut();
                if let Some(bearer) = headers.remove("www-authenticate") {
                    headers.append("www-authenticate", "Negotiate".parse().unwrap());
                    headers.append("www-authenticate", bearer);
                }
                response
            })
        },
    ));
    works(&open(&registry));
}

/// GitHub's registry names somebody else's repository in its challenge.
#[test]
fn q04_placeholder_scope_in_the_challenge() {
    let tokens = TokenServer::start(TokenOptions::default());
    let registry = TestRegistry::builder().tokens(&tokens).start();
    registry.faults().add(when(
        |_| true,
        |_| {
            rewrite::change_header("www-authenticate", |bearer| {
                let scope = bearer.find(",scope=").unwrap_or(bearer.len());
                format!("{},scope=\"repository:user/image:pull\"", &bearer[..scope])
            })
        },
    ));
    works(&open(&registry));
    let scopes: Vec<String> = tokens.requests().into_iter().flat_map(|request| request.scopes).collect();
    assert!(!scopes.is_empty());
    assert!(scopes.iter().all(|scope| scope.starts_with("repository:some/cache:")), "{scopes:?}");
}

/// GitHub's token server refuses whoever asks for push and may only pull, where others give a token for pull.
#[test]
fn q05_asking_for_push_with_read_only_rights_is_refused() {
    let mut options = TokenOptions::only("writer", "w-secret", Rights::Everything);
    options.users.push(("reader".to_string(), "r-secret".to_string(), Rights::Pull));
    options.refuse_excess = true;
    let tokens = TokenServer::start(options);
    let registry = TestRegistry::builder().tokens(&tokens).start();
    works(&open_as(&registry, "writer", "w-secret"));
    let reader = open_as(&registry, "reader", "r-secret");
    let image = Image::new("quirk");
    assert_eq!(reader.resolve(&name("t")).unwrap().unwrap().digest, image.digest());
    assert!(reader.manifest(&name("t").into()).unwrap().is_some());
    assert_eq!(reader.tags().unwrap(), ["t"]);
    assert_eq!(reader.blob_size(&image.layer.digest).unwrap(), Some(image.layer.size));
    read(&reader, &image.layer).unwrap();
    let asked = |user: &str| {
        let requests = tokens.requests().into_iter().filter(|request| request.user.as_deref() == Some(user));
        requests.flat_map(|request| request.scopes).collect::<Vec<_>>()
    };
    assert!(asked("reader").iter().all(|scope| scope == PULL), "{:?}", asked("reader"));
    let error = reader.put_blob(&BlobSource::bytes(b"new".to_vec())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().contains(NAME), "{error}");
    // And what was refused for writing goes on for reading.
    assert_eq!(reader.tags().unwrap(), ["t"]);
}

/// Tokens are not for their bearer to understand: GitHub's are no JSON Web Tokens.
#[test]
fn q06_token_that_is_no_jwt() {
    let tokens = TokenServer::start(TokenOptions { expires_in: None, ..TokenOptions::default() });
    let registry = TestRegistry::builder().tokens(&tokens).start();
    works(&open(&registry));
    assert!(tokens.book().all().iter().all(|token| token.starts_with("opaque-._~+/")));
}

/// A registry behind TLS that sends its clients to a token server without: the password would be for everybody.
#[test]
fn q09_realm_over_plain_http_is_refused() {
    let tokens = TokenServer::start(TokenOptions::only("me", "secret", Rights::Everything));
    let authority = Authority::new();
    let registry = TestRegistry::builder().tokens(&tokens).tls(&authority).start();
    let mut trusting = options();
    trusting.tls.authorities.push(authority.ca_file());
    let repository = open_at(&registry.url(NAME), trusting, Some(credentials("me", "secret")));
    let error = repository.tags().unwrap_err();
    assert!(error.to_string().contains("http"), "{error}");
    assert_eq!(registry.log().count_status(401), 1, "{error}");
    assert!(tokens.log().entries().is_empty());

    // Where the registry itself is without, there is nothing to lose.
    let registry = TestRegistry::builder().tokens(&tokens).start();
    works(&open_as(&registry, "me", "secret"));
}
