//! `strata config`: what Spack's configuration says, who says so, and where it can be said.

use crate::args::config::{Get, Kind, Scopes};
use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::settings::Settings;
use serde_json::{Value as Json, json};
use strata_config::dump::{self, Line};
use strata_config::value::{Data, Mapping, Origin};
use strata_config::{ConfigError, Configuration, SECTIONS, Scope, ScopeKind, Value};

/// Prints what the scopes say.
pub(crate) fn get(args: &Get, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let configuration = settings.configuration()?;
    let Some((name, value)) = found(args, configuration)? else { return all(configuration, false) };
    let text = match value.data {
        // As a script wants it: without quotes.
        Data::List(_) | Data::Mapping(_) => dump::yaml(&name, &value),
        _ if args.path.as_deref().is_some_and(|path| path.contains(':')) => {
            value.text().map_or_else(|| bare(&value), |text| format!("{text}\n"))
        }
        _ => dump::yaml(&name, &value),
    };
    Ok(Outcome::new(text, &json!({"path": args.path, "value": to_json(&value)}))?)
}

/// Prints what the scopes say, and where.
pub(crate) fn blame(args: &Get, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let configuration = settings.configuration()?;
    let Some((name, value)) = found(args, configuration)? else { return all(configuration, true) };
    let lines = dump::lines(&name, &value);
    Ok(Outcome::new(annotated(&lines), &json!({"path": args.path, "lines": lines_to_json(&lines)}))?)
}

/// Lists the scopes.
pub(crate) fn scopes(args: &Scopes, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let configuration = settings.configuration()?;
    if let Some(section) = &args.section {
        known_section(section)?;
    }
    let active: Vec<&str> = configuration.active_scopes().iter().map(|scope| scope.name.as_str()).collect();
    let included: Vec<&String> = configuration.scopes().iter().flat_map(|scope| &scope.includes).collect();
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut listed = Vec::new();
    for scope in configuration.scopes().iter().rev() {
        let kinds = kinds(scope, included.contains(&&scope.name));
        let is_asked = |kind: &Kind| *kind == Kind::All || kinds.contains(&name_of(*kind));
        if !args.kinds.is_empty() && !args.kinds.iter().any(is_asked) {
            continue;
        }
        let section = args.section.as_deref();
        let says = section.map(|section| configuration.section_of(scope, section)).transpose()?.flatten();
        let state = match section {
            _ if !active.contains(&scope.name.as_str()) => "override",
            Some(_) if says.is_none() => "absent",
            _ => "active",
        };
        let file = section.and_then(|section| scope.file(section)).filter(|file| file.exists());
        let path = file.or_else(|| scope.path().map(std::path::Path::to_owned));
        let shown = path.as_ref().map(|path| {
            let slash = if matches!(scope.kind, ScopeKind::Directory(_)) && scope.path() == Some(path) {
                "/"
            } else {
                ""
            };
            format!("{}{slash}", path.display())
        });
        let mut row = vec![scope.name.clone()];
        row.extend(args.long.then(|| kinds.join(",")));
        row.extend(args.long.then(|| state.to_owned()));
        row.extend((args.paths || section.is_some()).then(|| shown.clone().unwrap_or_default()));
        rows.push(row);
        listed.push(json!({
            "name": scope.name, "types": kinds, "status": state, "path": path, "writable": scope.writable,
            "includes": scope.includes,
        }));
    }
    Ok(Outcome::new(table(&rows), &json!({"scopes": listed}))?)
}

/// Lists the sections.
pub(crate) fn list() -> Result<Outcome, Diagnosis> {
    Ok(Outcome::new(format!("{}\n", SECTIONS.join(" ")), &json!({"sections": SECTIONS}))?)
}

