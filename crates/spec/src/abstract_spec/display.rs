//! Spack's canonical form of abstract specs: what is read back is the same spec.
//!
//! Where Spack writes what it does not read back as the same spec, this differs: a hash after a value gets a blank before it
//! (`zlib x=1 /abc`), a value with brackets gets quotes, and the virtual packages of a dependency without a name are
//! written as `^[virtuals=mpi] *`.

use super::{AbstractSpec, DependencyConstraint, VariantConstraint, VariantValue};
use crate::dag::DependencyTypes;
use crate::parse::names::legacy_compiler;
use crate::parse::quote::{quoted_if_needed, unless_bare};
use crate::version::VersionConstraint;
use std::fmt;

const TYPE_NAMES: [(DependencyTypes, &str); 4] = [
    (DependencyTypes::BUILD, "build"),
    (DependencyTypes::LINK, "link"),
    (DependencyTypes::RUN, "run"),
    (DependencyTypes::TEST, "test"),
];

impl fmt::Display for AbstractSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = vec![self.node_text(self.name.as_deref())];
        parts.extend(self.dependency_texts());
        parts.retain(|part| !part.is_empty());
        f.write_str(&parts.join(" "))
    }
}

impl AbstractSpec {
    /// The spec without its dependencies.
    fn node_text(&self, name: Option<&str>) -> String {
        let mut text = name.unwrap_or_default().to_owned();
        let mut ends_in_value = false;
        if !self.versions.is_any() {
            text.push_str(&format!("@{}", self.versions));
            let last = self.versions.items().last();
            ends_in_value = matches!(last, Some(VersionConstraint::Exactly(version)) if version.is_git());
        }
        for (kind, flags) in &self.flags {
            for (propagate, sign) in [(false, "="), (true, "==")] {
                let chosen = flags.iter().filter(|flag| flag.propagate == propagate);
                let chosen: Vec<&str> = chosen.map(|flag| flag.flag.as_str()).collect();
                if !chosen.is_empty() {
                    text.push_str(&format!(" {kind}{sign}{}", quoted_if_needed(&chosen.join(" "))));
                }
            }
        }
        if !self.flags.is_empty() {
            text.push(' ');
            ends_in_value = false;
        }
        let is_bool = |variant: &VariantConstraint| matches!(variant.value, VariantValue::Bool(_));
        for (name, variant) in self.variants.iter().filter(|(_, variant)| is_bool(variant)) {
            text.push_str(&variant.written(name));
            ends_in_value = false;
        }
        let of_values = self.variants.iter().filter(|(_, variant)| !is_bool(variant));
        let mut values: Vec<String> = of_values.map(|(name, variant)| variant.written(name)).collect();
        let named = [
            ("namespace", self.namespace.as_ref().filter(|_| self.name.is_none())),
            ("platform", self.architecture.platform.as_ref()),
            ("os", self.architecture.os.as_ref()),
            ("target", self.architecture.target.as_ref()),
        ];
        for (key, value) in named {
            values.extend(value.map(|value| format!("{key}={}", unless_bare(value))));
        }
        for value in &values {
            text.push(' ');
            text.push_str(value);
            ends_in_value = true;
        }
        if let Some(hash) = &self.hash {
            text.push_str(if ends_in_value { " /" } else { "/" });
            text.push_str(hash);
        }
        text.trim_matches(' ').to_owned()
    }

    /// One text for each dependency: the direct ones by name, then the others by name, each followed by its direct ones.
    fn dependency_texts(&self) -> Vec<String> {
        let mut sorted: Vec<&DependencyConstraint> = self.dependencies.iter().collect();
        sorted.sort_by_key(|edge| edge.place());
        let mut texts = Vec::with_capacity(sorted.len());
        for edge in sorted {
            texts.push(edge.written());
            if !edge.direct {
                texts.extend(edge.spec.dependency_texts());
            }
        }
        texts
    }
}

/// The values with commas between them. One that ends in a backslash does not come last, where it would escape a quote; if all
/// do, there are no quotes, and one that begins with `=` does not come first, where it would be part of the sign.
fn joined(values: &[String]) -> String {
    let mut values: Vec<&str> = values.iter().map(String::as_str).collect();
    if let Some(at) = values.iter().rposition(|value| !value.ends_with('\\')) {
        let last = values.remove(at);
        values.push(last);
    } else if let Some(at) = values.iter().position(|value| !value.starts_with('=')) {
        let first = values.remove(at);
        values.insert(0, first);
    }
    values.join(",")
}

impl VariantConstraint {
    /// `+shared`, `libs:=shared,static`, `abi='*'`
    pub(crate) fn written(&self, name: &str) -> String {
        let (sign, values) = match &self.value {
            VariantValue::Bool(on) => {
                let sigil = if *on { "+" } else { "~" };
                return format!("{}{name}", sigil.repeat(1 + usize::from(self.propagate)));
            }
            VariantValue::Any => ("", "*".to_owned()),
            VariantValue::AtLeast(values) => ("", joined(values)),
            VariantValue::Exactly(values) => (":", joined(values)),
        };
        let equals = if self.propagate { "==" } else { "=" };
        format!("{name}{sign}{equals}{}", quoted_if_needed(&values))
    }
}

impl DependencyConstraint {
    /// The edge and the dependency, without what the dependency depends on.
    fn written(&self) -> String {
        let mut attributes = Vec::new();
        if let Some(when) = &self.when {
            let when = when.to_string();
            attributes.push(if when.contains('\'') {
                format!("when=\"{}\"", when.replace('"', "\\\""))
            } else {
                format!("when='{when}'")
            });
        }
        let types: Vec<&str> =
            TYPE_NAMES.iter().filter(|(t, _)| t.intersects(self.types)).map(|(_, n)| *n).collect();
        if !types.is_empty() {
            attributes.push(format!("deptypes={}", types.join(",")));
        }
        let is_plain = |name: &String| crate::parse::names::is_identifier(name);
        let mut virtuals = String::new();
        if !self.virtuals.is_empty() {
            if self.spec.name.is_some() && self.virtuals.iter().all(is_plain) {
                virtuals = format!("{}=", self.virtuals.join(","));
            } else {
                attributes.push(format!("virtuals={}", unless_bare(&self.virtuals.join(","))));
            }
        }
        let sigil = match (self.direct, self.propagate) {
            (false, _) => "^",
            (true, false) => "%",
            (true, true) => "%%",
        };
        let attributes = match attributes.is_empty() {
            true => String::new(),
            false => format!("[{}] ", attributes.join(" ")),
        };
        let name = self.spec.name.as_deref();
        let node = self.spec.node_text(if self.direct { name.map(legacy_compiler) } else { name });
        format!("{sigil}{attributes}{}{virtuals}{node}", self.star(&node))
    }

    /// The star that keeps what follows from being read as the dependency's name or as `virtual=package`.
    fn star(&self, node: &str) -> &'static str {
        let spec = &self.spec;
        if spec.name.is_some() {
            return "";
        }
        let has_bool = spec.variants.values().any(|variant| matches!(variant.value, VariantValue::Bool(_)));
        let is_clear = self.virtuals.is_empty()
            && (node.starts_with('@')
                || spec.flags.is_empty() && has_bool && spec.architecture == Default::default());
        if is_clear { "" } else { "*" }
    }
}
