//! From what the user calls a cache to the repository behind it.

use crate::error::Error;
use std::path::Path;
use strata_config::Mirrors;
use strata_oci::{Repository, RepositoryUrl, Transport};

/// What a mirror is used for: it may have one URL for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading packages.
    Fetch,
    /// Writing packages: a layout that does not exist yet is made.
    Push,
    /// Writing the index of a cache that exists.
    Update,
}

/// Opens a cache given as a URL or as the name of a mirror configured in `file`.
pub fn open(
    name_or_url: &str,
    direction: Direction,
    file: &Path,
    transport: &Transport,
) -> Result<Box<dyn Repository>, Error> {
    let url = if name_or_url.contains("://") {
        name_or_url.to_owned()
    } else {
        let mirrors = Mirrors::load(file)?;
        let mirror = mirrors.require(name_or_url)?;
        match direction {
            Direction::Fetch => mirror.fetch_url()?.to_owned(),
            Direction::Push | Direction::Update => mirror.push_url()?.to_owned(),
        }
    };
    let url: RepositoryUrl = url.parse()?;
    Ok(match direction {
        Direction::Fetch | Direction::Update => strata_oci::open(&url, transport, None)?,
        Direction::Push => strata_oci::open_or_create(&url, transport, None)?,
    })
}

/// The names of the mirrors in `file` that hold binary packages, in the order they are asked.
pub fn configured(file: &Path) -> Result<Vec<String>, Error> {
    let mirrors = Mirrors::load(file)?;
    let names: Vec<String> = mirrors.iter().filter(|m| m.binary).map(|m| m.name.clone()).collect();
    if names.is_empty() { Err(Error::NoMirrors { file: file.to_owned() }) } else { Ok(names) }
}
