//! Caches that consist of an index.

use serde_json::{Value, json};
use std::path::Path;
use strata_oci::{BlobSource, Descriptor, Digest, Manifest, Repository, RepositoryUrl, media_type};
use strata_ops::explain::Explanation;
use strata_ops::resolve::{Mirror, Request, Resolved, Stock, Unify, resolve};
use strata_ops::{Error, Silent};
use strata_spec::host::{Host, Libc};
use strata_spec::{AbstractSpec, Database, NodeSource};
use tempfile::TempDir;

/// Opens a cache of that name with this index.
pub(crate) fn mirror(dir: &TempDir, name: &str, index: &Value) -> Mirror {
    let json = index.to_string().into_bytes();
    let repository = layout(&dir.path().join(name));
    let layer = Descriptor::new(media_type::OCI_LAYER_GZIP, Digest::of(&json), json.len() as u64);
    let config = BlobSource::bytes(b"{}".to_vec());
    let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), vec![layer]);
    let _ = repository.put_blob(&BlobSource::bytes(json)).unwrap();
    let _ = repository.put_blob(&config).unwrap();
    let tag = "index.spack".parse().unwrap();
    repository.put_manifest(&tag, &manifest.media_type, &manifest.to_bytes().unwrap()).unwrap();
    Mirror::new(name.to_owned(), repository)
}

pub(crate) fn layout(directory: &Path) -> Box<dyn Repository> {
    let url = RepositoryUrl::from_directory(directory).unwrap();
    strata_oci::open_or_create(&url, &strata_oci::Transport::default(), None).unwrap()
}

/// A mirror that nobody answers for.
pub(crate) fn down(name: &str) -> Mirror {
    let url = "oci+http://127.0.0.1:1/nobody".parse().unwrap();
    let repository = strata_oci::open_or_create(&url, &strata_oci::Transport::default(), None).unwrap();
    Mirror::new(name.to_owned(), repository)
}

/// A machine like that of the packages here.
pub(crate) fn machine() -> Host {
    Host {
        platform: "linux".to_owned(),
        os: Some("debian12".to_owned()),
        target: "x86_64_v3".to_owned(),
        libc: Some(Libc { name: "glibc".to_owned(), version: "2.36".to_owned() }),
    }
}

/// A package of an index to be made.
#[derive(Clone)]
pub(crate) struct Sample {
    node: Value,
    cached: bool,
}

/// A package that does not exist; its hash begins with `salt`, its version and its name, digits as letters.
pub(crate) fn package(name: &str, version: &str, salt: &str) -> Sample {
    let letter = |character: char| match character {
        'a'..='z' => Some(character),
        '0'..='9' => Some(char::from(b'a' + character as u8 - b'0')),
        _ => None,
    };
    let text: String = format!("{salt}{version}{name}").chars().filter_map(letter).collect();
    let hash = format!("{text:a<32}")[..32].to_owned();
    let node = json!({
        "name": name, "version": version, "hash": hash, "namespace": "builtin",
        "arch": {"platform": "linux", "platform_os": "debian12", "target": "x86_64_v2"},
        "parameters": {"build_system": "generic"}, "dependencies": [],
        "annotations": {"original_specfile_version": 5},
    });
    Sample { node, cached: true }
}

impl Sample {
    pub(crate) fn hash(&self) -> &str {
        self.node["hash"].as_str().unwrap()
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        self.node["arch"]["target"] = target.into();
        self
    }

    pub(crate) fn os(mut self, os: &str) -> Self {
        self.node["arch"]["platform_os"] = os.into();
        self
    }

    pub(crate) fn variant(mut self, name: &str, value: bool) -> Self {
        self.node["parameters"][name] = value.into();
        self
    }

    pub(crate) fn external(mut self) -> Self {
        self.node["external"] = json!({"path": "/usr", "module": null, "extra_attributes": {}});
        self.not_cached()
    }

    pub(crate) fn not_cached(mut self) -> Self {
        self.cached = false;
        self
    }

    /// Needs `other` at run time, as `virtuals` if there are any.
    pub(crate) fn needs(mut self, other: &Sample, virtuals: &[&str]) -> Self {
        let edge = json!({
            "name": other.node["name"], "hash": other.node["hash"],
            "parameters": {"deptypes": ["build", "link"], "virtuals": virtuals},
        });
        self.node["dependencies"].as_array_mut().unwrap().push(edge);
        self
    }
}

/// The index of these packages.
pub(crate) fn index(packages: &[&Sample]) -> Value {
    let installs = packages.iter().map(|package| {
        let record = json!({"spec": package.node, "ref_count": 0, "in_buildcache": package.cached});
        (package.hash().to_owned(), record)
    });
    json!({"database": {"version": "8", "installs": installs.collect::<serde_json::Map<_, _>>()}})
}

/// What specs are resolved to.
pub(crate) struct Asked<'a> {
    pub(crate) mirrors: &'a [Mirror],
    pub(crate) host: Option<Host>,
    pub(crate) unify: Unify,
    pub(crate) store: Database,
}

impl<'a> Asked<'a> {
    /// Of these mirrors, on a machine like that of the packages, with nothing installed.
    pub(crate) fn of(mirrors: &'a [Mirror]) -> Self {
        Self { mirrors, host: Some(machine()), unify: Unify::True, store: Database::default() }
    }

    #[allow(clippy::result_large_err)]
    pub(crate) fn resolve(&self, specs: &[&str]) -> Result<Resolved, Error> {
        let specs = parsed(specs);
        let stock = Stock::gather(&specs, self.host.as_ref(), self.mirrors, &self.store, None, &Silent)?;
        resolve(&Request { specs: &specs, host: self.host.as_ref(), unify: self.unify }, stock)
    }

    /// `name@version/hash7` of each root.
    pub(crate) fn labels(&self, specs: &[&str]) -> Vec<String> {
        let resolved = self.resolve(specs).unwrap_or_else(|error| panic!("{specs:?}: {error}"));
        resolved.roots.iter().map(|hash| resolved.node(hash).unwrap().label()).collect()
    }

    pub(crate) fn versions(&self, specs: &[&str]) -> Vec<String> {
        let labels = self.labels(specs).into_iter();
        labels.map(|label| label.split('/').next().unwrap().to_owned()).collect()
    }

    pub(crate) fn explain(&self, spec: &str) -> Explanation {
        let specs = parsed(&[spec]);
        let stock =
            Stock::gather(&specs, self.host.as_ref(), self.mirrors, &self.store, None, &Silent).unwrap();
        strata_ops::explain::explain(&specs[0], self.host.as_ref(), &stock)
    }
}

pub(crate) fn parsed(specs: &[&str]) -> Vec<AbstractSpec> {
    specs.iter().map(|spec| spec.parse().unwrap()).collect()
}
