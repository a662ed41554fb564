//! What belongs to one package: name, versions, variants, flags, architecture, hash.

use super::names::{FLAG_KINDS, RESERVED};
use super::quote::unquoted;
use super::token::TokenKind;
use super::{Parser, SpecSyntaxError};
use crate::abstract_spec::{
    AbstractSpec, ArchitectureConstraint, CompilerFlag, VariantConstraint, VariantValue,
};

/// Names of operating systems and targets that stand for those of the machine that Spack runs on.
const OF_THIS_MACHINE: [&str; 6] = ["default_os", "default_target", "frontend", "fe", "backend", "be"];

impl<'t> Parser<'t> {
    /// Reads a node: a name perhaps, then everything that may follow one in any order.
    pub(super) fn node(&mut self) -> Result<AbstractSpec, SpecSyntaxError> {
        let mut spec = AbstractSpec::default();
        match self.next_kind() {
            Some(TokenKind::Star) => {
                self.take()?;
            }
            Some(TokenKind::Name(name)) => {
                match name.rsplit_once('.') {
                    Some((namespace, name)) => {
                        spec.namespace = Some(namespace.to_owned());
                        spec.name = Some(name.to_owned());
                    }
                    None => spec.name = Some((*name).to_owned()),
                }
                self.take()?;
            }
            Some(TokenKind::File(path)) => {
                let reason = format!("`{path}` is a file; expected a spec");
                self.take()?;
                let hint = "a spec is given by name, version or hash: zlib@1.3, /abcdef";
                return Err(SpecSyntaxError { hint: Some(hint.to_owned()), ..self.error_at_last(reason) });
            }
            _ => {}
        }
        self.attributes(&mut spec)?;
        Ok(spec)
    }

    fn attributes(&mut self, spec: &mut AbstractSpec) -> Result<(), SpecSyntaxError> {
        let mut has_version = false;
        loop {
            match self.next_kind() {
                Some(TokenKind::Version(text)) => {
                    let text = *text;
                    self.take()?;
                    if has_version {
                        return Err(self.error_at_last("a second version; a list is written @1.2,1.4"));
                    }
                    spec.versions = text.parse().map_err(|e| self.error_at_last(format!("{e}")))?;
                    has_version = true;
                }
                Some(TokenKind::Switch { name, on, propagate }) => {
                    let (name, on, propagate) = (*name, *on, *propagate);
                    self.take()?;
                    self.check_propagation(name, propagate)?;
                    let has_text = RESERVED.contains(&name) && is_setting(name) || FLAG_KINDS.contains(&name);
                    if has_text {
                        return Err(self.error_at_last(format!("`{name}` takes a value: {name}=VALUE")));
                    }
                    self.variant(spec, name, VariantConstraint { value: VariantValue::Bool(on), propagate })?;
                }
                Some(TokenKind::Setting { name, value, exactly, propagate }) => {
                    let (name, value, exactly, propagate) = (*name, unquoted(value), *exactly, *propagate);
                    self.take()?;
                    self.check_propagation(name, propagate)?;
                    if is_setting(name) {
                        self.setting(spec, name, &value)?;
                    } else if FLAG_KINDS.contains(&name) {
                        add_flags(spec, name, &value, propagate);
                    } else {
                        let value = self.variant_value(&value, exactly)?;
                        self.variant(spec, name, VariantConstraint { value, propagate })?;
                    }
                }
                Some(TokenKind::Hash(hash)) if spec.hash.is_none() => {
                    spec.hash = Some((*hash).to_owned());
                    self.take()?;
                }
                _ => return Ok(()),
            }
        }
    }

    fn check_propagation(&self, name: &str, propagate: bool) -> Result<(), SpecSyntaxError> {
        match propagate && RESERVED.contains(&name) {
            true => Err(self.error_at_last(format!("`{name}` cannot be propagated to dependencies"))),
            false => Ok(()),
        }
    }

    fn variant(
        &self,
        spec: &mut AbstractSpec,
        name: &str,
        variant: VariantConstraint,
    ) -> Result<(), SpecSyntaxError> {
        match spec.variants.insert(name.to_owned(), variant) {
            Some(_) => Err(self.error_at_last(format!("variant `{name}` is given twice"))),
            None => Ok(()),
        }
    }

    fn variant_value(&self, value: &str, exactly: bool) -> Result<VariantValue, SpecSyntaxError> {
        match value {
            "*" => return Ok(VariantValue::Any),
            _ if value.eq_ignore_ascii_case("true") => return Ok(VariantValue::Bool(true)),
            _ if value.eq_ignore_ascii_case("false") => return Ok(VariantValue::Bool(false)),
            _ => {}
        }
        let mut values: Vec<String> = value.split(',').map(str::to_owned).collect();
        values.sort();
        values.dedup();
        if values.iter().any(|value| value == "*") {
            return Err(self.error_at_last("`*` stands for any value and has no others beside it"));
        }
        Ok(if exactly { VariantValue::Exactly(values) } else { VariantValue::AtLeast(values) })
    }

    /// `namespace=`, `arch=`, `platform=`, `os=`, `target=`
    fn setting(&self, spec: &mut AbstractSpec, name: &str, value: &str) -> Result<(), SpecSyntaxError> {
        if name == "namespace" {
            spec.namespace = Some(value.to_owned());
            return Ok(());
        }
        let given = match name {
            "arch" | "architecture" => match value.split('-').collect::<Vec<_>>().as_slice() {
                [platform, os, target] => [Some(Some(*platform)), Some(Some(*os)), Some(Some(*target))],
                _ => [Some(None), Some(None), Some(Some(value))],
            },
            "platform" => [Some(Some(value)), None, None],
            "target" => [None, None, Some(Some(value))],
            _ => [None, Some(Some(value)), None],
        };
        let ArchitectureConstraint { platform, os, target } = &mut spec.architecture;
        let is_single = |target: &String| !target.contains([':', ',']);
        if platform.is_some() && os.is_some() && target.as_ref().is_some_and(is_single) {
            return Err(self.error_at_last("a second architecture"));
        }
        for (part, (field, given)) in
            ["platform", "os", "target"].into_iter().zip([platform, os, target].into_iter().zip(given))
        {
            let Some(given) = given else { continue };
            if field.is_some() {
                return Err(self.error_at_last(format!("a second {part}")));
            }
            let value = given.filter(|value| !value.is_empty() && *value != "None");
            if let Some(name) = value.filter(|value| part != "platform" && OF_THIS_MACHINE.contains(value)) {
                let reason = format!("`{name}` stands for this machine's {part}; expected its name");
                return Err(self.error_at_last(reason));
            }
            *field = value.map(str::to_owned);
        }
        Ok(())
    }
}

/// Whether `name=` is about the package and neither a variant nor flags.
fn is_setting(name: &str) -> bool {
    matches!(name, "namespace" | "arch" | "architecture" | "platform" | "os" | "operating_system" | "target")
}

/// A flag begins with a dash; what follows without one belongs to it: `-isystem /include`.
fn add_flags(spec: &mut AbstractSpec, kind: &str, value: &str, propagate: bool) {
    let mut flags: Vec<String> = Vec::new();
    for word in value.split(super::lexer::is_blank).filter(|word| !word.is_empty()) {
        match flags.last_mut() {
            Some(last) if !word.starts_with('-') => {
                last.push(' ');
                last.push_str(word);
            }
            _ => flags.push(word.to_owned()),
        }
    }
    if !flags.is_empty() {
        let flags = flags.into_iter().map(|flag| CompilerFlag { flag, propagate });
        spec.flags.entry(kind.to_owned()).or_default().extend(flags);
    }
}
