//! `strata find` and `strata location`.

mod roots;

use super::in_environment::Current;
use super::specs;
use crate::args;
use crate::diagnosis::Diagnosis;
use crate::output::{Outcome, packages};
use crate::progress::Console;
use crate::settings::Settings;
use roots::{Roots, status};
use serde_json::json;
use std::collections::HashSet;
use std::fmt::Write;
use std::path::Path;
use strata_ops::find::Found;
use strata_ops::{Event, Reporter};
use strata_spec::dag::shallow_tree;
use strata_spec::format::{Surroundings, Template, TemplateError};
use strata_spec::{AbstractSpec, DagHash, DependencyTypes, Node, Record};
use strata_store::{Installed, Upstream};

/// Lists installed packages; in an environment, its packages.
pub(crate) fn find(
    args: &args::Find,
    global: &args::Global,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let specs = specs(&args.specs)?;
    let template = template(args, global)?;
    let (installed, place) = read(settings, console)?;
    let mut installed = args.within(installed)?;
    let explicit = if args.explicit { Some(true) } else { args.implicit.then_some(false) };
    let Some(current) = Current::of(settings)? else {
        if args.only_roots || args.show_concretized {
            let option = if args.only_roots { "--only-roots" } else { "--show-concretized" };
            let text = format!("{option} is about an environment, and none is named or active");
            return Err(Diagnosis::misuse(text, "name one with -e, or leave it out"));
        }
        let matches = strata_ops::find::installed(installed.database(), &specs, explicit, &place)?;
        for spec in &matches.unmatched {
            console.event(Event::Warning(&format!("no spec matches `{spec}` in {place}")));
        }
        let listing = Listing {
            args,
            template: &template,
            installed: &installed,
            status: args.install_status,
            absent: &HashSet::new(),
        };
        let mut text = String::new();
        let found = listing.packages(&matches.records, &mut text)?;
        console.event(Event::Phase(&format!("{} installed", packages(found.len()))));
        return Ok(Outcome::new(text, &json!({"specs": found}))?);
    };
    let hashes = current.hashes()?;
    let is_absent = |hash: &&DagHash| !installed.database().records.contains_key(*hash);
    let absent: HashSet<DagHash> = hashes.iter().filter(is_absent).cloned().collect();
    current.add_members(installed.database_mut())?;
    let roots = Roots::new(&current, settings, &installed, &absent)?;
    if args.only_roots {
        return Ok(Outcome::new(roots.text(args), &json!({"environment": roots.json(&current)}))?);
    }
    // Who wants a format wants to go on with it.
    if args.format.is_none() {
        console.event(Event::Phase(&format!("In environment {}, of which was asked for:", current.name)));
        for line in roots.text(args).lines() {
            console.event(Event::Phase(&format!("  {line}")));
        }
    }
    let (matches, missing) =
        strata_ops::find::of_environment(installed.database(), &specs, explicit, &hashes, &current.name)?;
    for spec in &matches.unmatched {
        let text = format!("nothing in environment {} matches `{spec}`", current.name);
        console.event(Event::Warning(&text));
    }
    let status = args.show_concretized || args.install_status;
    let listing = Listing { args, template: &template, installed: &installed, status, absent: &absent };
    let mut text = String::new();
    let found = listing.packages(&matches.records, &mut text)?;
    // Those that are not shown need not be shown well.
    let mut nowhere = String::new();
    let shown = if args.show_concretized { &mut text } else { &mut nowhere };
    let concretized = listing.packages(&missing, shown)?;
    console.event(Event::Phase(&format!("{} installed", packages(found.len()))));
    if !missing.is_empty() {
        let hint = if args.show_concretized { "" } else { " (shown with -c)" };
        let text = format!("{} to be installed{hint}", packages(missing.len()));
        console.event(Event::Phase(&text));
    }
    let result = json!({"specs": found, "concretized": concretized, "environment": roots.json(&current)});
    Ok(Outcome::new(text, &result)?)
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
    installed: &'a Installed,
    /// Whether it is shown if packages are installed.
    status: bool,
    /// What the store has no record of.
    absent: &'a HashSet<DagHash>,
}

