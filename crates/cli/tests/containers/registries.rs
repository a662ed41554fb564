//! The registries that images are pulled from.

use crate::support::{World, text};
use serde_json::Value;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use strata_oci::{
    Digest, ImageConfig, Manifest, ManifestRef, Repository, Transport, image_config, image_manifest, open,
};
use strata_testkit::base_image::BaseImage;
use strata_testkit::docker_registry::{DockerRegistry, find_program};
use strata_testkit::engine::Engine;
use strata_testkit::golden;

/// A registry that everybody may do everything with, over plain http.
pub(crate) enum Registry {
    Reference(DockerRegistry),
    Ours(Served),
}

/// `strata serve`; ended when dropped.
pub(crate) struct Served {
    child: Child,
    host: String,
}

impl Served {
    fn start(world: &World) -> Self {
        let mut command = world.command();
        command.args(["serve", text(&world.path("served")), "--listen", "127.0.0.1:0"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut url).unwrap();
        let host = url.trim().strip_prefix("http://").unwrap_or_default().to_owned();
        Self { child, host }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Registry {
    /// One of each kind.
    pub(crate) fn all(world: &World, test: &str) -> Vec<Self> {
        let reference = DockerRegistry::start().map(Self::Reference);
        if reference.is_none() {
            golden::skipped(&format!("{test}, from docker-registry"), "docker-registry is not installed");
        }
        reference.into_iter().chain([Self::Ours(Served::start(world))]).collect()
    }

    /// `127.0.0.1:PORT`, which is how engines know it.
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Reference(registry) => registry.host(),
            Self::Ours(served) => served.host.clone(),
        }
    }

    /// The URL of a repository, which is how strata knows it.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("oci+http://{}/{name}", self.host())
    }

    pub(crate) fn open(&self, name: &str) -> Box<dyn Repository> {
        open(&self.url(name).parse().unwrap(), &Transport::default(), None).unwrap()
    }

    /// Manifest and config of an image.
    pub(crate) fn image(&self, name: &str, tag: &str) -> (Digest, Manifest, ImageConfig) {
        let repository = self.open(name);
        let reference = ManifestRef::Tag(tag.parse().unwrap());
        let (digest, manifest) = image_manifest(&*repository, &reference).unwrap().unwrap();
        let config = image_config(&*repository, &manifest).unwrap();
        (digest, manifest, config)
    }

    /// What skopeo says of `NAME:TAG`; nothing where there is no skopeo.
    pub(crate) fn skopeo(&self, arguments: &[&str], image: &str) -> Option<Value> {
        let Some(skopeo) = find_program("skopeo") else {
            golden::skipped("skopeo inspect", "skopeo is not installed");
            return None;
        };
        let image = format!("docker://{}/{image}", self.host());
        let output = Command::new(skopeo)
            .args(["inspect", "--tls-verify=false"])
            .args(arguments)
            .arg(&image)
            .output()
            .unwrap();
        assert!(output.status.success(), "{image}: {}", String::from_utf8_lossy(&output.stderr));
        Some(serde_json::from_slice(&output.stdout).unwrap())
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reference(_) => "docker-registry",
            Self::Ours(_) => "strata serve",
        })
    }
}

/// The engines, unless there are none: then the test was skipped.
pub(crate) fn engines(test: &str) -> Option<Vec<Engine>> {
    let engines = Engine::all(test);
    (!engines.is_empty()).then_some(engines)
}

/// The Debian, unless there is none: then the test was skipped.
pub(crate) fn made(test: &str, base: Result<BaseImage, String>) -> Option<BaseImage> {
    base.map_err(|reason| golden::skipped(test, &reason)).ok()
}
