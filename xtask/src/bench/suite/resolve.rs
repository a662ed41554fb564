//! Which binary is there for a package? Asked of large caches, of strata and of Spack's concretizer with the same index.

use super::super::Outcome;
use super::super::generate;
use super::case::{Aim, Case, Contest, Contestant, Row, SPACK, STRATA};
use super::indexes::serve;
use super::surroundings::Surroundings;
use std::path::Path;
use std::rc::Rc;
use strata_oci::{BlobSource, Manifest, RepositoryUrl, Transport, media_type, open_or_create};

pub(super) const CASES: [Case; 2] = [
    Case { name: "resolve_ten_thousand", prepare: |around| resolve(around, around.size(10_000, 1_000)) },
    Case { name: "resolve_hundred_thousand", prepare: |around| resolve(around, around.size(100_000, 2_000)) },
];

/// A package with many versions in the index.
const PACKAGE: &str = "python";
const NOTHING_KEPT: &str = "strata, nothing kept";

fn resolve(around: &Surroundings, specs: usize) -> Outcome<Contest<'_>> {
    let served = around.directory("served")?;
    put_index(&served.join("cache"), specs)?;
    let server = Rc::new(serve(around, &served)?);
    let url = format!("oci://127.0.0.1:{}/cache", server.port);
    let question = |cache: &Path| {
        let mut command = around.strata(cache, &around.fresh("store"));
        command.args(["spec", PACKAGE, "--mirror"]);
        command
    };
    let mut kept = question(&around.fresh("cache"));
    kept.arg(&url);
    let serving = Rc::clone(&server);
    let strata = move |_| {
        // The server is there as long as somebody asks.
        let _ = &serving;
        Ok(around.time(&kept)?.into())
    };
    let place = url.clone();
    let nothing_kept = move |_| {
        let mut command = around.strata(&around.fresh("cache"), &around.fresh("store"));
        command.args(["spec", PACKAGE, "--mirror", &place]);
        Ok(around.time(&command)?.into())
    };
    let mut contestants = vec![Contestant::new(STRATA, strata), Contestant::new(NOTHING_KEPT, nothing_kept)];
    if around.options.spack.is_some() {
        let scope = around.spack_scope(&around.fresh("spack-store"), Some(&url))?;
        contestants.push(Contestant::new(SPACK, move |_| {
            let mut command = around.spack(&scope).ok_or("no --spack")?;
            command.args(["spec", PACKAGE]);
            Ok(around.time(&command)?.into())
        }));
    }
    let what = format!("resolve on {specs} specs");
    let rows = vec![
        Row::clock(&what, SPACK, Aim::Times(100.0)),
        Row::clock(&format!("{what}, index not seen before"), SPACK, Aim::Known).of(NOTHING_KEPT),
    ];
    Ok(Contest { contestants, rows, once: false })
}

/// Makes the index and puts it into an image layout.
pub(in super::super) fn put_index(layout: &Path, specs: usize) -> Outcome<()> {
    let blob = BlobSource::bytes(generate::index_of(specs)?.into_bytes());
    let repository = open_or_create(&RepositoryUrl::from_directory(layout)?, &Transport::default(), None)?;
    let config = BlobSource::bytes(b"{}".to_vec());
    let _ = repository.put_blob(&blob)?;
    let _ = repository.put_blob(&config)?;
    let layers = vec![blob.descriptor(media_type::OCI_LAYER_GZIP)];
    let manifest = Manifest::new(config.descriptor(media_type::OCI_CONFIG), layers);
    repository.put_manifest(&"index.spack".parse()?, &manifest.media_type, &manifest.to_bytes()?)?;
    Ok(())
}
