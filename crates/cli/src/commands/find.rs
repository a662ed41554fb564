//! `strata find` and `strata location`.

use super::{specs, store};
use crate::args;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use strata_ops::find::Found;
use strata_ops::{Event, Reporter};
use strata_spec::dag::shallow_tree;
use strata_spec::format::{Surroundings, Template, TemplateError};
use strata_spec::{AbstractSpec, Database, DependencyTypes, Node};

/// Lists installed packages.
pub(crate) fn find(
    args: &args::Find,
    global: &args::Global,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let specs = specs(&args.specs)?;
    let template = template(args, global)?;
    let (database, place) = read(settings)?;
    let explicit = if args.explicit { Some(true) } else { args.implicit.then_some(false) };
    let matches = strata_ops::find::installed(&database, &specs, explicit, &place)?;
    for spec in &matches.unmatched {
        console.event(Event::Warning(&format!("no spec matches `{spec}` in {place}")));
    }
    let listing = Listing { args, template: &template, database: &database };
    let mut text = String::new();
    let mut found = Vec::with_capacity(matches.records.len());
    for record in &matches.records {
        listing.package(&record.node, &mut text)?;
        let mut package = Found::new(record);
        if args.format.is_some() {
            package.formatted = Some(template.render(&record.node, &database)?);
        }
        found.push(if args.deps { package.with_dependencies(&record.node) } else { package });
    }
    console.event(Event::Phase(&format!("{} installed", packages(found.len()))));
    Ok(Outcome::new(text, &json!({"specs": found}))?)
}

/// What is shown of each package beside its hash and its prefix.
fn template(args: &args::Find, global: &args::Global) -> Result<Template, TemplateError> {
    // `-v` is short for the variants here, as it is in Spack.
    let variants = if args.variants || global.verbose { "{variants}" } else { "" };
    args.format.clone().unwrap_or_else(|| format!("{{name}}{{@version}}{variants}")).parse()
}

/// How packages are listed.
struct Listing<'a> {
    args: &'a args::Find,
    template: &'a Template,
    database: &'a Database,
}

impl Listing<'_> {
    /// The line of a package; with what it depends on, a tree that ends with an empty line.
    fn package(&self, node: &Node, text: &mut String) -> Result<(), Diagnosis> {
        if !self.args.deps {
            return Ok(self.line(node, 0, text)?);
        }
        let tree =
            shallow_tree(self.database, node, DependencyTypes::ALL).map_err(strata_ops::Error::from)?;
        for (depth, node) in tree {
            self.line(node, depth, text)?;
        }
        text.push('\n');
        Ok(())
    }

    fn line(&self, node: &Node, depth: usize, text: &mut String) -> Result<(), TemplateError> {
        if self.args.very_long {
            write!(text, "{} ", node.hash).ok();
        } else if self.args.long {
            write!(text, "{} ", node.hash.short()).ok();
        }
        write!(text, "{}{}", "    ".repeat(depth), self.template.render(node, self.database)?).ok();
        if let Some(prefix) = self.database.prefix(node).filter(|_| self.args.paths) {
            write!(text, "  {prefix}").ok();
        }
        text.push('\n');
        Ok(())
    }
}

/// Prints where a package is installed.
pub(crate) fn location(args: &args::Location, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let (database, place) = read(settings)?;
    let found = strata_ops::find::one(&database, &args.spec.parse::<AbstractSpec>()?, &place)?;
    let prefix = found.prefix.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    Ok(Outcome::new(prefix + "\n", &found)?)
}

fn read(settings: &Settings) -> Result<(Database, String), Diagnosis> {
    // Before the first install there is no store, and nothing in it.
    if !settings.store_is_named && !settings.store.exists() {
        return Ok((Database::default(), settings.store.display().to_string()));
    }
    let store = store(settings)?;
    let database = store.read().map_err(strata_ops::Error::from)?;
    Ok((database, store.root().root().display().to_string()))
}
