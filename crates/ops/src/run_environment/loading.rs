//! What is done to the variables of a shell when installed packages are loaded into it: the changes, not what comes of them.
//!
//! Unlike for an image, a Spack is asked last: whoever loads packages waits for it. What was kept of a cache's config tells of
//! the same recipes. Where nobody knows a recipe of Spack's builtin repository, and the table of those that say more does not
//! name it either, it is taken for one that says nothing: whoever loads a package each day is not to be warned each day.

use super::extras::is_list_of;
use super::installed::{Described, described, label};
use super::modification::{Edit, Modification};
use super::spack::{self, ChangesQuestion};
use super::variables::Environment;
use super::weave::{entries, separator};
use super::{Inspections, Installed, Told};
use crate::error::Error;
use strata_spec::{DagHash, Node};

/// What is to be done for some roots.
#[derive(Clone, Debug, Default)]
pub(crate) struct Loading {
    /// In order.
    pub(crate) modifications: Vec<Modification>,
    /// What is not known; its environment says nothing.
    pub(crate) told: Option<Told>,
}

/// What is to be done for each of several groups of roots that are installed.
pub(crate) fn loading(installed: &Installed<'_>, groups: &[&[DagHash]]) -> Result<Vec<Loading>, Error> {
    let nothing = Environment::default();
    let described = described(installed, groups, &nothing, &|path| path.is_dir())?;
    let mut all: Vec<Loading> = Vec::new();
    let mut open: Vec<(usize, Question)> = Vec::new();
    for (at, described) in described.into_iter().enumerate() {
        if described.is_complete() {
            let modifications = described.changes.into_iter().map(Modification::from).collect();
            all.push(Loading { modifications, told: None });
            continue;
        }
        let question = Question::new(installed, &described);
        let loading = by_cache(installed, described, &nothing)?;
        if loading.told.as_ref().is_some_and(|told| !told.unclear.is_empty() || !told.unknown.is_empty()) {
            open.push((at, question));
        }
        all.push(loading);
    }
    let answers = installed.spack.filter(|_| !open.is_empty()).map(|executable| {
        let questions: Vec<ChangesQuestion<'_>> = open.iter().map(|(_, question)| question.asked()).collect();
        (executable, spack::ask_changes(executable, &questions))
    });
    for (number, (at, question)) in open.iter().enumerate() {
        let reason = match &answers {
            Some((_, Ok(answers))) => match &answers[number] {
                Ok(modifications) => {
                    all[*at] = Loading { modifications: modifications.clone(), told: None };
                    continue;
                }
                Err(reason) => Some(reason.clone()),
            },
            _ => None,
        };
        let Some(told) = &mut all[*at].told else { continue };
        told.unknown.retain(|label| !question.builtin.contains(label));
        if told.unclear.is_empty() && told.unknown.is_empty() {
            continue;
        }
        match (&answers, reason) {
            (Some((executable, _)), Some(reason)) => told.warnings.push(format!(
                "{} cannot tell the environment of {}: {reason}",
                executable.display(),
                question.label
            )),
            (Some((_, Err(error))), None) => {
                told.warnings.push(format!("no environment can be asked of Spack: {error}"));
            }
            _ => {}
        }
    }
    Ok(all)
}

/// What a Spack is to be asked.
struct Question {
    roots: Vec<(DagHash, String)>,
    label: String,
    /// Labels of packages of Spack's builtin repository whose recipes are not kept.
    builtin: Vec<String>,
}

impl Question {
    fn new(installed: &Installed<'_>, described: &Described<'_>) -> Self {
        let roots = described.roots.iter();
        let roots = roots.map(|root| (root.hash.clone(), installed.prefix(root).unwrap_or_default()));
        let unknown = described.unknown.iter();
        let is_builtin = |node: &&&Node| node.namespace.as_deref().is_none_or(|name| name == "builtin");
        let builtin = unknown.filter(is_builtin).map(|node| node.label()).collect();
        Self { roots: roots.collect(), label: label(&described.roots), builtin }
    }

    fn asked(&self) -> ChangesQuestion<'_> {
        ChangesQuestion { roots: self.roots.iter().map(|(hash, prefix)| (hash, prefix.as_str())).collect() }
    }
}

/// What follows from what was kept of configs.
fn by_cache(
    installed: &Installed<'_>,
    described: Described<'_>,
    nothing: &Environment,
) -> Result<Loading, Error> {
    let (computed, changes) = (described.environment.clone(), described.changes.clone());
    let mut told = described.told_by_cache(installed, nothing)?;
    let modifications = if told.environment == computed {
        changes.into_iter().map(Modification::from).collect()
    } else {
        modifications(&told.environment, installed.inspections)
    };
    told.environment = Environment::default();
    Ok(Loading { modifications, told: Some(told) })
}

/// What makes an environment of nothing: lists entry by entry, so that they go before what a shell has.
fn modifications(environment: &Environment, inspections: &Inspections) -> Vec<Modification> {
    let mut all = Vec::new();
    for (name, value) in environment.iter() {
        if !is_list_of(name, value, inspections) {
            all.push(Modification::new(name, Edit::Set(value.to_owned())));
            continue;
        }
        for entry in entries(name, value).into_iter().rev() {
            let mut change = Modification::new(name, Edit::Prepend(entry));
            separator(name).clone_into(&mut change.separator);
            all.push(change);
        }
    }
    all
}
