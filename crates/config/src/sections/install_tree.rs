//! `config:install_tree`: where packages are installed.

use std::path::PathBuf;

use crate::value::{Data, Value};
use crate::{ConfigError, Configuration};

/// To how many characters `padded_length: true` pads: the longest path of Linux less what Spack leaves for what is below.
const LONGEST_PADDING: usize = 4096 - 300;

/// `config:install_tree`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InstallTree {
    /// The root, without padding; none if nothing is said.
    pub root: Option<PathBuf>,
    /// `padded_length`: to how many characters the root is padded; none or 0 for not at all.
    pub padded_length: Option<usize>,
    /// `projections`: specs and the format strings of their prefixes, in order; `all` stands for every spec.
    pub projections: Vec<(String, String)>,
}

impl InstallTree {
    /// What the scopes say. Older forms are understood: a root alone, `install_path_scheme` beside it, and `$padding:128` at the
    /// end of a root.
    ///
    /// # Errors
    /// If they cannot be read or say something that means nothing, such as `$spack` where there is none.
    pub fn of(configuration: &Configuration) -> Result<Self, ConfigError> {
        let (mut found, root) = Self::without_root(configuration)?;
        let Some(root) = root else { return Ok(found) };
        let (plain, padding) = without_padding(&root);
        found.padded_length = found.padded_length.or(padding);
        found.root = Some(configuration.path_of(&plain)?);
        Ok(found)
    }

    /// What the scopes say of projections, whether or not there can be packages at the root that they say.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn projections_of(configuration: &Configuration) -> Result<Vec<(String, String)>, ConfigError> {
        Ok(Self::without_root(configuration)?.0.projections)
    }

    /// All but the root, and what is said of that.
    fn without_root(configuration: &Configuration) -> Result<(Self, Option<Value>), ConfigError> {
        let mut found = Self::default();
        let Some(config) = configuration.section("config")? else { return Ok((found, None)) };
        let Some(tree) = config.get("install_tree") else { return Ok((found, None)) };
        let root = if tree.text().is_some() {
            let scheme = config.get("install_path_scheme").and_then(Value::text);
            found.projections =
                scheme.map(|scheme| ("all".to_owned(), scheme.to_owned())).into_iter().collect();
            Some(tree)
        } else {
            let projections = tree.get("projections").and_then(Value::mapping);
            let projections = projections.into_iter().flat_map(|projections| projections.iter());
            found.projections = projections
                .filter_map(|(spec, format)| Some((spec.name.clone(), format.text()?.to_owned())))
                .collect();
            found.padded_length = tree.get("padded_length").and_then(padded_length);
            tree.get("root")
        };
        Ok((found, root.filter(|root| !root.is_null()).cloned()))
    }
}

fn padded_length(value: &Value) -> Option<usize> {
    let length = match value.data {
        Data::Boolean(true) => LONGEST_PADDING,
        Data::Integer(length) => usize::try_from(length).ok()?,
        _ => 0,
    };
    Some(length).filter(|length| *length > 0)
}

/// A root without `$padding`, which was how Spack wrote `padded_length` once, and that length.
fn without_padding(root: &Value) -> (Value, Option<usize>) {
    let text = root.text().unwrap_or_default();
    let plain = |text: String| Value { data: Data::Text(text), origin: root.origin.clone() };
    for (start, end) in [("${padding", "}"), ("$padding", "")] {
        let Some((before, after)) = text.split_once(start) else { continue };
        let digits = after.strip_prefix(':').unwrap_or_default();
        let digits = &digits[..digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len())];
        let written = if digits.is_empty() { 0 } else { digits.len() + 1 };
        let Some(rest) = after[written..].strip_prefix(end) else { continue };
        let length = if digits.is_empty() { Some(LONGEST_PADDING) } else { digits.parse().ok() };
        return (plain(format!("{before}{rest}")), length.filter(|length| *length > 0));
    }
    (root.clone(), None)
}
