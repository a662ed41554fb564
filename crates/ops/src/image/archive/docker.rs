//! What `docker save` writes and `docker load` reads: a tar with the config, the layers uncompressed, and
//! `manifest.json`, which says how they go together.

use std::collections::HashSet;
use std::io::{Seek, Write};

use serde::Serialize;
use sha2::{Digest as _, Sha256};
use strata_layer::compression::Decompressed;
use strata_oci::{Descriptor, Digest, Image, Repository, TagName, blob_bytes};

use super::tar_file::TarFile;
use super::{ArchiveError, copy, unreadable};

/// The most bytes of a config that are read.
const CONFIG_LIMIT: u64 = 64 << 20;

/// The most characters of a name without its tag.
const LONGEST_NAME: usize = 255;

/// Threads that inflate a layer that strata wrote.
const THREADS: usize = 4;

/// `manifest.json` is a list of these.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    config: &'a str,
    repo_tags: &'a [String],
    layers: &'a [String],
}

/// Writes an image as a Docker archive, under `name` (`NAME[:TAG]`) if given: layers decompressed, each once.
///
/// `output` is sought in, because the size of a layer is known only once it was decompressed.
///
/// # Errors
/// [`ArchiveError`]; what was written to `output` until then is of no use.
pub fn write_docker_archive(
    repository: &dyn Repository,
    image: &Image,
    name: Option<&str>,
    output: impl Write + Seek,
) -> Result<(), ArchiveError> {
    let refused = |reason: String| ArchiveError::Image { image: image.digest, reason };
    let (layers, diff_ids) = (&image.manifest.layers, &image.config.root_fs.diff_ids);
    if layers.len() != diff_ids.len() {
        return Err(refused(format!(
            "its manifest has {} layers, and its config has {}",
            layers.len(),
            diff_ids.len()
        )));
    }
    if let Some(reason) = layers.iter().find_map(super::not_to_be_had) {
        return Err(refused(reason));
    }
    let config = blob_bytes(repository, &image.manifest.config, CONFIG_LIMIT)?;
    let config_name = format!("{}.json", image.manifest.config.digest.hex());
    let tags: Vec<String> = name.map(tagged).transpose()?.into_iter().collect();
    let layer_names: Vec<String> = diff_ids.iter().map(|diff_id| format!("{}.tar", diff_id.hex())).collect();
    let manifest = [Entry { config: &config_name, repo_tags: &tags, layers: &layer_names }];
    let manifest = serde_json::to_vec(&manifest).map_err(|error| refused(error.to_string()))?;

    let mut tar = TarFile::new(output);
    tar.file("manifest.json", &manifest)
        .and_then(|()| tar.file(&config_name, &config))
        .map_err(ArchiveError::Write)?;
    let mut written = HashSet::new();
    for ((layer, diff_id), name) in layers.iter().zip(diff_ids).zip(&layer_names) {
        if written.insert(diff_id) {
            tar.file_of_any_size(name, |tar| inflate(repository, layer, diff_id, tar))
                .map_err(ArchiveError::Write)??;
        }
    }
    tar.finish().map_err(ArchiveError::Write)
}

/// Writes the uncompressed bytes of a layer, which are those that the config names.
fn inflate<W: Write>(
    repository: &dyn Repository,
    layer: &Descriptor,
    expected: &Digest,
    tar: &mut TarFile<W>,
) -> Result<(), ArchiveError> {
    let failed = |error| unreadable(layer.digest, error);
    let mut plain = Decompressed::new(repository.blob(layer)?, THREADS).map_err(failed)?;
    let mut hash = Sha256::new();
    let copied = copy(&mut plain, |bytes| {
        hash.update(bytes);
        tar.data(bytes)
    });
    let copied = copied.map_err(ArchiveError::Write)?;
    // A layer whose bytes are not those of its digest is that first of all.
    plain.drain_compressed().map_err(failed)?;
    copied.map_err(failed)?;
    let found = Digest::from_sha256(hash.finalize().into());
    if found != *expected {
        return Err(ArchiveError::DiffId { layer: layer.digest, expected: *expected, found });
    }
    Ok(())
}

/// A name with its tag, without which Docker takes none.
///
/// # Errors
/// [`ArchiveError::Name`] if it is none that Docker takes: it would say so only once all is written and loaded.
pub(super) fn tagged(name: &str) -> Result<String, ArchiveError> {
    let refused = |reason| ArchiveError::Name { name: name.to_owned(), reason };
    let start = name.rfind('/').map_or(0, |slash| slash + 1);
    let (repository, tag) = match name[start..].find(':') {
        Some(colon) => (&name[..start + colon], &name[start + colon + 1..]),
        None => (name, "latest"),
    };
    if tag.parse::<TagName>().is_err() {
        return Err(refused("a tag is at most 128 letters, digits, `_`, `.` and `-`"));
    }
    let path = match repository.split_once('/') {
        Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => {
            if !is_host(host) {
                return Err(refused("what is before the first slash is no host"));
            }
            path
        }
        _ => repository,
    };
    if !path.split('/').all(is_component) {
        return Err(refused(
            "between slashes are lower-case letters and digits, with `.`, `_`, `__` or `-` between them",
        ));
    }
    if repository.len() > LONGEST_NAME {
        return Err(refused("it has more than 255 characters"));
    }
    if repository.len() == 64 && repository.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(refused("64 hexadecimal digits are an image's ID"));
    }
    Ok(format!("{repository}:{tag}"))
}

/// Labels with dots between them, and perhaps a port.
fn is_host(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        let byte_is_right = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(byte_is_right)
    };
    host.split('.').all(is_label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Runs of lower-case letters and digits, with a separator between them.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let joins =
        |separator: &str| matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-');
    text.starts_with(is_word) && text.ends_with(is_word) && text.split(is_word).all(joins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_docker_takes() {
        for (name, expected) in [
            ("py", "py:latest"),
            ("py:3.12", "py:3.12"),
            ("Example.com:5000/team/py-env", "Example.com:5000/team/py-env:latest"),
            ("localhost/py_x:V1", "localhost/py_x:V1"),
            ("localhost:5000/py", "localhost:5000/py:latest"),
            ("a--b/c__d.e_f", "a--b/c__d.e_f:latest"),
        ] {
            assert_eq!(tagged(name).unwrap(), expected);
        }
        let (long, id) = (format!("{}:1", "a".repeat(256)), "0123456789abcdef".repeat(4));
        for name in [
            &long,
            &id,
            "a..b:1",
            "a._b",
            "a___b",
            "-h.x/a",
            ":5000/a",
            "h.x:/a",
            "h.x:port/a",
            "",
            ":x",
            "py:",
            "Py:1",
            "py env",
            "a//b",
            "/a",
            "a/",
            "a:b:c",
            "a:-x",
            "_a",
            "a@sha256:0",
            "oci://h/a",
        ] {
            let error = tagged(name).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name} is no name of an image: ")), "{error}");
        }
    }
}
