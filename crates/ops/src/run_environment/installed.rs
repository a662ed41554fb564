//! Environments of installed packages: computed, and completed by a Spack or by what a cache has where recipes say more.

use super::computed::{self, Places};
use super::extras;
use super::order::{Effective, effective};
use super::recipe::Recipe;
use super::spack::{self, Question};
use super::variables::Change;
use super::{Cached, Environment, Installed, Told, of_cached, root};
use crate::error::Error;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use strata_spec::dag::topological;
use strata_spec::{DagHash, DependencyTypes, Node};

/// The environments of several images at once, each of some roots that are installed, on top of `base`: asking a Spack
/// once costs a second, asking it for each package costs a second each.
pub(crate) fn of_installed(
    installed: &Installed<'_>,
    images: &[&[DagHash]],
    base: &Environment,
) -> Result<Vec<Told>, Error> {
    of_installed_in(installed, images, base, &|path| path.is_dir())
}

/// [`of_installed`], with the question which directories there are left to the caller.
pub(super) fn of_installed_in(
    installed: &Installed<'_>,
    images: &[&[DagHash]],
    base: &Environment,
    is_directory: &dyn Fn(&Path) -> bool,
) -> Result<Vec<Told>, Error> {
    let described = described(installed, images, base, is_directory)?;
    let mut warnings = Vec::new();
    let answers = ask(installed, &described, base, &mut warnings);
    let mut told: Vec<Told> = Vec::new();
    for (described, answer) in described.into_iter().zip(answers) {
        told.push(match answer {
            Some(environment) => Told::known(environment),
            None => described.told_by_cache(installed, base)?,
        });
    }
    if let Some(first) = told.first_mut() {
        first.warnings.extend(warnings);
    }
    Ok(told)
}

/// What is known of each image before anybody is asked. No directory is looked for twice.
pub(super) fn described<'d>(
    installed: &Installed<'d>,
    images: &[&[DagHash]],
    base: &Environment,
    is_directory: &dyn Fn(&Path) -> bool,
) -> Result<Vec<Described<'d>>, Error> {
    let looked_at: RefCell<HashMap<PathBuf, bool>> = RefCell::default();
    let is_directory = |path: &Path| {
        let known = looked_at.borrow().get(path).copied();
        known.unwrap_or_else(|| {
            let is = is_directory(path);
            looked_at.borrow_mut().insert(path.to_owned(), is);
            is
        })
    };
    let mut recipes = Recipes::kept_for(installed, images)?;
    images.iter().map(|roots| Described::new(installed, roots, base, &is_directory, &mut recipes)).collect()
}

/// What is known of an image before anybody is asked.
pub(super) struct Described<'d> {
    pub(super) roots: Vec<&'d Node>,
    pub(super) environment: Environment,
    /// What was done to the base's to get there.
    pub(super) changes: Vec<(String, Change)>,
    /// Packages whose recipes say more.
    more: Vec<&'d Node>,
    /// Packages whose recipes are not kept.
    pub(super) unknown: Vec<&'d Node>,
}

impl<'d> Described<'d> {
    fn new(
        installed: &Installed<'d>,
        roots: &[DagHash],
        base: &Environment,
        is_directory: &dyn Fn(&Path) -> bool,
        recipes: &mut Recipes<'d>,
    ) -> Result<Self, Error> {
        let database = installed.database;
        let roots: Vec<&Node> = roots.iter().map(|hash| root(database, hash)).collect::<Result<_, _>>()?;
        let prefix = |node: &Node| installed.prefix(node);
        let places = Places { prefix: &prefix, is_directory };
        let mut environment = base.clone();
        let changes = computed::changes(database, &roots, installed.inspections, &places)?;
        environment.apply(&changes);

        let (mut more, mut unknown) = (Vec::new(), Vec::new());
        let order = effective(database, &roots)?;
        for Effective { node, needed, .. } in order {
            let recipe = recipes.of(node, installed);
            match recipe {
                Recipe::Known { run, dependent } if run || (dependent && needed) => more.push(node),
                Recipe::Known { .. } => {}
                Recipe::Unknown => unknown.push(node),
            }
        }
        Ok(Self { roots, environment, changes, more, unknown })
    }

    /// Whether no recipe says more.
    pub(super) fn is_complete(&self) -> bool {
        self.more.is_empty() && self.unknown.is_empty()
    }

    /// Takes what the configs of the roots say, and names the packages that no config tells of.
    pub(super) fn told_by_cache(self, installed: &Installed<'_>, base: &Environment) -> Result<Told, Error> {
        let mut told = Told::known(self.environment);
        if self.more.is_empty() && self.unknown.is_empty() {
            return Ok(told);
        }
        let database = installed.database;
        let here = |node: &Node| installed.prefix(node);
        // In the order in which the roots come in lists.
        let mut roots = effective(database, &self.roots)?;
        roots.retain(|e| self.roots.iter().any(|root| root.hash == e.node.hash));
        let mut cached: HashMap<DagHash, Cached> = HashMap::new();
        let mut covered: HashSet<&DagHash> = HashSet::new();
        let mut lost: Vec<String> = Vec::new();
        for Effective { node, .. } in &roots {
            let Some(kept) = installed.cached.get(&node.hash) else { continue };
            let config = extras::moved(database, node, kept, &here)?;
            let is_told = |e: &&Effective<'_>| !config.unclear.contains(&e.node.label());
            covered.extend(effective(database, &[node])?.iter().filter(is_told).map(|e| &e.node.hash));
            lost.extend(config.unclear.iter().filter(|label| !kept.unclear.contains(label)).cloned());
            cached.insert(node.hash.clone(), config);
        }
        let hashes: Vec<DagHash> = self.roots.iter().map(|root| root.hash.clone()).collect();
        let said = of_cached(database, &hashes, &cached, base)?;
        if extras::is_part(&told.environment, &said.environment) {
            // Whoever wrote the configs found what we find, and more: then their order is the right one.
            told.environment = said.environment;
            told.warnings = said.warnings;
        } else {
            for (node, config) in roots.iter().filter_map(|e| Some((e.node, cached.get(&e.node.hash)?))) {
                extras::add(&mut told.environment, base, database, node, config, installed.inspections)?;
            }
        }
        let uncovered = |nodes: &[&Node]| -> Vec<String> {
            nodes.iter().filter(|node| !covered.contains(&node.hash)).map(|node| node.label()).collect()
        };
        told.unclear = uncovered(&self.more);
        told.unknown = uncovered(&self.unknown);
        lost.retain(|label| !told.unclear.contains(label) && !told.unknown.contains(label));
        told.unclear.extend(lost);
        Ok(told)
    }
}

