//! Why there is a binary for a spec, or why there is none: what would be chosen and what it was preferred to, or what was
//! nearest and what it lacked.
//!
//! The explanation is data; its [`Display`](std::fmt::Display) is what `strata why` prints, and what every command says that
//! finds no binary.

mod advice;
mod nearest;
mod parts;
mod similar;
mod text;

pub use nearest::{Lack, Nearest};

use crate::index::LastKnown;
use crate::resolve::candidates::{in_catalog, of_the_kind, satisfying};
use crate::resolve::fitness::Fitness;
use crate::resolve::order::{Preference, Ranked, best_first};
use crate::resolve::{Sorted, Stock, Unasked, Unclear};
use serde::Serialize;
use strata_spec::catalog::NodeRef;
use strata_spec::host::Host;
use strata_spec::{AbstractSpec, matching};

/// How many lines of a kind are shown; what is beyond is counted.
const SHOWN: usize = 5;

/// What is there for a spec.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The spec as it was asked for.
    pub spec: String,
    /// What would be chosen; none if there is nothing that can be used.
    pub chosen: Option<Available>,
    /// Why it cannot be told which of several is meant; then nothing else is said of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unclear: Option<Unclear>,
    /// Others that could be used: the next best ones.
    pub others: Vec<Passed>,
    /// How many more could be used.
    pub more_others: usize,
    /// What cannot be used: with something chosen, only what matches the spec; else whatever was nearest, nearest first.
    pub nearest: Vec<Nearest>,
    /// How many more cannot be used.
    pub more: usize,
    /// How many specs there are of the package, or of packages that provide it.
    pub of_the_kind: usize,
    #[serde(skip)]
    is_named: bool,
    /// Names like the one that was asked for, if there is no package of that name.
    pub similar: Vec<String>,
    /// The mirrors that were asked.
    pub mirrors: Vec<String>,
    /// The mirrors that could not be asked.
    pub unasked: Vec<Unasked>,
    /// What those had when they were asked last, as far as their indexes are kept on this machine.
    pub remembered: Vec<Remembered>,
    /// What to change.
    pub advice: Vec<String>,
}

/// What matches in the index that is kept of a mirror.
#[derive(Clone, Debug, Serialize)]
pub struct Remembered {
    /// What the user calls the mirror.
    pub mirror: String,
    /// When it had that index.
    pub as_of: String,
    /// Labels of packages that match and that it had binaries of.
    pub packages: Vec<String>,
    /// How many more it had.
    pub more: usize,
}

/// A package that can be used.
#[derive(Clone, Debug, Serialize)]
pub struct Available {
    /// Label of the package.
    pub package: String,
    /// DAG hash.
    pub hash: String,
    /// The spec in Spack's canonical form.
    pub spec: String,
    /// The mirrors that have it.
    pub mirrors: Vec<String>,
    /// Whether it is installed.
    pub installed: bool,
}

/// A package that could be used and is not the best.
#[derive(Clone, Debug, Serialize)]
pub struct Passed {
    /// Label of the package.
    pub package: String,
    /// DAG hash.
    pub hash: String,
    /// What makes the chosen one better.
    pub because: Preference,
    /// That as a sentence.
    pub reason: String,
}

impl Explanation {
    /// Whether nothing can be said because of mirrors that could not be asked.
    pub fn is_uncertain(&self) -> bool {
        self.chosen.is_none() && self.unclear.is_none() && !self.unasked.is_empty()
    }
}

