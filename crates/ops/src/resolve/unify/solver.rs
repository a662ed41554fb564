//! Whether a selection exists in which every package name stands for one package, asked of a SAT solver.
//!
//! To the solver, a concrete spec is a version of its package that requires exact versions of others, and each spec that was
//! asked for is a package of its own whose versions are the candidates.

use crate::resolve::order::Ranked;
use resolvo::utils::{Pool, VersionSet};
use resolvo::{
    Candidates, Condition, ConditionId, ConditionalRequirement, Dependencies, DependencyProvider,
    HintDependenciesAvailable, Interner, KnownDependencies, NameId, Requirement, SolvableId, Solver,
    SolverCache, StringId, VersionSetId, VersionSetUnionId,
};
use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use strata_spec::DependencyTypes;
use strata_spec::catalog::NodeRef;

/// Packages that a program may need several of: those that Spack's recipes tag as `runtime`.
const RUNTIMES: [&str; 5] = ["compiler-wrapper", "gcc-runtime", "glibc", "intel-oneapi-runtime", "musl"];

/// The packages of a closure, and what they may be chosen for.
pub(super) struct Problem {
    packages: Vec<Package>,
    /// For each spec asked for, indices of its candidates, best first.
    roots: Vec<Vec<usize>>,
}

struct Package {
    /// What only one package may be chosen for.
    slot: String,
    needs: Vec<usize>,
}

