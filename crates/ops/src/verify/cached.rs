//! A prefix against the layer in a cache: the layer is unpacked and relocated in a directory for temporary files, as if it
//! were installed, and the two trees are compared.

use crate::error::Error;
use crate::locate::{Located, locate_in};
use crate::report::Reporter;
use crate::resolve::Mirror;
use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use strata_layer::relocate::{Destination, Platform, PrefixMap, relocate_tree};
use strata_layer::unpack::{Limits, UnpackOptions, unpack};
use strata_oci::Digest;
use strata_spec::{Database, Node};
use strata_store::Store;
use strata_store::verify::Difference;

/// What is made anew where a package is installed.
const OWN: [&str; 2] = [".spack/install_manifest.json", ".spack/install_times.json"];
/// What only layers have.
const OF_LAYERS: &str = ".spack/binary_distribution";

/// How the files at `prefix` differ from what the first mirror that has the package would install there.
pub(super) fn compare(
    store: &Store,
    database: &Database,
    node: &Node,
    prefix: &Path,
    mirrors: &[Mirror],
    reporter: &dyn Reporter,
) -> Result<Vec<Difference>, Error> {
    let package = node.label();
    let Some(Located { mirror, layer, config, .. }) = locate_in(node, mirrors, &[], reporter)? else {
        let places: Vec<&str> = mirrors.iter().map(|mirror| mirror.name.as_str()).collect();
        return Err(Error::NotCached { package, place: places.join(", ") });
    };
    let repository = &*mirrors[mirror].repository;
    let scratch = tempfile::Builder::new().prefix("strata-verify-").tempdir();
    let scratch =
        scratch.map_err(|source| Error::Spool { path: std::env::temp_dir(), temporary: true, source })?;
    // Not the directory itself, whose mode is its own.
    let expected = scratch.path().join("prefix");
    std::fs::create_dir(&expected).map_err(|source| Error::io(&expected, source))?;
    let options = UnpackOptions { limits: Limits::for_layer(layer.size), threads: 1 };
    let unpacked = unpack(repository.blob(&layer)?, &expected, &options)
        .map_err(|source| Error::Unpack { package: package.clone(), source })?;
    let found = Digest::from_sha256(unpacked.diff_id);
    if let Some(expected) = config.root_fs.diff_ids.last().copied().filter(|expected| *expected != found) {
        let place = repository.url().to_string();
        return Err(Error::DiffId { package, place, expected, found });
    }
    let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
    let sbang = store.root().sbang_path()?;
    let prefix_of = |hash: &str| {
        let hash = strata_spec::DagHash::parse(hash).ok()?;
        let record = database.records.get(&hash).filter(|record| record.installed)?;
        record.path.as_ref().map(|path| path.clone().into_bytes())
    };
    let root = bytes(store.root().root());
    let map = PrefixMap::for_layer(&unpacked.build_info, &bytes(&sbang), prefix_of, &root)
        .map_err(|source| Error::Prefixes { package: package.clone(), source })?;
    let destination = Destination { map: &map, sbang: sbang.as_os_str().as_bytes() };
    relocate_tree(&expected, &unpacked.build_info, &destination, Platform::Elf)
        .map_err(|source| Error::Relocate { package, source })?;
    trees(&expected, prefix)
}

/// How the tree `found` differs from `expected`. The paths are those of `found`.
fn trees(expected: &Path, found: &Path) -> Result<Vec<Difference>, Error> {
    let mut paths = BTreeSet::new();
    list(expected, &mut paths)?;
    list(found, &mut paths)?;
    let mut differences = Vec::new();
    for path in paths {
        if OWN.iter().any(|own| path == Path::new(own)) {
            continue;
        }
        let (wanted, there) = (expected.join(&path), found.join(&path));
        let errors = match (wanted.symlink_metadata(), there.symlink_metadata()) {
            (Ok(_), Err(_)) if path == Path::new(OF_LAYERS) => continue,
            (Ok(_), Err(_)) => vec!["deleted"],
            (Err(_), _) => vec!["added"],
            (Ok(wanted_status), Ok(there_status)) => {
                entries((&wanted, &wanted_status), (&there, &there_status))
            }
        };
        if !errors.is_empty() {
            differences.push(Difference { path: there, errors });
        }
    }
    Ok(differences)
}

fn entries(wanted: (&Path, &Metadata), there: (&Path, &Metadata)) -> Vec<&'static str> {
    if wanted.1.file_type() != there.1.file_type() {
        return vec!["type"];
    }
    let mut errors = Vec::new();
    if wanted.1.is_symlink() {
        if std::fs::read_link(wanted.0).ok() != std::fs::read_link(there.0).ok() {
            errors.push("link");
        }
    } else if wanted.1.is_file() {
        // Layers know no more of modes than whether a file may be run; the rest is for the site to decide.
        let runs = |status: &Metadata| status.permissions().mode() & 0o100 != 0;
        if runs(wanted.1) != runs(there.1) || there.1.permissions().mode() & 0o6000 != 0 {
            errors.push("mode");
        }
        if wanted.1.len() != there.1.len() {
            errors.extend(["size", "hash"]);
        } else {
            match same_contents(wanted.0, there.0) {
                Ok(true) => {}
                Ok(false) => errors.push("hash"),
                Err(_) => errors.push("unreadable"),
            }
        }
    }
    errors
}

fn same_contents(a: &Path, b: &Path) -> io::Result<bool> {
    const PIECE: u64 = 1 << 20;
    let (mut a, mut b) = (File::open(a)?, File::open(b)?);
    let (mut left, mut right) = (Vec::new(), Vec::new());
    loop {
        left.clear();
        right.clear();
        (&mut a).take(PIECE).read_to_end(&mut left)?;
        (&mut b).take(PIECE).read_to_end(&mut right)?;
        if left != right {
            return Ok(false);
        }
        if left.is_empty() {
            return Ok(true);
        }
    }
}

/// Adds every path below `root`, relative to it.
fn list(root: &Path, paths: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
    let mut directories = vec![PathBuf::new()];
    while let Some(directory) = directories.pop() {
        let at = root.join(&directory);
        for entry in std::fs::read_dir(&at).map_err(|source| Error::io(&at, source))? {
            let entry = entry.map_err(|source| Error::io(&at, source))?;
            let path = directory.join(entry.file_name());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(path.clone());
            }
            paths.insert(path);
        }
    }
    Ok(())
}