/// Explains what there is for `spec` on `host`, or on any machine.
pub fn explain(spec: &AbstractSpec, host: Option<&Host>, stock: &Stock<'_>) -> Explanation {
    let fitness = Fitness::new(stock, host);
    let mut kind = of_the_kind(stock, spec);
    if kind.is_empty() && spec.hash.is_some() && spec.name.is_some() {
        kind = of_the_kind(stock, &AbstractSpec { hash: None, ..spec.clone() });
    }
    let mut explanation = Explanation {
        spec: spec.to_string(),
        chosen: None,
        unclear: None,
        others: Vec::new(),
        more_others: 0,
        nearest: Vec::new(),
        more: 0,
        of_the_kind: kind.len(),
        is_named: spec.name.is_some(),
        similar: Vec::new(),
        mirrors: stock.answered().map(str::to_owned).collect(),
        unasked: stock.unasked().to_vec(),
        remembered: stock
            .remembered()
            .filter_map(|(mirror, known)| remembered(spec, mirror, known))
            .collect(),
        advice: Vec::new(),
    };
    let matching = satisfying(stock, spec, kind.clone());
    let Sorted { usable, unusable, unclear } = Sorted::new(spec, matching, &fitness);
    if unclear.is_some() {
        explanation.unclear = unclear;
        return explanation;
    }
    if usable.is_empty() {
        let (groups, more) = nearest::groups(kind, &unusable, spec, stock, &fitness, host);
        if let (0, Some(name)) = (explanation.of_the_kind, &spec.name) {
            explanation.similar = similar::names(name, stock.catalogs().flat_map(|c| c.names()), SHOWN);
        }
        if explanation.similar.is_empty() {
            explanation.advice = advice::of(spec, &groups, host);
        }
        explanation.show(groups, more);
        return explanation;
    }
    let ranked = best_first(usable, spec, stock, host);
    let best = &ranked[0];
    explanation.chosen = Some(available(best.node, stock));
    let passed = ranked[1..].iter().take(SHOWN);
    explanation.others = passed.map(|other| passed_over(best, other)).collect();
    explanation.more_others = ranked.len() - 1 - explanation.others.len();
    let (groups, more) = nearest::groups(unusable, &[], spec, stock, &fitness, host);
    explanation.show(groups, more);
    explanation
}

impl Explanation {
    fn show(&mut self, groups: Vec<Nearest>, more: usize) {
        self.more = more + groups.iter().skip(SHOWN).map(|group| 1 + group.alike).sum::<usize>();
        self.nearest = groups;
        self.nearest.truncate(SHOWN);
    }
}

fn remembered(spec: &AbstractSpec, mirror: &str, known: &LastKnown) -> Option<Remembered> {
    let nodes = in_catalog(&known.catalog, spec).into_iter();
    let had = nodes.filter(|node| node.in_buildcache() && matching::satisfies(*node, spec));
    let mut packages: Vec<String> = had.map(NodeRef::label).collect();
    packages.sort();
    let as_of = jiff::Timestamp::try_from(known.as_of).ok()?.strftime("%Y-%m-%d %H:%M UTC").to_string();
    let more = packages.len().saturating_sub(SHOWN);
    packages.truncate(SHOWN);
    (!packages.is_empty()).then(|| Remembered { mirror: mirror.to_owned(), as_of, packages, more })
}

fn available(node: NodeRef<'_>, stock: &Stock<'_>) -> Available {
    let canonical = crate::resolve::node(node).map(|node| strata_spec::format::canonical(&node));
    Available {
        package: node.label(),
        hash: node.hash().to_owned(),
        spec: canonical.unwrap_or_else(|_| node.label()),
        mirrors: stock.mirrors_with(node.hash()).map(|at| stock.mirror_name(at).to_owned()).collect(),
        installed: stock.is_installed(node.hash()),
    }
}

fn passed_over(best: &Ranked<'_>, other: &Ranked<'_>) -> Passed {
    let because = best.preference(other);
    let (best, other) = (best.node, other.node);
    let reason = match because {
        Preference::Provider => format!("{} is preferred as a provider", best.name()),
        Preference::Version => format!("version {} is preferred", best.version()),
        Preference::Target => {
            format!("built for {}, which is less specific than {}", other.target(), best.target())
        }
        Preference::Os => format!("built on {}", other.os()),
        Preference::Installed => "more would have to be installed".to_owned(),
        Preference::Hash | Preference::Together => {
            "as good, and the hash decides; name what tells them apart to choose".to_owned()
        }
    };
    Passed { package: other.label(), hash: other.hash().to_owned(), because, reason }
}