/// The nodes of a closure that take part: all that is needed at run time but externals and the run-time libraries of
/// compilers.
pub(super) fn unified(root: NodeRef<'_>) -> Vec<NodeRef<'_>> {
    let mut seen = HashSet::from([root.number()]);
    let mut nodes = vec![root];
    let mut next = 0;
    while let Some(node) = nodes.get(next).copied() {
        nodes.extend(below(node).filter(|node| seen.insert(node.number())));
        next += 1;
    }
    nodes
}

fn below(node: NodeRef<'_>) -> impl Iterator<Item = NodeRef<'_>> {
    let needed = node.edges().filter(|edge| edge.types().intersects(DependencyTypes::RUNTIME));
    let nodes = needed.filter_map(|edge| edge.node());
    nodes.filter(|node| !node.is_external() && !RUNTIMES.contains(&node.name()))
}

impl Problem {
    pub(super) fn new(ranked: &[Vec<Ranked<'_>>]) -> Self {
        let mut problem = Self { packages: Vec::new(), roots: Vec::new() };
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for candidates in ranked {
            let numbers_of = candidates.iter().map(|candidate| problem.add(candidate.node, &mut numbers));
            let root = numbers_of.collect();
            problem.roots.push(root);
        }
        problem
    }

    /// Adds a closure; mirrors may share packages, which their hashes tell.
    fn add(&mut self, root: NodeRef<'_>, numbers: &mut HashMap<String, usize>) -> usize {
        let mut pending = vec![root];
        while let Some(node) = pending.pop() {
            let known = numbers.contains_key(node.hash());
            let number = self.number(node, numbers);
            if known && !self.packages[number].needs.is_empty() {
                continue;
            }
            let dependencies: Vec<NodeRef<'_>> = below(node).collect();
            let fresh = dependencies.iter().filter(|node| !numbers.contains_key(node.hash()));
            pending.extend(fresh.copied());
            self.packages[number].needs =
                dependencies.iter().map(|node| self.number(*node, numbers)).collect();
        }
        numbers.get(root.hash()).copied().unwrap_or_default()
    }

    fn number(&mut self, node: NodeRef<'_>, numbers: &mut HashMap<String, usize>) -> usize {
        if let Some(number) = numbers.get(node.hash()) {
            return *number;
        }
        let slot = match RUNTIMES.contains(&node.name()) {
            true => format!("{}/{}", node.name(), node.hash()),
            false => node.name().to_owned(),
        };
        let number = self.packages.len();
        self.packages.push(Package { slot, needs: Vec::new() });
        numbers.insert(node.hash().to_owned(), number);
        number
    }

    /// Whether some candidates of these specs go together.
    pub(super) fn is_solvable(&self, roots: &[usize]) -> bool {
        let limits: Vec<(usize, usize)> = roots.iter().map(|root| (0, self.roots[*root].len())).collect();
        self.solve(roots, &limits).is_some()
    }

    /// The positions of the candidates to take: the best for the first spec, then for the second, and so on.
    pub(super) fn best(&self, roots: &[usize]) -> Option<Vec<usize>> {
        let mut limits: Vec<(usize, usize)> = roots.iter().map(|root| (0, self.roots[*root].len())).collect();
        let mut solution = self.solve(roots, &limits)?;
        for at in 0..roots.len() {
            // More candidates never make it harder: the best that works is found by halving.
            let mut low = 0;
            while low < solution[at] {
                let middle = (low + solution[at]) / 2;
                limits[at] = (low, middle + 1);
                match self.solve(roots, &limits) {
                    Some(better) => solution = better,
                    None => low = middle + 1,
                }
            }
            limits[at] = (solution[at], solution[at] + 1);
        }
        Some(solution)
    }

    /// Positions of candidates that go together, each within its limits.
    fn solve(&self, roots: &[usize], limits: &[(usize, usize)]) -> Option<Vec<usize>> {
        let pool = Pool::new();
        let mut provider = Provider { pool, by_name: HashMap::new(), needs: HashMap::new() };
        let names: Vec<NameId> =
            self.packages.iter().map(|p| provider.pool.intern_package_name(p.slot.clone())).collect();
        for (number, package) in self.packages.iter().enumerate() {
            let solvable = provider.solvable(names[number], number);
            let needs = package.needs.iter().map(|need| provider.exactly(names[*need], *need)).collect();
            provider.needs.insert(solvable, needs);
        }
        let mut required = Vec::new();
        let mut choices: HashMap<SolvableId, (usize, usize)> = HashMap::new();
        for (at, (root, (from, to))) in roots.iter().zip(limits).enumerate() {
            // No package name has a blank.
            let name = provider.pool.intern_package_name(format!("asked for {at}"));
            for position in *from..*to {
                let number = self.roots[*root][position];
                let solvable = provider.solvable(name, position);
                let needs = vec![provider.exactly(names[number], number)];
                provider.needs.insert(solvable, needs);
                choices.insert(solvable, (at, position));
            }
            let any = provider.pool.intern_version_set(name, Numbers::Any);
            required.push(requirement(any));
        }
        let problem = resolvo::Problem::new().requirements(required);
        let chosen = Solver::new(provider).solve(problem).ok()?;
        let mut positions = vec![0; roots.len()];
        for (at, position) in chosen.iter().filter_map(|solvable| choices.get(solvable)) {
            positions[*at] = *position;
        }
        Some(positions)
    }
}

fn requirement(set: VersionSetId) -> ConditionalRequirement {
    ConditionalRequirement { condition: None, requirement: Requirement::Single(set) }
}

/// Which of a package's versions will do. A version is a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Numbers {
    Any,
    One(usize),
}

impl VersionSet for Numbers {
    type V = usize;
}

/// What the solver asks.
struct Provider {
    pool: Pool<Numbers>,
    by_name: HashMap<NameId, Vec<SolvableId>>,
    needs: HashMap<SolvableId, Vec<VersionSetId>>,
}

impl Provider {
    fn solvable(&mut self, name: NameId, number: usize) -> SolvableId {
        let solvable = self.pool.intern_solvable(name, number);
        self.by_name.entry(name).or_default().push(solvable);
        solvable
    }

    fn exactly(&self, name: NameId, number: usize) -> VersionSetId {
        self.pool.intern_version_set(name, Numbers::One(number))
    }
}

impl DependencyProvider for Provider {
    async fn filter_candidates(
        &self,
        candidates: &[SolvableId],
        version_set: VersionSetId,
        inverse: bool,
    ) -> Vec<SolvableId> {
        let set = self.pool.resolve_version_set(version_set);
        let is_in = |solvable: &SolvableId| match set {
            Numbers::Any => true,
            Numbers::One(number) => self.pool.resolve_solvable(*solvable).record == *number,
        };
        candidates.iter().copied().filter(|solvable| is_in(solvable) != inverse).collect()
    }

    async fn get_candidates(&self, name: NameId) -> Option<Candidates> {
        let candidates = self.by_name.get(&name)?.clone();
        let hint_dependencies_available = HintDependenciesAvailable::All;
        Some(Candidates { candidates, hint_dependencies_available, ..Candidates::default() })
    }

    async fn sort_candidates(&self, _: &SolverCache<Self>, solvables: &mut [SolvableId]) {
        solvables.sort_by_key(|solvable| self.pool.resolve_solvable(*solvable).record);
    }

    async fn get_dependencies(&self, solvable: SolvableId) -> Dependencies {
        let needs = self.needs.get(&solvable).into_iter().flatten();
        let requirements = needs.map(|set| requirement(*set)).collect();
        Dependencies::Known(KnownDependencies { requirements, constrains: Vec::new() })
    }
}

/// What the solver would need for messages; none are made from what it says.
impl Interner for Provider {
    type NameId = NameId;
    type SolvableId = SolvableId;

    fn display_solvable(&self, solvable: SolvableId) -> impl Display + '_ {
        self.pool.resolve_solvable(solvable).record
    }

    fn display_name(&self, name: NameId) -> impl Display + '_ {
        self.pool.resolve_package_name(name)
    }

    fn display_version_set(&self, version_set: VersionSetId) -> impl Display + '_ {
        format!("{:?}", self.pool.resolve_version_set(version_set))
    }

    fn display_string(&self, string: StringId) -> impl Display + '_ {
        self.pool.resolve_string(string)
    }

    fn version_set_name(&self, version_set: VersionSetId) -> NameId {
        self.pool.resolve_version_set_package_name(version_set)
    }

    fn solvable_name(&self, solvable: SolvableId) -> NameId {
        self.pool.resolve_solvable(solvable).name
    }

    fn version_sets_in_union(&self, union: VersionSetUnionId) -> impl Iterator<Item = VersionSetId> {
        self.pool.resolve_version_set_union(union)
    }

    fn resolve_condition(&self, condition: ConditionId) -> Condition {
        self.pool.resolve_condition(condition).clone()
    }
}
