//! [`Platform`]: what an image runs on, and how well what an image is for suits what is asked for.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::{Descriptor, ImageConfig};

/// What attestations (provenance, lists of contents) beside images are marked with, in the indexes that BuildKit writes.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// How an index says that something is for no platform.
const UNKNOWN: &str = "unknown";

/// An operating system and a processor architecture, as Go names them: `linux/amd64`, `linux/arm64/v8`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// `linux`.
    pub os: String,
    /// `amd64`, `arm64`, `ppc64le`, …
    pub architecture: String,
    /// `v8`, …; none is any.
    pub variant: Option<String>,
}

/// How well an image suits: the least is the best.
pub(crate) type Suitability = (u8, u32);

impl Platform {
    /// Linux on that architecture, any variant.
    pub fn linux(architecture: impl Into<String>) -> Self {
        Self { os: "linux".into(), architecture: architecture.into(), variant: None }
    }

    /// What an image with this config is for.
    pub fn of_config(config: &ImageConfig) -> Self {
        Self {
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant().filter(|variant| !variant.is_empty()),
        }
    }

    /// What an entry of an index is for; `None` for attestations, and for what says no platform.
    pub fn of_entry(entry: &Descriptor) -> Option<Self> {
        #[derive(Deserialize)]
        struct Written {
            os: String,
            architecture: String,
            #[serde(default)]
            variant: Option<String>,
        }
        if entry.annotations.contains_key(REFERENCE_TYPE) {
            return None;
        }
        let Written { os, architecture, variant } =
            serde_json::from_str(entry.extra.get("platform")?.get()).ok()?;
        let said = |text: &str| !text.is_empty() && text != UNKNOWN;
        let variant = variant.filter(|variant| !variant.is_empty());
        (said(&os) && said(&architecture)).then_some(Self { os, architecture, variant })
    }

    /// Whether an entry of an index leaves it to its config to say what it is for, as the specification allows.
    pub(crate) fn is_left_to_config(entry: &Descriptor) -> bool {
        entry.extra.get("platform").is_none() && !entry.annotations.contains_key(REFERENCE_TYPE)
    }

    /// How well an image for `image` suits who asks for this; `None` if it does not.
    ///
    /// Whoever asks for a variant gets that one, else the highest below it, for processors run what was made for their
    /// forerunners. Who asks for none gets the image that says none, else the usual variant, else the lowest.
    pub(crate) fn suited_by(&self, image: &Self) -> Option<Suitability> {
        if (&self.os, &self.architecture) != (&image.os, &image.architecture) {
            return None;
        }
        let asked = match &self.variant {
            None => {
                return Some(match (&image.variant, image.level()) {
                    (None, _) => (0, 0),
                    (Some(_), level) if level == image.usual_level() => (0, 1),
                    (Some(_), Some(level)) => (1, level),
                    (Some(_), None) => (2, 0),
                });
            }
            Some(asked) => asked,
        };
        match (self.level(), image.level()) {
            _ if image.variant.as_ref() == Some(asked) => Some((0, 0)),
            (Some(wanted), Some(level)) => Some((0, wanted.checked_sub(level)?)),
            _ if image.variant.is_none() => Some((1, 0)),
            _ => None,
        }
    }

    /// The variant as a number that grows with what a processor can do: tenths, for there is `v8.1`. `None` if it is not
    /// of that kind.
    fn level(&self) -> Option<u32> {
        let Some(variant) = &self.variant else { return self.usual_level() };
        let number = variant.strip_prefix('v').unwrap_or(variant);
        let (whole, tenths) = number.split_once('.').unwrap_or((number, "0"));
        whole.parse::<u32>().ok()?.checked_mul(10)?.checked_add(tenths.parse().ok()?)
    }

    /// What no variant means.
    fn usual_level(&self) -> Option<u32> {
        match self.architecture.as_str() {
            "amd64" => Some(10),
            "arm64" => Some(80),
            "arm" => Some(70),
            _ => None,
        }
    }
}

