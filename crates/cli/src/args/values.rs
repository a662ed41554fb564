//! Values of options that have a grammar of their own.

use std::fmt;
use strata_oci::UploadMode;

/// What `chunked` means without a size: more than any registry's minimum, less than any known limit.
const CHUNK: u64 = 16 << 20;

/// A password on the command line. Its debug form says nothing of it.
#[derive(Clone)]
pub(crate) struct Password(pub(crate) String);

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Spack's `--use-buildcache`: `auto`, `only` or `never`, for packages, dependencies or both. Nothing can be done without.
pub(super) fn buildcache_policy(text: &str) -> Result<String, String> {
    for part in text.split(',') {
        match part.rsplit(':').next() {
            Some("auto" | "only") => {}
            Some("never") => return Err("strata installs from caches and does not build".to_owned()),
            _ => {
                return Err(format!(
                    "`{part}` is none of auto, only, never, package:only, dependencies:only, …"
                ));
            }
        }
    }
    Ok(text.to_owned())
}

/// A number of bytes: `1500`, `20M`, `1.5GiB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let invalid = || format!("`{text}` is not a size such as 500M, 10G or 10GiB");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start().to_ascii_lowercase();
    let unit = unit.strip_suffix('b').unwrap_or(&unit);
    let (prefix, base) = match unit.strip_suffix('i') {
        Some(prefix) if !prefix.is_empty() => (prefix, 1024_f64),
        Some(_) => return Err(invalid()),
        None => (unit, 1000_f64),
    };
    let power = ["", "k", "m", "g", "t"].iter().position(|known| *known == prefix).ok_or_else(invalid)?;
    let number: f64 = number.parse().map_err(|_| invalid())?;
    Ok((number * base.powi(power as i32)) as u64)
}

/// `monolithic`, `single-post`, `chunked` or `chunked:SIZE`.
pub(super) fn upload_mode(text: &str) -> Result<UploadMode, String> {
    match text.split_once(':') {
        None if text == "monolithic" => Ok(UploadMode::Monolithic),
        None if text == "single-post" => Ok(UploadMode::SinglePost),
        None if text == "chunked" => Ok(UploadMode::Chunked(CHUNK)),
        Some(("chunked", chunk)) => match size(chunk)? {
            0 => Err("a chunk has at least one byte".to_owned()),
            bytes => Ok(UploadMode::Chunked(bytes)),
        },
        _ => Err("it is monolithic, single-post, chunked or chunked:SIZE".to_owned()),
    }
}

/// An address or a name, and a port.
pub(super) fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        // An IPv6 address has colons of its own, and stands in brackets.
        Some((host, port)) if (!host.contains(':') || host.ends_with(']')) && port.parse::<u16>().is_ok() => {
            if host.is_empty() {
                Err(format!(
                    "no address: 127.0.0.1:{port} is this machine alone, 0.0.0.0:{port} all of its networks"
                ))
            } else {
                Ok(text.to_owned())
            }
        }
        _ => Err("it is an address with a port, such as 127.0.0.1:5000 or [::1]:5000".to_owned()),
    }
}

/// `NAME=VALUE`.
pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !text.contains('\0') => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("it is NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_port() {
        for text in ["127.0.0.1:5000", "localhost:0", "[::1]:5000", "[::]:80"] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in
            ["", "5000", ":5000", "127.0.0.1", "::1", "::1:5000", "localhost:", "localhost:x", "h:65536"]
        {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_decimal_unless_they_say_otherwise() {
        for (text, bytes) in [
            ("0", 0),
            ("1500", 1500),
            ("20k", 20_000),
            ("20KiB", 20 << 10),
            ("1.5G", 1_500_000_000),
            ("10 GB", 10_000_000_000),
            ("2Ti", 2 << 40),
            ("7B", 7),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "G", "ten", "10X", "-1", "1.2.3G", "5i", "1e3"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_variable_has_a_name() {
        assert_eq!(variable("A=b=c"), Ok(("A".to_owned(), "b=c".to_owned())));
        assert_eq!(variable("A="), Ok(("A".to_owned(), String::new())));
        for text in ["", "A", "=b", "A=\0"] {
            assert!(variable(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ways_to_send_blobs() {
        assert_eq!(upload_mode("monolithic"), Ok(UploadMode::Monolithic));
        assert_eq!(upload_mode("single-post"), Ok(UploadMode::SinglePost));
        assert_eq!(upload_mode("chunked"), Ok(UploadMode::Chunked(CHUNK)));
        assert_eq!(upload_mode("chunked:5Mi"), Ok(UploadMode::Chunked(5 << 20)));
        for text in ["", "chunky", "chunked:", "chunked:0", "monolithic:5"] {
            assert!(upload_mode(text).is_err(), "{text}");
        }
    }
}