/// What was asked for, with the name of its last key; none if that is everything.
fn found(args: &Get, configuration: &Configuration) -> Result<Option<(String, Value)>, Diagnosis> {
    let scope = args.scope.as_deref().map(|name| configuration.scope(name)).transpose()?;
    let Some(path) = &args.path else {
        return match &args.scope {
            Some(_) => {
                Err(Diagnosis::misuse("--scope is given without a section".to_owned(), "say which section"))
            }
            None => Ok(None),
        };
    };
    let mut keys = path.split(':');
    let mut name = keys.next().unwrap_or_default();
    known_section(name)?;
    let section = match scope {
        Some(scope) => configuration.section_of(scope, name)?,
        None => configuration.section(name)?,
    };
    // A section that nobody says anything of is an empty one.
    let mut value = section.unwrap_or_else(|| empty(Mapping::default()));
    for key in keys {
        let below = value.get(key).cloned();
        value = below.ok_or_else(|| ConfigError::NotSet { path: path.clone(), scope: args.scope.clone() })?;
        name = key;
    }
    Ok(Some((name.to_owned(), value)))
}

fn known_section(name: &str) -> Result<(), ConfigError> {
    if SECTIONS.contains(&name) { Ok(()) } else { Err(ConfigError::NoSuchSection { name: name.to_owned() }) }
}

/// All sections, below `spack` as in the manifest of an environment.
fn all(configuration: &Configuration, with_origins: bool) -> Result<Outcome, Diagnosis> {
    let mut lines = vec![Line { text: "spack:".to_owned(), origin: None }];
    let mut sections = serde_json::Map::new();
    for section in SECTIONS {
        let value = configuration.section(section)?.unwrap_or_else(|| empty(Mapping::default()));
        let below = dump::lines(section, &value).into_iter();
        lines.extend(below.map(|line| Line { text: format!("  {}", line.text), ..line }));
        sections.insert(section.to_owned(), to_json(&value));
    }
    if with_origins {
        return Ok(Outcome::new(annotated(&lines), &json!({"path": null, "lines": lines_to_json(&lines)}))?);
    }
    let text = lines.into_iter().map(|line| line.text + "\n").collect();
    Ok(Outcome::new(text, &json!({"path": null, "value": sections}))?)
}

fn empty(mapping: Mapping) -> Value {
    Value { data: Data::Mapping(mapping), origin: Origin::internal("_builtin") }
}

/// A flag, a number or nothing.
fn bare(value: &Value) -> String {
    dump::yaml("", value).split_once(": ").map_or_else(String::new, |(_, text)| text.to_owned())
}

fn origin(line: &Line) -> String {
    line.origin.as_ref().map_or_else(|| "---".to_owned(), Origin::to_string)
}

/// Lines with where they come from in front of them.
fn annotated(lines: &[Line]) -> String {
    let rows: Vec<Vec<String>> = lines.iter().map(|line| vec![origin(line), line.text.clone()]).collect();
    table(&rows)
}

fn lines_to_json(lines: &[Line]) -> Vec<Json> {
    let line = |line: &Line| {
        let origin = line.origin.as_ref();
        let file = origin.and_then(|origin| origin.file.as_deref());
        let number = origin.map(|origin| origin.line).filter(|line| *line > 0);
        json!({"text": line.text, "scope": origin.map(|origin| &*origin.scope), "file": file, "line": number})
    };
    lines.iter().map(line).collect()
}

/// Columns, two spaces apart.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|text| text.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(text, width)| format!("{text:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn kinds(scope: &Scope, is_included: bool) -> Vec<&'static str> {
    let is_manifest = matches!(scope.kind, ScopeKind::File { is_manifest: true, .. });
    let place = if scope.path().is_some() { "path" } else { "internal" };
    let mut kinds = vec![place];
    kinds.extend(is_manifest.then_some("env"));
    kinds.extend(is_included.then_some("include"));
    kinds.sort_unstable();
    kinds
}

fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::All => "all",
        Kind::Env => "env",
        Kind::Include => "include",
        Kind::Internal => "internal",
        Kind::Path => "path",
    }
}

fn to_json(value: &Value) -> Json {
    match &value.data {
        Data::Null => Json::Null,
        Data::Boolean(flag) => json!(flag),
        Data::Integer(number) => json!(number),
        Data::Float(number) => json!(number),
        Data::Text(text) => json!(text),
        Data::List(items) => items.iter().map(to_json).collect(),
        Data::Mapping(mapping) => {
            let entries = mapping.iter().map(|(key, value)| (key.name.clone(), to_json(value)));
            Json::Object(entries.collect())
        }
    }
}
