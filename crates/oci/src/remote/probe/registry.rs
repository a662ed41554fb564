//! What can be done with a repository of a registry, found out by asking for what cannot exist.

use reqwest::header::HeaderValue;
use reqwest::{Method, Response, StatusCode, header};
use serde::Deserialize;
use url::Url;

use super::{Check, Outcome};
use crate::remote::auth::Scope;
use crate::remote::client::Client;
use crate::remote::request::Request;
use crate::remote::trouble::{Trouble, registry_host};
use crate::remote::{answer, http, manifests};
use crate::{Credentials, Digest, Error, ErrorKind, Transport};

/// The most bytes that are read of a list of tags, of which one is enough.
const TAGS_LIMIT: u64 = 64 << 20;

/// Of the distribution specification, end-4 and end-5.
const CHUNK_MINIMUM: &str = "oci-chunk-min-length";

/// The digest of nothing that anybody could find.
fn nowhere() -> Digest {
    Digest::from_sha256([0; 32])
}

/// Asks one registry about one repository.
struct Asking<'a> {
    client: Client,
    name: &'a str,
    /// `https://HOST/v2/`.
    root: Url,
}

pub(super) async fn checks(
    https: bool,
    host: &str,
    name: &str,
    transport: &Transport,
    credentials: Option<Credentials>,
) -> Vec<Check> {
    let scheme = if https { "https" } else { "http" };
    let Ok(root) = Url::parse(&format!("{scheme}://{host}/v2/")) else {
        return vec![Check::new("reach", Outcome::No, format!("{host} is no host"))];
    };
    let client = match Client::new(&root, host, name, transport, credentials) {
        Ok(client) => client,
        Err(error) => return vec![Check::of_error("reach", &error)],
    };
    let asking = Asking { client, name, root };
    let mut checks = Vec::new();
    if let Some(anonymous) = asking.reach(&mut checks).await
        && asking.is_registry(&anonymous, &mut checks).await
    {
        checks.push(asking.authentication(&anonymous).await);
        let tag = asking.pull(&mut checks).await;
        asking.push(&mut checks).await;
        checks.push(asking.delete().await);
        checks.push(asking.referrers().await);
        checks.push(asking.ranges(tag).await);
    }
    checks
}