/// `OS/ARCHITECTURE[/VARIANT]`.
impl FromStr for Platform {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || {
            format!(
                "{text:?} is not a platform: expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/amd64"
            )
        };
        let is_word = |word: &&str| {
            !word.is_empty()
                && word
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
        };
        let words: Vec<&str> = text.split('/').collect();
        if !words.iter().all(is_word) {
            return Err(malformed());
        }
        let (os, architecture, variant) = match words[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant.to_string())),
            _ => return Err(malformed()),
        };
        // The names that Linux has for the two commonest.
        let architecture = match architecture {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        Ok(Self { os: os.to_string(), architecture: architecture.to_string(), variant })
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn platform(text: &str) -> Platform {
        text.parse().unwrap()
    }

    /// Which of `has` is the best for `asked`.
    fn best<'a>(asked: &str, has: &[&'a str]) -> Option<&'a str> {
        has.iter()
            .filter_map(|image| Some((platform(asked).suited_by(&platform(image))?, *image)))
            .min_by_key(|(suitability, _)| *suitability)
            .map(|(_, image)| image)
    }

    #[test]
    fn the_variant_asked_for_or_the_next_below() {
        for (asked, has, expected) in [
            ("linux/amd64", &["linux/arm64", "windows/amd64"][..], None),
            ("linux/amd64", &["linux/amd64/v3", "linux/amd64"], Some("linux/amd64")),
            ("linux/amd64", &["linux/amd64/v3", "linux/amd64/v2"], Some("linux/amd64/v2")),
            ("linux/amd64", &["linux/amd64/v3", "linux/amd64/v1"], Some("linux/amd64/v1")),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v3"], Some("linux/amd64/v3")),
            ("linux/amd64/v3", &["linux/amd64", "linux/amd64/v2"], Some("linux/amd64/v2")),
            ("linux/amd64/v3", &["linux/amd64/v4", "linux/amd64"], Some("linux/amd64")),
            ("linux/amd64/v2", &["linux/amd64/v3"], None),
            ("linux/arm64", &["linux/arm64/v8"], Some("linux/arm64/v8")),
            ("linux/arm64/v8", &["linux/arm64"], Some("linux/arm64")),
            ("linux/arm64/v8", &["linux/arm64/v9"], None),
            ("linux/arm64", &["linux/arm64/v9", "linux/arm64/v8"], Some("linux/arm64/v8")),
            ("linux/arm64/v8.2", &["linux/arm64/v8.1", "linux/arm64/v8"], Some("linux/arm64/v8.1")),
            ("linux/arm/v7", &["linux/arm/v6", "linux/arm/v7", "linux/arm/v5"], Some("linux/arm/v7")),
            ("linux/arm/v6", &["linux/arm/v7", "linux/arm/v5"], Some("linux/arm/v5")),
            ("linux/arm", &["linux/arm/v5", "linux/arm/v6"], Some("linux/arm/v5")),
            ("linux/ppc64le/power9", &["linux/ppc64le/power8", "linux/ppc64le"], Some("linux/ppc64le")),
            ("linux/ppc64le/power9", &["linux/ppc64le/power10"], None),
            ("linux/ppc64le", &["linux/ppc64le/power9"], Some("linux/ppc64le/power9")),
        ] {
            assert_eq!(best(asked, has), expected, "{asked} of {has:?}");
            let reversed: Vec<&str> = has.iter().rev().copied().collect();
            assert_eq!(best(asked, &reversed), expected, "{asked} of {reversed:?}");
        }
    }

    #[test]
    fn attestations_and_what_says_no_platform_are_for_none() {
        let mut entry = Descriptor::of("m", b"");
        assert_eq!(Platform::of_entry(&entry), None);
        for (json, expected) in [
            (r#"{"os":"linux","architecture":"amd64"}"#, Some("linux/amd64")),
            (r#"{"os":"linux","architecture":"amd64","variant":""}"#, Some("linux/amd64")),
            (
                r#"{"os":"linux","architecture":"arm64","variant":"v8","os.version":"1"}"#,
                Some("linux/arm64/v8"),
            ),
            (r#"{"os":"unknown","architecture":"unknown"}"#, None),
            (r#"{"os":"linux"}"#, None),
            ("null", None),
            ("7", None),
        ] {
            entry.extra.set_raw("platform", serde_json::value::RawValue::from_string(json.into()).unwrap());
            assert_eq!(Platform::of_entry(&entry), expected.map(platform), "{json}");
        }
        entry.extra.set("platform", &serde_json::json!({"os": "linux", "architecture": "amd64"})).unwrap();
        assert!(Platform::of_entry(&entry).is_some());
        entry.annotations.insert(REFERENCE_TYPE.into(), "attestation-manifest".into());
        assert_eq!(Platform::of_entry(&entry), None);
    }

    #[test]
    fn texts() {
        for text in ["linux/amd64", "linux/arm64/v8", "windows/amd64"] {
            assert_eq!(platform(text).to_string(), text);
        }
        assert_eq!(platform("linux/x86_64").to_string(), "linux/amd64");
        assert_eq!(platform("linux/aarch64/v8").to_string(), "linux/arm64/v8");
        for text in ["", "linux", "amd64", "linux/", "/amd64", "a/b/c/d", "linux/AMD64", "linux /amd64"] {
            let error = text.parse::<Platform>().unwrap_err();
            assert!(error.contains("linux/amd64") && error.contains(text), "{error}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_variants_one_suits_itself_best(
            asked in "linux/(amd64|arm64|arm|ppc64le)(/v?[0-9]{0,12}(\\.[0-9]{0,12})?x?)?",
            other in "linux/(amd64|arm64|arm|ppc64le)(/v?[0-9]{0,12}(\\.[0-9]{0,12})?x?)?",
        ) {
            if let (Ok(asked), Ok(other)) = (asked.parse::<Platform>(), other.parse::<Platform>()) {
                prop_assert_eq!(asked.suited_by(&asked), Some((0, 0)));
                let _ = asked.suited_by(&other);
            }
        }
    }
}