impl Listing<'_> {
    /// The lines of packages, and what there is to say of them to programs.
    fn packages(&self, records: &[&Record], text: &mut String) -> Result<Vec<Found>, Diagnosis> {
        let mut found = Vec::with_capacity(records.len());
        for record in records {
            self.package(&record.node, text)?;
            let mut package = Found::new(record).within(self.installed);
            if self.args.format.is_some() {
                package.formatted = Some(self.template.render(&record.node, self.installed)?);
            }
            found.push(if self.args.deps { package.with_dependencies(&record.node) } else { package });
        }
        Ok(found)
    }

    /// The line of a package; with what it depends on, a tree that ends with an empty line.
    fn package(&self, node: &Node, text: &mut String) -> Result<(), Diagnosis> {
        if !self.args.deps {
            return Ok(self.line(node, 0, text)?);
        }
        let tree = shallow_tree(self.installed.database(), node, DependencyTypes::ALL)
            .map_err(strata_ops::Error::from)?;
        for (depth, node) in tree {
            self.line(node, depth, text)?;
        }
        text.push('\n');
        Ok(())
    }

    fn line(&self, node: &Node, depth: usize, text: &mut String) -> Result<(), TemplateError> {
        if self.status {
            write!(text, "{}  ", status(self.installed, self.absent, &node.hash)).ok();
        }
        if self.args.very_long {
            write!(text, "{} ", node.hash).ok();
        } else if self.args.long {
            write!(text, "{} ", node.hash.short()).ok();
        }
        write!(text, "{}{}", "    ".repeat(depth), self.template.render(node, self.installed)?).ok();
        if let Some(prefix) = self.installed.prefix(node).filter(|_| self.args.paths) {
            write!(text, "  {prefix}").ok();
        }
        text.push('\n');
        Ok(())
    }
}

impl args::Find {
    /// The part of what is installed that is asked about.
    fn within(&self, installed: Installed) -> Result<Installed, Diagnosis> {
        let installed = installed.anywhere();
        let wanted = self.install_tree.as_str();
        let is = |upstream: &Upstream| {
            upstream.name() == wanted || upstream.root().root() == Path::new(wanted.trim_end_matches('/'))
        };
        match wanted {
            "all" => Ok(installed),
            "local" => Ok(installed.only(|upstream| upstream.is_none())),
            "upstream" => Ok(installed.only(|upstream| upstream.is_some())),
            _ if installed.upstreams().iter().any(is) => {
                Ok(installed.only(|upstream| upstream.is_some_and(is)))
            }
            _ => {
                let mut known = vec!["all", "local", "upstream"];
                known.extend(installed.upstreams().iter().map(|upstream| upstream.name()));
                let text = format!("there is no install tree `{wanted}`");
                Err(Diagnosis::misuse(text, format!("there are {}", known.join(", "))))
            }
        }
    }
}

/// Prints where a package is installed, or where the environment is.
pub(crate) fn location(
    args: &args::Location,
    settings: &Settings,
    console: &Console,
) -> Result<Outcome, Diagnosis> {
    let current = Current::of(settings)?;
    let Some(spec) = &args.spec else {
        let Some(current) = current else {
            return Err(Diagnosis::misuse(
                "neither a spec nor an environment is named",
                "name a package, a /HASH, or an environment with -e",
            ));
        };
        let text = format!("{}\n", current.directory.display());
        return Ok(Outcome::new(text, &json!({"name": current.name, "directory": current.directory}))?);
    };
    let (mut installed, place) = read(settings, console)?;
    if let Some(current) = &current {
        // What is installed and is not part of the environment does not make a spec ambiguous.
        let hashes = current.hashes()?;
        let records = installed.database_mut().records.values_mut();
        for record in records.filter(|record| !hashes.contains(&record.node.hash)) {
            record.installed = false;
        }
    }
    let found = strata_ops::find::one(installed.database(), &spec.parse::<AbstractSpec>()?, &place)?;
    let found = found.within(&installed);
    let prefix = found.prefix.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    Ok(Outcome::new(prefix + "\n", &found)?)
}

fn read(settings: &Settings, console: &Console) -> Result<(Installed, String), Diagnosis> {
    // Before the first install there is no store where one is configured, and nothing in it but what is below.
    let place = settings.place()?;
    if !place.is_named {
        return Ok((place.installed(&place.root()?, console)?, place.root.display().to_string()));
    }
    let root = place.existing_root()?;
    Ok((place.installed(&root, console)?, root.root().display().to_string()))
}
