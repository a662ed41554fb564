//! Q11–Q13: lists of tags.

use strata_oci::Repository;
use strata_testkit::faults::rules::on;
use strata_testkit::faults::{Answer, Entry, Fault, rewrite};
use strata_testkit::registry::TestRegistry;

use crate::client::open;
use crate::image::Image;

const LIST: &str = "/v2/some/cache/tags/list";

/// A registry that has `count` tags and gives `page` of them at a time, whatever it is asked for. `link` says where
/// the page from a tag on is.
fn paginated(registry: &TestRegistry, count: usize, page: usize, link: fn(&Entry, usize) -> String) {
    registry.faults().add(on("GET", LIST, move |entry| {
        let from = entry.parameters().iter().find_map(|(_, value)| value.strip_prefix("from-")?.parse().ok());
        let from: usize = from.unwrap_or(0);
        let tags: Vec<String> = (from..count).take(page).map(|number| format!("tag-{number:04}")).collect();
        let body = serde_json::json!({"name": "some/cache", "tags": tags}).to_string();
        let answer = Answer::status(200).header("Content-Type", "application/json").body(body);
        let next = from + page;
        Fault::Answer(if next < count { answer.header("Link", link(entry, next)) } else { answer })
    }));
}

/// GitHub, Docker and GitLab give a hundred tags and a link, also to whoever did not ask for pages.
#[test]
fn q11_pages_without_being_asked() {
    let links: [fn(&Entry, usize) -> String; 2] = [
        |_, next| format!("<{LIST}?n=100&last=from-{next}&odd=%2f&blank=>; rel=\"next\""),
        |entry, next| {
            let host = entry.header("host").unwrap();
            format!("<http://{host}{LIST}?n=100&last=from-{next}&odd=%2f&blank=>; title=\"a, b\"; rel=next")
        },
    ];
    for link in links {
        let registry = TestRegistry::start();
        paginated(&registry, 250, 100, link);
        let tags = open(&registry).tags().unwrap();
        assert_eq!(tags.len(), 250);
        assert_eq!(tags[249], "tag-0249");
        let targets: Vec<String> =
            registry.log().entries().iter().map(|entry| entry.target.clone()).collect();
        let expected = [
            LIST.to_string(),
            format!("{LIST}?n=100&last=from-100&odd=%2f&blank="),
            format!("{LIST}?n=100&last=from-200&odd=%2f&blank="),
        ];
        assert_eq!(targets, expected, "links are followed as they are");
    }
}

/// Quay's pages are named by tokens that nobody but Quay can make, and too large a page is refused.
#[test]
fn q12_pages_named_by_tokens() {
    let registry = TestRegistry::start();
    paginated(&registry, 120, 50, |_, next| format!("<{LIST}?next_page=from-{next}>; rel=\"next\""));
    assert_eq!(open(&registry).tags().unwrap().len(), 120);
    for entry in registry.log().entries() {
        let names: Vec<String> = entry.parameters().into_iter().map(|(name, _)| name).collect();
        assert!(names.is_empty() || names == ["next_page"], "{}", entry.target);
    }
}

/// An empty repository has `null` for tags; one that nothing was put into yet does not exist.
#[test]
fn q13_tags_are_null() {
    let registry = TestRegistry::start();
    let repository = open(&registry);
    assert_eq!(repository.tags().unwrap(), Vec::<String>::new(), "nothing was put into it");
    assert_eq!(registry.log().count_status(404), 1, "{:?}", registry.log().lines());
    let image = Image::new("x");
    image.put(&repository, "t");
    registry.faults().add(on("GET", LIST, |_| {
        rewrite::set_body("application/json", r#"{"name":"some/cache","tags":null}"#)
    }));
    assert_eq!(repository.tags().unwrap(), Vec::<String>::new());
}
