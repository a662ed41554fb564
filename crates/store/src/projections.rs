//! [`Projections`]: which directory below the root a new package gets (`config:install_tree:projections`).
//!
//! A projection is a format string for each spec it is for, the first that a package satisfies counts, and `all` is for
//! the rest (`projections.py` and `directory_layout.py` in Spack). Only new packages ask: what is recorded is where its
//! record says, whatever the projections were when it was installed.

use crate::layout::file_name;
use crate::root::StoreRoot;
use std::collections::HashMap;
use std::path::PathBuf;
use strata_spec::format::{Surroundings, Template, TemplateError};
use strata_spec::matching::Question;
use strata_spec::{AbstractSpec, Catalog, DagHash, Node, NodeSource, SpecSyntaxError};

/// What Spack does where nothing is configured.
const DEFAULT: &str = "{architecture.platform}-{architecture.target}/{name}-{version}-{hash}";
/// The projection for what no other is for.
const ALL: &str = "all";

/// Where new packages go.
#[derive(Clone, Debug)]
pub struct Projections {
    /// In order, but for the one for all.
    rules: Vec<(AbstractSpec, Projection)>,
    /// The one for all.
    rest: Option<Projection>,
}

/// The components of a path.
#[derive(Clone, Debug)]
struct Projection(Vec<Template>);

/// The projections cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// One is for something that is no spec.
    #[error("the projection for `{spec}` is for no spec")]
    Spec {
        /// What it is for.
        spec: String,
        /// What is wrong with it.
        source: Box<SpecSyntaxError>,
    },
    /// One is no format string, or names what a package does not have.
    #[error("the projection for `{spec}` cannot be used")]
    Format {
        /// What it is for.
        spec: String,
        /// What is wrong with it.
        source: TemplateError,
    },
    /// One leads out of the store.
    #[error(
        "the projection `{projection}` for `{spec}` is no path below the root: it is absolute, empty, or has a `..`"
    )]
    Outside {
        /// What it is for.
        spec: String,
        /// The format string.
        projection: String,
    },
    /// One has no hash, or one with a length, and `config:install_hash_length` says how long hashes are.
    #[error(
        "config:install_hash_length is set, and the projection `{projection}` for `{spec}` has no plain {{hash}}"
    )]
    NoHash {
        /// What it is for.
        spec: String,
        /// The format string.
        projection: String,
    },
    /// A package that none is for.
    #[error("no projection of config:install_tree is for {package}, and there is none for `all`")]
    NoneFor {
        /// Label of the package.
        package: String,
    },
}

impl Default for Projections {
    fn default() -> Self {
        let rest = Projection::parse(ALL, DEFAULT, None).ok();
        Self { rules: Vec::new(), rest }
    }
}

impl Projections {
    /// Reads pairs of a spec and a format string; if there are none, they are Spack's own. `hash_length` is
    /// `config:install_hash_length`: how much of a hash `{hash}` is.
    pub fn new(pairs: &[(String, String)], hash_length: Option<usize>) -> Result<Self, ProjectionError> {
        if pairs.is_empty() {
            return Ok(Self { rules: Vec::new(), rest: Some(Projection::parse(ALL, DEFAULT, hash_length)?) });
        }
        let mut projections = Self { rules: Vec::new(), rest: None };
        for (spec, text) in pairs {
            let projection = Projection::parse(spec, text, hash_length)?;
            if spec == ALL {
                projections.rest = Some(projection);
                continue;
            }
            let invalid = |source| ProjectionError::Spec { spec: spec.clone(), source: Box::new(source) };
            projections.rules.push((spec.parse().map_err(invalid)?, projection));
        }
        Ok(projections)
    }

    /// The prefixes of `nodes` as new packages under `root`; externals are where they are, and those without a path are
    /// left out. What the nodes depend on comes from `source`.
    ///
    /// # Errors
    /// If there is no projection for one of them, or it names what that one does not have.
    pub fn prefixes<'n>(
        &self,
        root: &StoreRoot,
        source: &impl NodeSource,
        nodes: impl Iterator<Item = &'n Node> + Clone,
    ) -> Result<HashMap<DagHash, PathBuf>, ProjectionError> {
        let chosen = self.chosen(nodes.clone());
        let mut prefixes = HashMap::new();
        for node in nodes {
            let path = match &node.external {
                Some(external) => external.path.as_ref().map(PathBuf::from),
                None => {
                    let rule = chosen.get(node.hash.as_str()).and_then(|at| self.rules.get(*at));
                    let projection = rule.map(|(_, projection)| projection).or(self.rest.as_ref());
                    let none = || ProjectionError::NoneFor { package: node.label() };
                    let spec = rule.map_or_else(|| ALL.to_owned(), |(spec, _)| spec.to_string());
                    let relative = projection.ok_or_else(none)?.of(node, &Nowhere(source));
                    Some(
                        root.root()
                            .join(relative.map_err(|source| ProjectionError::Format { spec, source })?),
                    )
                }
            };
            prefixes.extend(path.map(|path| (node.hash.clone(), path)));
        }
        Ok(prefixes)
    }

    /// Which rule is for each node that has one.
    fn chosen<'n>(&self, nodes: impl Iterator<Item = &'n Node>) -> HashMap<String, usize> {
        let mut chosen = HashMap::new();
        if self.rules.is_empty() {
            return chosen;
        }
        let catalog = Catalog::of_nodes(nodes.map(|node| (node, false)));
        for (at, (spec, _)) in self.rules.iter().enumerate() {
            let mut question = Question::new(&catalog, spec);
            for node in catalog.nodes().filter(|node| question.is_met_by(*node)) {
                chosen.entry(node.hash().to_owned()).or_insert(at);
            }
        }
        chosen
    }
}

impl Projection {
    fn parse(spec: &str, text: &str, hash_length: Option<usize>) -> Result<Self, ProjectionError> {
        let mut projection = text.to_lowercase();
        if let Some(length) = hash_length {
            if !projection.contains("{hash}") {
                return Err(ProjectionError::NoHash { spec: spec.to_owned(), projection });
            }
            projection = projection.replace("{hash}", &format!("{{hash:{length}}}"));
        }
        let parts: Vec<&str> = projection.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if projection.starts_with('/') || parts.is_empty() || parts.contains(&"..") {
            return Err(ProjectionError::Outside { spec: spec.to_owned(), projection });
        }
        let format = |source| ProjectionError::Format { spec: spec.to_owned(), source };
        parts.iter().map(|part| part.parse()).collect::<Result<_, _>>().map(Self).map_err(format)
    }

    fn of(&self, node: &Node, surroundings: &impl Surroundings) -> Result<PathBuf, TemplateError> {
        self.0.iter().map(|part| Ok(file_name(&part.render(node, surroundings)?))).collect()
    }
}

/// Nodes of which nothing is installed yet.
struct Nowhere<'s, S>(&'s S);

impl<S: NodeSource> NodeSource for Nowhere<'_, S> {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.0.node(hash)
    }
}

impl<S: NodeSource> Surroundings for Nowhere<'_, S> {
    fn prefix(&self, _: &Node) -> Option<String> {
        None
    }

    fn is_installed(&self, _: &Node) -> bool {
        false
    }
}
