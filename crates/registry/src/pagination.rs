//! Long lists in pages (distribution specification 1.1, "Listing Tags").

use axum::http::header::LINK;
use axum::response::Response;
use serde_json::Value;

use crate::failure::{Code, Failure};
use crate::json;
use crate::query::Query;

/// The part of a list that a request asks for.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// At most so many; all if nothing is said.
    number: Option<usize>,
    /// Those after this one, which need not be in the list.
    last: Option<String>,
}

impl Page {
    /// # Errors
    /// `PAGINATION_NUMBER_INVALID`.
    pub(crate) fn of(query: &Query) -> Result<Self, Failure> {
        let number = query.get("n").map(|number| {
            number.parse().map_err(|_| {
                Failure::new(Code::PaginationInvalid, format!("n={number:?} is not a number of results"))
            })
        });
        Ok(Self { number: number.transpose()?, last: query.get("last").map(str::to_string) })
    }

    /// The answer to a request for `path`: `document` of this page of `list`, which is sorted, with a link to the
    /// next page if there is one.
    pub(crate) fn answer(
        &self,
        path: &str,
        list: Vec<String>,
        document: impl FnOnce(&[String]) -> Value,
    ) -> Response {
        let start = match &self.last {
            Some(last) => list.partition_point(|item| item <= last),
            None => 0,
        };
        let rest = &list[start..];
        let page = &rest[..rest.len().min(self.number.unwrap_or(usize::MAX))];
        let mut response = json::answer(&document(page));
        if page.len() < rest.len()
            && let Some(last) = page.last()
        {
            let query = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("last", last)
                .append_pair("n", &page.len().to_string())
                .finish();
            if let Ok(link) = format!("<{path}?{query}>; rel=\"next\"").parse() {
                response.headers_mut().insert(LINK, link);
            }
        }
        response
    }
}
