//! A registry on a loopback port, and requests to it as a client makes them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use strata_oci::{Descriptor, Digest, Manifest, media_type};
use strata_registry::{Registry, RegistryOptions, ServerCertificate, serve};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A registry that is being served over a directory of its own.
pub(crate) struct Served {
    pub(crate) address: SocketAddr,
    pub(crate) directory: PathBuf,
    pub(crate) client: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
    temporary: Option<tempfile::TempDir>,
}

impl Served {
    pub(crate) async fn start() -> Self {
        Self::with(RegistryOptions::default()).await
    }

    pub(crate) async fn with(options: RegistryOptions) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let directory = temporary.path().join("repositories");
        let mut served = Self::over(&directory, options, None).await;
        served.temporary = Some(temporary);
        served
    }

    pub(crate) async fn over(
        directory: &Path,
        options: RegistryOptions,
        certificate: Option<ServerCertificate>,
    ) -> Self {
        let registry = Registry::open(directory, options).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _ = stopped.await;
        };
        let serving = async move { serve(registry.router(), listener, certificate, stopped).await.unwrap() };
        Self {
            address,
            directory: directory.to_path_buf(),
            client: reqwest::Client::new(),
            stop: Some(stop),
            serving: tokio::spawn(serving),
            temporary: None,
        }
    }

    /// Ends this one and opens another over the same directory.
    pub(crate) async fn restart(mut self) -> Self {
        let temporary = self.keep();
        let directory = self.directory.clone();
        self.stop().await;
        let mut next = Self::over(&directory, RegistryOptions::default(), None).await;
        next.temporary = temporary;
        next
    }

    /// Stops it gracefully and waits until it has.
    pub(crate) async fn stop(mut self) {
        // Idle connections of the client would otherwise be waited for.
        self.client = reqwest::Client::new();
        self.stop.take().unwrap().send(()).unwrap();
        self.serving.await.unwrap();
    }

    /// Keeps the directory beyond the registry.
    pub(crate) fn keep(&mut self) -> Option<tempfile::TempDir> {
        self.temporary.take()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.request(Method::GET, path).send().await.unwrap()
    }

    pub(crate) async fn head(&self, path: &str) -> Response {
        self.request(Method::HEAD, path).send().await.unwrap()
    }

    pub(crate) async fn delete(&self, path: &str) -> Response {
        self.request(Method::DELETE, path).send().await.unwrap()
    }

    /// Begins an upload; its location.
    pub(crate) async fn begin(&self, name: &str) -> String {
        let response =
            self.request(Method::POST, &format!("/v2/{name}/blobs/uploads/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::ACCEPTED);
        header(&response, "location")
    }

    /// A chunk at `start`.
    pub(crate) async fn patch(&self, location: &str, start: usize, chunk: &[u8]) -> Response {
        self.request(Method::PATCH, location)
            .header("content-type", "application/octet-stream")
            .header("content-range", format!("{start}-{}", start + chunk.len() - 1))
            .body(chunk.to_vec())
            .send()
            .await
            .unwrap()
    }

    /// The last bytes.
    pub(crate) async fn complete(&self, location: &str, digest: &Digest, bytes: &[u8]) -> Response {
        self.request(Method::PUT, &format!("{location}?digest={digest}"))
            .header("content-type", "application/octet-stream")
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap()
    }

    pub(crate) async fn put_blob(&self, name: &str, content: &[u8]) -> Digest {
        let digest = Digest::of(content);
        let location = self.begin(name).await;
        assert_eq!(self.complete(&location, &digest, content).await.status(), StatusCode::CREATED);
        digest
    }

    pub(crate) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Response {
        self.request(Method::PUT, &format!("/v2/{name}/manifests/{reference}"))
            .header("content-type", media_type)
            .body(bytes.to_vec())
            .send()
            .await
            .unwrap()
    }

    /// Puts an image of one layer, which `comment` makes one of many, with its blobs.
    pub(crate) async fn put_image(&self, name: &str, reference: &str, comment: &str) -> Image {
        let image = Image::new(comment);
        self.put_blob(name, &image.config).await;
        self.put_blob(name, &image.layer).await;
        let response = self.put_manifest(name, reference, media_type::OCI_MANIFEST, &image.manifest).await;
        assert_eq!(response.status(), StatusCode::CREATED, "{}", response.text().await.unwrap());
        image
    }

    /// The manifest's own paths.
    pub(crate) async fn manifest_status(&self, name: &str, reference: &str) -> StatusCode {
        self.get(&format!("/v2/{name}/manifests/{reference}")).await.status()
    }

    /// All tags, as one answer.
    pub(crate) async fn tags(&self, name: &str) -> Vec<String> {
        let document = json(self.get(&format!("/v2/{name}/tags/list")).await).await;
        serde_json::from_value(document["tags"].clone()).unwrap()
    }

    /// The names of all files below the registry's directory that are neither locks nor markers.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect(&self.directory, &mut files);
        let root = format!("{}/", self.directory.display());
        files.iter_mut().for_each(|file| *file = file.replacen(&root, "", 1));
        files.retain(|file| !file.ends_with("/lock"));
        files.sort();
        files
    }
}

fn collect(directory: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(directory).into_iter().flatten() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            collect(&entry.path(), files);
        } else {
            files.push(entry.path().display().to_string());
        }
    }
}

/// A smallest image, as bytes.
pub(crate) struct Image {
    pub(crate) config: Vec<u8>,
    pub(crate) layer: Vec<u8>,
    pub(crate) manifest: Vec<u8>,
}

impl Image {
    pub(crate) fn new(comment: &str) -> Self {
        let config = format!(r#"{{"architecture":"amd64","os":"linux","comment":"{comment}"}}"#).into_bytes();
        let layer = format!("layer of {comment}").into_bytes();
        let manifest = Manifest::new(
            Descriptor::of(media_type::OCI_CONFIG, &config),
            vec![Descriptor::of(media_type::OCI_LAYER_GZIP, &layer)],
        );
        Self { config, layer, manifest: manifest.to_bytes().unwrap() }
    }

    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.manifest)
    }
}

/// The one value of a header.
pub(crate) fn header(response: &Response, name: &str) -> String {
    let value = response.headers().get(name).unwrap_or_else(|| panic!("no {name}: {response:?}"));
    value.to_str().unwrap().to_string()
}

pub(crate) async fn json(response: Response) -> serde_json::Value {
    assert_eq!(header(&response, "content-type").split(';').next(), Some("application/json"));
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

/// Asserts that the answer is an error of that status and code; its message.
pub(crate) async fn refused(response: Response, status: u16, code: &str) -> String {
    assert_eq!(response.status().as_u16(), status, "{response:?}");
    let document = json(response).await;
    assert_eq!(document["errors"][0]["code"], code, "{document}");
    document["errors"][0]["message"].as_str().unwrap().to_string()
}

/// Bytes that do not repeat with any power of two.
pub(crate) fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31) >> 3) as u8 ^ (at % 251) as u8).collect()
}
