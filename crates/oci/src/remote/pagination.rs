//! The list of tags, page by page.

use std::collections::{BTreeSet, HashSet};

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode, header};
use url::Url;

use super::auth::Scope;
use super::client::Client;
use super::exchange::Exchange;
use super::link;
use super::request::Request;
use crate::{Error, RawObject};

/// The most bytes of one page. Registries that do not paginate send all tags at once.
const PAGE_LIMIT: u64 = 256 << 20;

/// The most pages: at the usual hundred tags each, a million tags. A registry that sends more is going in circles.
const PAGES: usize = 10_000;

/// All tags, sorted. The number and order of a page's tags are the registry's business: nothing is asked for but the
/// next page it points at, with whatever is in that URL.
pub(super) async fn tags(client: &Client, name: &str, first: Url) -> Result<Vec<String>, Error> {
    let mut tags = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut next = Some(first);
    while let Some(url) = next {
        let request = Request::new(Method::GET, url.clone(), Scope::pull(name))
            .header(header::ACCEPT, HeaderValue::from_static("application/json"));
        let exchange = &request.exchange;
        if seen.len() == PAGES || !seen.insert(url) {
            return Err(exchange.protocol("its list of tags does not end"));
        }
        let (response, body) = client.receive(&request, PAGE_LIMIT).await?;
        let response = client.refuse_html(exchange, "a list of tags", response).await?;
        match response.status() {
            StatusCode::OK => {}
            // A repository comes into being with the first push; but the second page must be there if the first was.
            StatusCode::NOT_FOUND if seen.len() == 1 => return Ok(Vec::new()),
            _ => return Err(client.failure(exchange, response).await),
        }
        let answered_by = response.url().clone();
        let target = response
            .headers()
            .get_all(header::LINK)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .find_map(link::next)
            .map(str::to_string);
        next = match target {
            Some(target) => Some(same_origin(exchange, &target, &answered_by)?),
            None => None,
        };
        let page = serde_json::from_slice::<RawObject>(&body).and_then(|mut page| page.take("tags"));
        let page: Option<Vec<String>> =
            page.map_err(|error| exchange.protocol(format!("not a list of tags: {error}")))?;
        // Some registries write `null` for a repository without tags.
        tags.extend(page.unwrap_or_default());
    }
    Ok(tags.into_iter().collect())
}

/// The next page: of the same registry, for what another one would send is not this repository's tags.
fn same_origin(exchange: &Exchange, target: &str, answered_by: &Url) -> Result<Url, Error> {
    let next = exchange.pointed_at("Link", target, answered_by)?;
    if next.origin() != exchange.url.origin() {
        let host = next.host_str().unwrap_or_default();
        return Err(exchange.protocol(format!("its Link header leads to another server, {host}")));
    }
    Ok(next)
}
