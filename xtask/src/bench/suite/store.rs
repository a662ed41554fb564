//! The store of real packages that is measured.

use super::super::Outcome;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use strata_testkit::golden;

/// Where archives of stores lie beside a checkout, as for the tests.
const ARCHIVES: &str = "../shared/stores";
/// Where the store of the golden data was made.
const USUAL: &str = "/opt/spack/opt/spack";

/// An install tree.
pub(super) struct Store {
    /// The directory that has `.spack-db`.
    pub(super) root: PathBuf,
    /// What is installed there, externals left out.
    pub(super) packages: Vec<Package>,
}

pub(super) struct Package {
    pub(super) name: String,
    pub(super) hash: String,
    pub(super) prefix: PathBuf,
}

impl Store {
    /// None, for those that measure what they made themselves.
    pub(super) fn none() -> Self {
        Self { root: PathBuf::new(), packages: Vec::new() }
    }

    /// The store that is named, or that the tests use, or that an archive beside the checkout has, which is unpacked then.
    pub(super) fn find(named: Option<&Path>) -> Outcome<Self> {
        if let Some(root) = named.map(Path::to_owned).or_else(|| golden::stores().into_iter().next()) {
            return Self::read(&root);
        }
        if !Path::new(USUAL).exists() {
            unpack()?;
        }
        Self::read(Path::new(USUAL))
    }

    pub(super) fn read(directory: &Path) -> Outcome<Self> {
        let root = golden::store_root(directory)
            .ok_or_else(|| format!("no Spack database at {}", directory.display()))?;
        let database: Value = serde_json::from_slice(&fs::read(root.join(".spack-db/index.json"))?)?;
        let installs = database["database"]["installs"].as_object().ok_or("a database without records")?;
        let packages = installs.iter().filter_map(|(hash, record)| {
            let prefix = PathBuf::from(record["path"].as_str()?);
            let is_here = record["installed"] == true && prefix.starts_with(&root);
            let name = record["spec"]["name"].as_str()?.to_owned();
            is_here.then(|| Package { name, hash: hash.clone(), prefix })
        });
        Ok(Self { packages: packages.collect(), root })
    }

    pub(super) fn package(&self, name: &str) -> Outcome<&Package> {
        let found = self.packages.iter().find(|package| package.name == name);
        found.ok_or_else(|| format!("{}: no {name} is installed", self.root.display()).into())
    }

    /// All packages as specs that need no resolving.
    pub(super) fn specs(&self) -> Vec<String> {
        self.packages.iter().map(Package::spec).collect()
    }

    pub(super) fn prefixes(&self) -> Vec<&Path> {
        self.packages.iter().map(|package| &*package.prefix).collect()
    }

    /// How many regular files all packages have.
    pub(super) fn files(&self) -> Outcome<usize> {
        self.prefixes().into_iter().map(files).sum()
    }
}

impl Package {
    pub(super) fn spec(&self) -> String {
        format!("/{}", self.hash)
    }
}

/// The regular files below a directory.
fn files(directory: &Path) -> Outcome<usize> {
    let mut count = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        count += if kind.is_dir() { files(&entry.path())? } else { usize::from(kind.is_file()) };
    }
    Ok(count)
}

/// Unpacks the archives beside the checkout. They hold absolute paths less the first slash, for prefixes are compiled in.
fn unpack() -> Outcome<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(ARCHIVES);
    let hint = "--store ROOT: an install tree with curl, python and vim";
    let archives =
        fs::read_dir(&directory).map_err(|error| format!("{}: {error}; {hint}", directory.display()))?;
    for archive in archives {
        let mut tar = Command::new("tar");
        tar.arg("--zstd").arg("-xf").arg(archive?.path()).args(["-C", "/"]).stdin(Stdio::null());
        let status = tar.status()?;
        if !status.success() {
            return Err(format!("{tar:?}: {status}").into());
        }
    }
    Ok(())
}
