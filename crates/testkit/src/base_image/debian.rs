//! A small Debian: a shell, coreutils and what they need.
//!
//! What `debootstrap` makes is better, but takes half a minute and a network. This machine's own packages are Debian's, too:
//! `dpkg-query` tells which files they have, and those are taken as they lie on the disk.

use super::{Layer, append, compressed};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A tar of a root file system that is to be the base instead.
const ROOTFS: &str = "STRATA_BASE_ROOTFS";

/// With what they depend on, as Debian 12 and 13 have it.
const PACKAGES: &[&str] =
    &["base-files", "base-passwd", "libc6", "dash", "coreutils", "sed", "grep", "debianutils"];

/// Directories of the root that are links into `/usr`.
const MERGED: &[&str] = &["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What no program needs to run.
const LEFT_OUT: &[&str] =
    &["usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale", "usr/share/lintian"];

/// The root file system that the environment names, as a layer, else the composed one; made once.
pub(super) fn named() -> Result<Layer, String> {
    static LAYER: OnceLock<Result<Layer, String>> = OnceLock::new();
    let Some(path) = std::env::var_os(ROOTFS) else { return composed() };
    let read = || fs::read(&path).map_err(|e| format!("{ROOTFS} names {}: {e}", Path::new(&path).display()));
    LAYER.get_or_init(|| compressed(&read()?).map_err(|error| error.to_string())).clone()
}

/// The root file system of installed packages as a layer, made once.
pub(super) fn composed() -> Result<Layer, String> {
    static LAYER: OnceLock<Result<Layer, String>> = OnceLock::new();
    LAYER.get_or_init(|| compressed(&compose()?).map_err(|error| error.to_string())).clone()
}

/// Puts a root file system together from the files of installed packages.
fn compose() -> Result<Vec<u8>, String> {
    let mut files = BTreeMap::new();
    for package in packages()? {
        for path in query(&["--listfiles", &package])?.lines() {
            let path = merged(path.trim_start_matches('/'));
            let is_left_out = ["", "."].contains(&&*path)
                || LEFT_OUT.iter().any(|start| path.starts_with(start))
                || path.contains("/gconv/");
            if !is_left_out {
                files.insert(path.clone(), Path::new("/").join(&path));
            }
        }
    }
    archive(&files).map_err(|error| format!("a base image of this machine's packages: {error}"))
}

/// The packages and all that they depend on, by the names under which they are installed.
fn packages() -> Result<Vec<String>, String> {
    let mut wanted: Vec<String> = PACKAGES.iter().map(|name| (*name).to_owned()).collect();
    let mut at = 0;
    while let Some(package) = wanted.get(at) {
        // A package that is not installed is provided by another, or belongs to another release.
        let depends = query(&["--show", "--showformat=${Pre-Depends},${Depends},", package]);
        if at < PACKAGES.len() {
            depends.clone()?;
        }
        let names = depends.unwrap_or_default();
        let names = names.split([',', '|']).filter_map(|one| one.split_whitespace().next());
        let names: Vec<String> = names.map(|name| name.trim_end_matches(":any").to_owned()).collect();
        wanted.extend(
            names
                .into_iter()
                .filter(|name| !name.starts_with("debconf") && query(&["--listfiles", name]).is_ok())
                .collect::<Vec<_>>(),
        );
        at += 1;
        let mut seen = std::collections::HashSet::new();
        wanted.retain(|name| seen.insert(name.clone()));
    }
    Ok(wanted)
}

fn query(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("dpkg-query").args(arguments).output();
    let output = output.map_err(|error| format!("this is no Debian (dpkg-query: {error})"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// `bin/sh` is `usr/bin/sh` wherever packages say it is.
fn merged(path: &str) -> String {
    let first = path.split('/').next().unwrap_or_default();
    if MERGED.contains(&first) { format!("usr/{path}") } else { path.to_owned() }
}

fn archive(files: &BTreeMap<String, PathBuf>) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for name in MERGED.iter().filter(|name| files.contains_key(&format!("usr/{name}"))) {
        link(&mut archive, name, Path::new(&format!("usr/{name}")))?;
    }
    for (name, path) in files {
        // Diverted files are elsewhere, and some conffiles were removed.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let mode = metadata.permissions().mode() & 0o1777;
        if metadata.is_dir() {
            append(&mut archive, tar::EntryType::Directory, name, mode, &[])?;
        } else if metadata.is_symlink() {
            link(&mut archive, name, &fs::read_link(path)?)?;
        } else if metadata.is_file() {
            append(&mut archive, tar::EntryType::Regular, name, mode, &fs::read(path)?)?;
        }
    }
    if !files.contains_key("usr/bin/sh") {
        link(&mut archive, "usr/bin/sh", Path::new("dash"))?;
    }
    append(&mut archive, tar::EntryType::Regular, "etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    append(&mut archive, tar::EntryType::Regular, "etc/group", 0o644, b"root:x:0:\n")?;
    archive.into_inner()
}

fn link(archive: &mut tar::Builder<Vec<u8>>, name: &str, target: &Path) -> io::Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_mode(0o777);
    header.set_size(0);
    archive.append_link(&mut header, name, target)
}