impl Asking<'_> {
    fn request(&self, method: Method, path: &str, scope: Scope) -> Request {
        let mut url = self.root.clone();
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        url.set_path(&format!("/v2/{}/{path}", self.name));
        url.set_query(query);
        Request::new(method, url, scope)
    }

    /// The answer of the API's root to nobody in particular.
    async fn reach(&self, checks: &mut Vec<Check>) -> Option<Response> {
        let request = Request::new(Method::GET, self.root.clone(), Scope::default());
        let outcome = self.client.send_anonymously(&request).await;
        let reached = || Check::new("reach", Outcome::Yes, "it answers");
        match &outcome {
            Ok(_) => {
                checks.push(reached());
                checks.push(self.tls());
            }
            Err(error @ Error::Transport { trouble: Trouble::Tls | Trouble::NoTls, .. }) => {
                checks.push(reached());
                checks.push(Check { outcome: Outcome::Failed, ..Check::of_error("tls", error) });
            }
            Err(error) => checks.push(Check::of_error("reach", error)),
        }
        outcome.ok()
    }

    fn tls(&self) -> Check {
        if self.root.scheme() == "https" {
            return Check::new("tls", Outcome::Yes, "its certificate is trusted");
        }
        let check = Check::new("tls", Outcome::No, "plain HTTP, as the URL says");
        match http::is_loopback(&self.root) {
            true => check,
            false => check.hint("everybody on the way can read and change what is sent, passwords included"),
        }
    }

    async fn is_registry(&self, anonymous: &Response, checks: &mut Vec<Check>) -> bool {
        let status = anonymous.status();
        let version = anonymous.headers().contains_key("docker-distribution-api-version");
        let challenged = anonymous.headers().contains_key(header::WWW_AUTHENTICATE);
        let page = answer::Head::of(anonymous).is_html();
        let is_one = !page
            && match status {
                StatusCode::OK => true,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => version || challenged,
                _ => version,
            };
        let answered = format!("GET {} is answered with {}", self.root, crate::Status(status));
        checks.push(match is_one {
            true => Check::new("api", Outcome::Yes, answered),
            false if page => Check::new("api", Outcome::No, format!("{answered} and an HTML page"))
                .hint("a proxy or a login page answers, or the host is no registry"),
            false => Check::new("api", Outcome::No, answered).hint("the host seems to be no registry"),
        });
        is_one
    }

    async fn authentication(&self, anonymous: &Response) -> Check {
        const NAME: &str = "authentication";
        let schemes: Vec<&str> = anonymous
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok()?.split_whitespace().next())
            .collect();
        if anonymous.status() != StatusCode::UNAUTHORIZED {
            return Check::new(NAME, Outcome::Yes, "the registry asks nobody who they are, to begin with");
        }
        let wanted = format!("the registry wants {}", schemes.join(" or "));
        let request = Request::new(Method::GET, self.root.clone(), Scope::pull(self.name));
        let error = match self.client.send(&request).await {
            Ok(response) if response.status() == StatusCode::OK => {
                return Check::new(NAME, Outcome::Yes, format!("{wanted}: {}", self.client.tried()));
            }
            Ok(response) => self.client.failure(&request.exchange, response).await,
            Err(error) => error,
        };
        let mut check = Check::of_error(NAME, &error);
        if error.kind() == ErrorKind::Denied && self.client.takes_credentials() {
            let host = registry_host(&self.root);
            check = check.hint(format!("`strata login {host}` keeps other credentials for it"));
        }
        Check { detail: format!("{wanted}: {}", check.detail), ..check }
    }

    /// Asks for the tags; one of them.
    async fn pull(&self, checks: &mut Vec<Check>) -> Option<String> {
        #[derive(Deserialize)]
        struct Page {
            tags: Option<Vec<String>>,
        }
        const NAME: &str = "pull";
        let request = self.request(Method::GET, "tags/list?n=1", Scope::pull(self.name));
        let exchange = &request.exchange;
        let outcome = async {
            let (response, body) = self.client.receive(&request, TAGS_LIMIT).await?;
            let response = self.client.refuse_html(exchange, "a list of tags", response).await?;
            match response.status() {
                StatusCode::OK => serde_json::from_slice::<Page>(&body)
                    .map(Some)
                    .map_err(|error| exchange.protocol(format!("not a list of tags: {error}"))),
                StatusCode::NOT_FOUND => Ok(None),
                _ => Err(self.client.failure(exchange, response).await),
            }
        };
        match outcome.await {
            Ok(Some(page)) => {
                let tag = page.tags.unwrap_or_default().into_iter().next();
                let detail = if tag.is_some() { "its tags can be listed" } else { "it has no tags" };
                checks.push(Check::new(NAME, Outcome::Yes, detail));
                tag
            }
            Ok(None) => {
                let detail = format!("there is no repository {} yet", self.name);
                checks.push(
                    Check::new(NAME, Outcome::Unknown, detail).hint("most registries make it when pushed to"),
                );
                None
            }
            Err(error) => {
                checks.push(Check::of_error(NAME, &error));
                None
            }
        }
    }

    /// Begins uploads and ends them again.
    async fn push(&self, checks: &mut Vec<Check>) {
        let scope = Scope::push(self.name);
        let upload = self.request(Method::POST, "blobs/uploads/", scope.clone());
        let session = match self.begin(&upload).await {
            Ok(session) => session,
            Err(error) => {
                checks.push(Check::of_error("push", &error));
                return;
            }
        };
        let ended = self.end(&upload, &session).await;
        checks.push(Check::new("push", Outcome::Yes, format!("an upload can be begun; {ended}")));

        let path = format!("blobs/uploads/?mount={}&from={}", nowhere(), self.name);
        let mount = self.request(Method::POST, &path, scope);
        checks.push(match self.begin(&mount).await {
            Ok(session) => {
                self.end(&mount, &session).await;
                let detail = "asking for a blob that is not there begins an upload, as it should";
                Check::new("mount", Outcome::Unknown, detail)
                    .hint("nothing was mounted, as it would stay there")
            }
            Err(error) => Check::of_error("mount", &error).hint("blobs of other repositories are sent again"),
        });

        let minimum = session.headers().get(CHUNK_MINIMUM).and_then(|value| value.to_str().ok());
        let detail = match minimum {
            Some(bytes) => format!("at least {bytes} bytes each, but for the last"),
            None => "the registry states no least size of them".to_string(),
        };
        checks.push(Check::new("upload chunks", Outcome::Yes, detail));
    }

    async fn begin(&self, upload: &Request) -> Result<Response, Error> {
        let request = upload.clone().header(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        let response = self.client.send(&request).await?;
        let response = self.client.refuse_html(&request.exchange, "a place to upload to", response).await?;
        match response.status() {
            StatusCode::ACCEPTED => Ok(response),
            _ => Err(self.client.failure(&request.exchange, response).await),
        }
    }

    /// Ends an upload, and says how that went. Registries forget those that they do not let end.
    async fn end(&self, upload: &Request, session: &Response) -> &'static str {
        const LEFT: &str = "the registry does not let it be ended, and forgets it by itself";
        let location = answer::header(session, header::LOCATION);
        let place =
            location.and_then(|target| upload.exchange.pointed_at("Location", &target, session.url()).ok());
        let Some(place) = place else { return LEFT };
        let request = Request::new(Method::DELETE, place, upload.scope.clone());
        match self.client.send(&request).await {
            Ok(response) if response.status().is_success() => "it was ended again",
            _ => LEFT,
        }
    }

    async fn delete(&self) -> Check {
        const NAME: &str = "delete";
        let path = format!("manifests/{}", nowhere());
        let request = self.request(Method::DELETE, &path, Scope::delete(self.name));
        match self.client.send(&request).await {
            Ok(response) if matches!(response.status(), StatusCode::NOT_FOUND | StatusCode::ACCEPTED) => {
                Check::new(NAME, Outcome::Yes, "deleting what is not there is answered as it should be")
            }
            Ok(response) => Check::of_error(NAME, &self.client.failure(&request.exchange, response).await),
            Err(error) => Check::of_error(NAME, &error),
        }
    }

    async fn referrers(&self) -> Check {
        const NAME: &str = "referrers";
        let request = self.request(Method::GET, &format!("referrers/{}", nowhere()), Scope::pull(self.name));
        match self.client.send(&request).await {
            Ok(response) if answer::Head::of(&response).is_html() => {
                Check::new(NAME, Outcome::No, "an HTML page is the answer")
            }
            Ok(response) => match response.status() {
                StatusCode::OK => Check::new(NAME, Outcome::Yes, "they can be asked for"),
                StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::BAD_REQUEST => {
                    Check::new(NAME, Outcome::No, "the registry does not know of them")
                        .hint("what refers to an image is found by the tag sha256-… there")
                }
                _ => Check::of_error(NAME, &self.client.failure(&request.exchange, response).await),
            },
            Err(error) => Check::of_error(NAME, &error),
        }
    }

    /// Asks for the first byte of the config of `tag`.
    async fn ranges(&self, tag: Option<String>) -> Check {
        const NAME: &str = "ranges";
        let Some(tag) = tag else { return Check::new(NAME, Outcome::Unknown, "there is no blob to ask for") };
        let manifest = self.request(Method::GET, &format!("manifests/{tag}"), Scope::pull(self.name));
        let raw = match manifests::get(&self.client, self.name, manifest.exchange.url, None).await {
            Ok(raw) => raw,
            Err(error) => return Check::of_error(NAME, &error),
        };
        let Some(Ok(manifest)) = raw.map(|raw| raw.parse()) else {
            return Check::new(
                NAME,
                Outcome::Unknown,
                format!("{tag} is no image, whose blobs could be asked for"),
            );
        };
        let path = format!("blobs/{}", manifest.config.digest);
        let request = self
            .request(Method::GET, &path, Scope::pull(self.name))
            .header(header::RANGE, HeaderValue::from_static("bytes=0-0"));
        match self.client.send(&request).await {
            Ok(response) => match response.status() {
                StatusCode::PARTIAL_CONTENT => {
                    Check::new(NAME, Outcome::Yes, "parts of blobs can be asked for")
                }
                StatusCode::OK => {
                    Check::new(NAME, Outcome::No, "a part was asked for, and the whole is the answer")
                        .hint("a download that breaks off begins anew")
                }
                _ => Check::of_error(NAME, &self.client.failure(&request.exchange, response).await),
            },
            Err(error) => Check::of_error(NAME, &error),
        }
    }
}
