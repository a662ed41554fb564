//! Which operation of the distribution specification a request is, and what is the same for all of them.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, request};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use strata_oci::{LayoutRepository, Repository};
use tokio::sync::Semaphore;

use crate::blobs;
use crate::blocking::{blocking, stopping};
use crate::failure::{Code, Failure};
use crate::htpasswd::Htpasswd;
use crate::incoming::Incoming;
use crate::manifests::Manifests;
use crate::name::Name;
use crate::pagination::Page;
use crate::query::Query;
use crate::referrers::Referrers;
use crate::repositories::Repositories;
use crate::route::Route;
use crate::uploads::{Sessions, Uploads};

/// Says that this is a registry (Docker's registry API, version 2). Old clients will have it.
const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");

/// All that requests share.
pub(crate) struct Service {
    pub(crate) read_only: bool,
    pub(crate) users: Option<Arc<Htpasswd>>,
    pub(crate) repositories: Arc<Repositories>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) referrers: Arc<Referrers>,
    pub(crate) manifest_memory: Arc<Semaphore>,
}

pub(crate) fn router(service: Arc<Service>) -> Router {
    Router::new().fallback(answer).with_state(service)
}

async fn answer(State(service): State<Arc<Service>>, request: Request) -> Response {
    let is_head = request.method() == Method::HEAD;
    let (head, body) = request.into_parts();
    let body = Incoming::new(body, &head.headers);
    let outcome = if head.method == Method::GET || is_head {
        service.answer(head, body).await
    } else {
        // What is begun is finished, or left in order, also if the client goes away.
        tokio::spawn(async move { service.answer(head, body).await })
            .await
            .unwrap_or_else(|_| Err(stopping()))
    };
    let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
    response.headers_mut().insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
    if is_head {
        let length = axum::body::HttpBody::size_hint(response.body()).exact();
        if let Some(length) = length {
            response.headers_mut().entry(CONTENT_LENGTH).or_insert(length.into());
        }
        *response.body_mut() = Body::empty();
    }
    response
}

impl Service {
    async fn answer(&self, head: request::Parts, body: Incoming) -> Result<Response, Failure> {
        if let Some(users) = &self.users {
            users.admit(&head.headers).await?;
        }
        let query = Query::of(&head.uri);
        match Route::of(head.uri.path())? {
            Route::Base => only_get(&head.method, || Ok(crate::json::answer(&json!({})))),
            Route::Catalog => self.catalog(&head.method, &query).await,
            Route::Tags(name) => self.tags(&head.method, &name, &query).await,
            Route::Manifest(name, reference) => self.manifest(&head, body, name, &reference).await,
            Route::Blob(name, digest) => match head.method {
                Method::GET => blobs::get(self.existing(&name).await?, digest, &head.headers).await,
                // Ranges are for GET alone (RFC 9110 section 14.2).
                Method::HEAD => blobs::get(self.existing(&name).await?, digest, &HeaderMap::new()).await,
                Method::DELETE => {
                    self.writable()?;
                    blobs::delete(self.existing(&name).await?, digest).await
                }
                other => Err(Failure::method(&other, "GET, HEAD, DELETE")),
            },
            Route::Uploads(name) => match head.method {
                Method::POST => {
                    self.writable()?;
                    let uploads = self.uploads(self.existing_or_new(&name).await?, name);
                    uploads.begin(&query, body, Arc::clone(&self.repositories)).await
                }
                other => Err(Failure::method(&other, "POST")),
            },
            Route::Upload(name, id) => self.upload(&head, &query, body, name, &id).await,
            Route::Referrers(name, subject) => {
                only_get(&head.method, || Ok(()))?;
                let layout = match self.existing(&name).await {
                    Err(failure) if failure.code() == Code::NameUnknown => None,
                    layout => Some(layout?),
                };
                self.referrers.list(layout, subject, &query).await
            }
        }
    }

    async fn catalog(&self, method: &Method, query: &Query) -> Result<Response, Failure> {
        only_get(method, || Ok(()))?;
        let page = Page::of(query)?;
        let repositories = Arc::clone(&self.repositories);
        let names = blocking(move || Ok(repositories.names())).await?;
        Ok(page.answer("/v2/_catalog", names, |names| json!({ "repositories": names })))
    }

    async fn tags(&self, method: &Method, name: &Name, query: &Query) -> Result<Response, Failure> {
        only_get(method, || Ok(()))?;
        let page = Page::of(query)?;
        let layout = self.existing(name).await?;
        let tags = blocking(move || Ok(layout.tags()?)).await?;
        let path = format!("/v2/{name}/tags/list");
        Ok(page.answer(&path, tags, |tags| json!({ "name": name.as_str(), "tags": tags })))
    }

    async fn manifest(
        &self,
        head: &request::Parts,
        body: Incoming,
        name: Name,
        reference: &str,
    ) -> Result<Response, Failure> {
        let layout = match head.method {
            Method::GET | Method::HEAD => self.existing(&name).await?,
            Method::PUT => {
                self.writable()?;
                self.existing_or_new(&name).await?
            }
            Method::DELETE => {
                self.writable()?;
                self.existing(&name).await?
            }
            ref other => return Err(Failure::method(other, "GET, HEAD, PUT, DELETE")),
        };
        let manifests = Manifests { name, layout };
        match head.method {
            Method::HEAD => manifests.head(reference).await,
            Method::PUT => manifests.put(reference, &head.headers, body, &self.manifest_memory).await,
            Method::DELETE => manifests.delete(reference).await,
            _ => manifests.get(reference).await,
        }
    }

    async fn upload(
        &self,
        head: &request::Parts,
        query: &Query,
        body: Incoming,
        name: Name,
        id: &str,
    ) -> Result<Response, Failure> {
        if !matches!(head.method, Method::GET | Method::HEAD | Method::PATCH | Method::PUT | Method::DELETE) {
            return Err(Failure::method(&head.method, "GET, PATCH, PUT, DELETE"));
        }
        self.writable()?;
        let uploads = self.uploads(self.existing(&name).await?, name);
        match head.method {
            Method::PATCH => uploads.append(id, &head.headers, body).await,
            Method::PUT => uploads.complete(id, query, &head.headers, body).await,
            Method::DELETE => uploads.delete(id).await,
            _ => uploads.status(id).await,
        }
    }

    fn uploads(&self, layout: Arc<LayoutRepository>, name: Name) -> Uploads {
        Uploads { name, layout, sessions: Arc::clone(&self.sessions) }
    }

    /// # Errors
    /// `UNSUPPORTED` if nothing may be written.
    fn writable(&self) -> Result<(), Failure> {
        match self.read_only {
            true => Err(Failure::new(Code::Unsupported, "this registry is read-only")),
            false => Ok(()),
        }
    }

    async fn existing(&self, name: &Name) -> Result<Arc<LayoutRepository>, Failure> {
        let (repositories, name) = (Arc::clone(&self.repositories), name.clone());
        blocking(move || repositories.existing(&name)).await
    }

    async fn existing_or_new(&self, name: &Name) -> Result<Arc<LayoutRepository>, Failure> {
        let (repositories, name) = (Arc::clone(&self.repositories), name.clone());
        blocking(move || repositories.existing_or_new(&name)).await
    }
}

fn only_get<T>(method: &Method, answer: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    match *method {
        Method::GET | Method::HEAD => answer(),
        ref other => Err(Failure::method(other, "GET, HEAD")),
    }
}