/// What is known of recipes.
struct Recipes<'d> {
    known: HashMap<&'d DagHash, Recipe>,
    /// The prefixes that keep any: whatever image is looked at first, the same is known of a recipe.
    places: Vec<PathBuf>,
}

impl<'d> Recipes<'d> {
    fn kept_for(installed: &Installed<'d>, images: &[&[DagHash]]) -> Result<Self, Error> {
        let mut seen: HashSet<&DagHash> = HashSet::new();
        let hashes = images.iter().copied().flatten().filter(|hash| seen.insert(hash));
        let roots: Vec<&Node> =
            hashes.map(|hash| root(installed.database, hash)).collect::<Result<_, _>>()?;
        let nodes = topological(installed.database, &roots, DependencyTypes::RUNTIME)?;
        let opened = nodes.iter().filter(|node| installed.recipe_by_config(&node.hash).is_none());
        let prefixes = opened.filter_map(|node| installed.own_prefix(node)).map(PathBuf::from);
        let places = prefixes.filter(|prefix| prefix.join(".spack/repos").is_dir()).collect();
        Ok(Self { known: HashMap::new(), places })
    }

    fn of(&mut self, node: &'d Node, installed: &Installed<'_>) -> Recipe {
        *self.known.entry(&node.hash).or_insert_with(|| {
            if let Some(recipe) = installed.recipe_by_config(&node.hash) {
                return recipe;
            }
            // Its own prefix first. A dependent may keep a copy.
            let own = installed.own_prefix(node).map(PathBuf::from);
            let places: Vec<&Path> = own.iter().chain(&self.places).map(PathBuf::as_path).collect();
            Recipe::of(node, &places)
        })
    }
}

impl Installed<'_> {
    /// Where a package lies, external or not.
    pub(super) fn prefix(&self, node: &Node) -> Option<String> {
        let recorded = self.database.records.get(&node.hash).and_then(|record| record.path.clone());
        recorded.or_else(|| node.external.as_ref().and_then(|external| external.path.clone()))
    }

    /// What the config of a package says of its recipe, if its prefix is not to be opened.
    fn recipe_by_config(&self, hash: &DagHash) -> Option<Recipe> {
        let config = self.unopened?.get(hash)?;
        let says_more = !config.says_nothing();
        Some(Recipe::Known { run: says_more, dependent: says_more })
    }

    /// The prefix of a package that Spack built.
    fn own_prefix(&self, node: &Node) -> Option<String> {
        self.prefix(node).filter(|_| !node.is_external())
    }
}

/// What a Spack says of the images that are not complete. Why it could not be asked becomes a warning.
fn ask(
    installed: &Installed<'_>,
    images: &[Described<'_>],
    base: &Environment,
    warnings: &mut Vec<String>,
) -> Vec<Option<Environment>> {
    let mut answers: Vec<Option<Environment>> = images.iter().map(|_| None).collect();
    let open: Vec<usize> = (0..images.len()).filter(|n| !images[*n].is_complete()).collect();
    let Some(executable) = installed.spack.filter(|_| !open.is_empty()) else { return answers };
    let prefixes: Vec<Vec<(&DagHash, String)>> = open
        .iter()
        .map(|n| {
            images[*n].roots.iter().map(|r| (&r.hash, installed.prefix(r).unwrap_or_default())).collect()
        })
        .collect();
    let env: Vec<(&str, &str)> = base.iter().collect();
    let questions: Vec<Question<'_>> = prefixes
        .iter()
        .map(|roots| Question {
            roots: roots.iter().map(|(h, p)| (*h, p.as_str())).collect(),
            env: env.clone(),
        })
        .collect();
    match spack::ask(executable, &questions) {
        Ok(found) => {
            let mut failures: Vec<String> = Vec::new();
            for (n, answer) in open.into_iter().zip(found) {
                match answer {
                    Ok(environment) => answers[n] = Some(environment),
                    Err(reason) => failures.push(format!("{}: {reason}", label(&images[n].roots))),
                }
            }
            if let Some(first) = failures.first() {
                let more = match failures.len() - 1 {
                    0 => String::new(),
                    more => format!(" (and {more} more)"),
                };
                warnings
                    .push(format!("{} cannot tell the environment of {first}{more}", executable.display()));
            }
        }
        Err(error) => warnings.push(format!("no environment can be asked of Spack: {error}")),
    }
    answers
}

/// The roots of an image, as people read them.
pub(super) fn label(roots: &[&Node]) -> String {
    roots.iter().map(|root| root.label()).collect::<Vec<_>>().join(" and ")
}
