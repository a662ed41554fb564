//! How to compress.

use std::fmt;
use std::str::FromStr;

use super::Compression;

/// How to compress a layer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// gzip, at the one level that strata has for it.
    #[default]
    Gzip,
    /// zstd.
    Zstd {
        /// 1, the fastest, to 22, the smallest.
        level: u8,
    },
    /// Not at all.
    None,
}

impl Method {
    /// zstd's own default.
    pub const DEFAULT_ZSTD: Self = Self::Zstd { level: 3 };

    /// zstd's highest level.
    const MAX_LEVEL: u8 = 22;

    /// What decides, besides the content, which bytes come out.
    #[must_use]
    pub fn recipe(self) -> String {
        match self {
            Self::Gzip => format!("gzip {}", crate::gzip::writer::LEVEL),
            Self::Zstd { level } => format!("zstd {} {level}", zstd::zstd_safe::version_string()),
            Self::None => "none".to_owned(),
        }
    }

    /// What comes out.
    #[must_use]
    pub fn compression(self) -> Compression {
        match self {
            Self::Gzip => Compression::Gzip,
            Self::Zstd { .. } => Compression::Zstd,
            Self::None => Compression::None,
        }
    }
}

/// What comes out, at the level that is nobody's choice.
impl From<Compression> for Method {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Gzip => Self::Gzip,
            Compression::Zstd => Self::DEFAULT_ZSTD,
            Compression::None => Self::None,
        }
    }
}

/// A text that names no way to compress.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MethodError {
    /// The word is none that is known.
    #[error("`{0}` is no compression: gzip, zstd, zstd:LEVEL and none are")]
    Unknown(String),
    /// zstd has no such level.
    #[error("`{0}` is no level of zstd: they are 1, the fastest, to {max}, the smallest", max = Method::MAX_LEVEL)]
    Level(String),
    /// A level was given to what has none.
    #[error("{0} takes no level")]
    NoLevel(&'static str),
}

impl FromStr for Method {
    type Err = MethodError;

    fn from_str(text: &str) -> Result<Self, MethodError> {
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level)),
            None => (text, None),
        };
        let levelless = |method: Self| match level {
            None => Ok(method),
            Some(_) => Err(MethodError::NoLevel(method.compression().name())),
        };
        match (name, level) {
            ("gzip", _) => levelless(Self::Gzip),
            ("none", _) => levelless(Self::None),
            ("zstd", None) => Ok(Self::DEFAULT_ZSTD),
            ("zstd", Some(level)) => {
                // Numbers may be written with a sign.
                let number = level.bytes().all(|byte| byte.is_ascii_digit()).then(|| level.parse().ok());
                match number.flatten() {
                    Some(level @ 1..=Self::MAX_LEVEL) => Ok(Self::Zstd { level }),
                    _ => Err(MethodError::Level(level.to_owned())),
                }
            }
            _ => Err(MethodError::Unknown(text.to_owned())),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd { level } => write!(f, "zstd:{level}"),
            other => f.write_str(other.compression().name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        for (text, method, shown) in [
            ("gzip", Method::Gzip, "gzip"),
            ("none", Method::None, "none"),
            ("zstd", Method::Zstd { level: 3 }, "zstd:3"),
            ("zstd:1", Method::Zstd { level: 1 }, "zstd:1"),
            ("zstd:22", Method::Zstd { level: 22 }, "zstd:22"),
        ] {
            assert_eq!(text.parse(), Ok(method));
            assert_eq!(method.to_string(), shown);
            assert_eq!(shown.parse(), Ok(method));
        }
    }

    #[test]
    fn what_is_none_is_told() {
        let refused = |text: &str| text.parse::<Method>().unwrap_err().to_string();
        for text in ["", "xz", "Gzip", "zstd3", ":3"] {
            assert_eq!(
                refused(text),
                format!("`{text}` is no compression: gzip, zstd, zstd:LEVEL and none are")
            );
        }
        for level in ["", "0", "23", "-1", "+3", "3.5", "300"] {
            let expected =
                format!("`{level}` is no level of zstd: they are 1, the fastest, to 22, the smallest");
            assert_eq!(refused(&format!("zstd:{level}")), expected);
        }
        assert_eq!(refused("gzip:6"), "gzip takes no level");
        assert_eq!(refused("none:"), "none takes no level");
    }
}
