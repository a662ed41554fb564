//! `strata mirror list`: in Spack's columns; where each is configured is in the JSON.

use crate::diagnosis::Diagnosis;
use crate::output::Outcome;
use crate::settings::Settings;
use serde_json::json;
use std::fmt::Write;
use strata_config::{Configuration, Mirrors};

/// Lists the mirrors of all scopes, or of one.
pub(crate) fn list(scope: Option<&str>, settings: &Settings) -> Result<Outcome, Diagnosis> {
    let configuration = settings.configuration()?;
    let mirrors = match scope {
        None => Mirrors::of(configuration)?,
        Some(name) => Mirrors::of_scope(configuration, configuration.scope(name)?)?,
    };
    let width = mirrors.iter().map(|mirror| mirror.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    let mut rows = Vec::new();
    for mirror in &mirrors {
        let (fetch, push) = (mirror.fetch_url().ok(), mirror.push_url().ok());
        let shown = |url: &str| shown(url, configuration);
        let urls = match (fetch, push) {
            (Some(fetch), Some(push)) if fetch == push => shown(fetch),
            (fetch, push) => {
                let parts = [("fetch: ", fetch), ("push: ", push)];
                let parts: Vec<String> = parts
                    .iter()
                    .filter_map(|(what, url)| Some(format!("{what}{}", shown((*url)?))))
                    .collect();
                parts.join(" ")
            }
        };
        let kinds = [(mirror.source, 's'), (mirror.binary, 'b')];
        let kinds: String = kinds.iter().map(|(holds, sign)| if *holds { *sign } else { ' ' }).collect();
        writeln!(text, "{:width$} [{kinds}] {urls}", mirror.name).ok();
        let origin = &mirror.origin;
        rows.push(json!({
            "name": mirror.name,
            "fetch": fetch,
            "push": push,
            "binary": mirror.binary,
            "source": mirror.source,
            "signed": mirror.signed,
            "autopush": mirror.autopush,
            "scope": &*origin.scope,
            "file": origin.file.as_deref(),
            "line": (origin.line > 0).then_some(origin.line),
        }));
    }
    Ok(Outcome::new(text, &json!({"mirrors": rows}))?)
}

/// A URL as Spack shows it: what is none is a path.
fn shown(url: &str, configuration: &Configuration) -> String {
    if url.contains("://") {
        url.to_owned()
    } else {
        format!("file://{}", configuration.path(url, None).display())
    }
}
