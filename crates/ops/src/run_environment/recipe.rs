//! Whether a package's recipe says more of the run environment than its prefix shows.
//!
//! Spack keeps the recipe a package was built with below `.spack/repos` of its prefix, and those of its dependencies as
//! far as it had them:
//! `NAMESPACE/packages/NAME/package.py`, and since version 2 of the package API
//! `spack_repo/NAMESPACE/packages/NA_ME/package.py`. The classes that recipes are derived from are not kept; of Spack's own
//! ones, that of Intel's oneAPI is the only one that matters.
//!
//! Where no recipe is kept, a table of Spack's builtin packages says which are known to say more (`recipes.txt`). Of the others
//! built by Spack nothing is known then: recipes change. Of externals the table is believed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use strata_spec::Node;

const RUN: &str = "setup_run_environment";
const DEPENDENT: &str = "setup_dependent_run_environment";

/// What is known of a recipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipe {
    /// It is known which of the two functions it has.
    Known {
        /// The environment of the package itself.
        run: bool,
        /// That of its dependents.
        dependent: bool,
    },
    /// It is not kept, and could be anything.
    Unknown,
}

impl Recipe {
    /// What is known of the recipe of `node`. `prefixes` are those it may be kept in: the package's own first, then those of its
    /// dependents.
    pub(super) fn of(node: &Node, prefixes: &[&Path]) -> Self {
        if !node.is_external() {
            let kept = prefixes.iter().flat_map(|prefix| places(node, prefix));
            if let Some(text) = kept.filter_map(|path| std::fs::read(path).ok()).next() {
                return Self::read(&String::from_utf8_lossy(&text));
            }
        }
        let (run, dependent) = KNOWN.get(node);
        if node.is_external() || run || dependent { Self::Known { run, dependent } } else { Self::Unknown }
    }

    /// What the text of a recipe says.
    pub(super) fn read(text: &str) -> Self {
        // A class of another recipe, or one of Intel's, may have either.
        let derived = derives_from_another(text);
        Self::Known { run: derived || defines(text, RUN), dependent: derived || defines(text, DEPENDENT) }
    }
}

/// Whether a function is defined, or assigned from another one (`setup_run_environment = setup_build_environment`).
fn defines(text: &str, function: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        let definition = line.strip_prefix("def").filter(|rest| rest.starts_with([' ', '\t']));
        let rest = definition.map_or(line, str::trim_start).strip_prefix(function);
        rest.is_some_and(|rest| match definition {
            Some(_) => !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'),
            None => rest.trim_start().starts_with('=') && !rest.trim_start().starts_with("=="),
        })
    })
}

/// Whether a class of the recipe is derived from a class of another recipe, or of Intel's oneAPI.
fn derives_from_another(text: &str) -> bool {
    let foreign = imported(text);
    // Classes may be derived from several, on several lines.
    text.split("\nclass ").skip(1).any(|class| {
        let head = class.split(':').next().unwrap_or_default();
        let bases = head.split_once('(').map(|(_, bases)| bases).unwrap_or_default();
        bases.split([',', ')', '\n']).map(str::trim).any(|base| {
            let first = base.split('.').next().unwrap_or_default();
            base.contains("IntelOneApi") || foreign.contains(first) || is_foreign(base)
        })
    })
}

/// What a recipe imports from other recipes, or from classes that are not Spack's own, by the names it has there.
fn imported(text: &str) -> HashSet<&str> {
    let mut imported: HashSet<&str> = HashSet::new();
    let mut rest = text;
    while let Some((line, below)) = rest.split_once('\n').or((!rest.is_empty()).then_some((rest, ""))) {
        rest = below;
        let line = line.trim();
        if let Some((module, names)) = line.strip_prefix("from ").and_then(|line| line.split_once(" import "))
        {
            // A list in parentheses may go on for some lines.
            let mut more = "";
            if names.trim_start().starts_with('(') && !names.contains(')') {
                (more, rest) = rest.split_once(')').unwrap_or((rest, ""));
            }
            if is_foreign(module.trim()) {
                let lines = std::iter::once(names).chain(more.lines());
                let names = lines.filter_map(|line| line.split('#').next()).flat_map(|line| line.split(','));
                imported.extend(
                    names.filter_map(|name| name.trim_matches(['(', ')', ' ']).split(' ').next_back()),
                );
            }
        } else if let Some((module, name)) =
            line.strip_prefix("import ").and_then(|line| line.split_once(" as "))
            && is_foreign(module.trim())
        {
            imported.insert(name.trim());
        }
    }
    imported.remove("");
    imported
}

/// Whether a module is another recipe's, or has base classes that are not Spack's own.
fn is_foreign(module: &str) -> bool {
    let own_base = module.starts_with("spack_repo.builtin.build_systems");
    let base = module.starts_with("spack_repo.") && module.contains(".build_systems");
    module.contains(".packages.") || module.starts_with("spack.pkg.") || (base && !own_base)
}

/// Where the recipe of `node` is, if `prefix` has it.
fn places(node: &Node, prefix: &Path) -> Vec<PathBuf> {
    let namespace = node.namespace.as_deref().unwrap_or("builtin");
    // Names are put together to paths below: they must not lead out of the prefix.
    if [namespace, &node.name]
        .iter()
        .any(|name| name.is_empty() || name.contains(['/', '\0']) || *name == "..")
    {
        return Vec::new();
    }
    let repos = prefix.join(".spack/repos");
    let nested =
        namespace.split('.').fold(repos.join("spack_repo"), |path, part| path.join(part)).join("packages");
    let module = node.name.replace('-', "_");
    vec![
        nested.join(&module).join("package.py"),
        // Names that Python could not import: keywords, and those that begin with a digit.
        nested.join(format!("_{module}")).join("package.py"),
        repos.join(namespace).join("packages").join(&node.name).join("package.py"),
    ]
}

/// The builtin packages whose recipes have one of the functions.
static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut known = Known { run: HashSet::new(), dependent: HashSet::new() };
    let mut section = None;
    for line in include_str!("recipes.txt").lines().filter(|line| !line.starts_with('#')) {
        match line {
            "run" => section = Some(&mut known.run),
            "dependent" => section = Some(&mut known.dependent),
            names => section.iter_mut().for_each(|section| section.extend(names.split(' '))),
        }
    }
    known
});

struct Known {
    run: HashSet<&'static str>,
    dependent: HashSet<&'static str>,
}

impl Known {
    fn get(&self, node: &Node) -> (bool, bool) {
        let builtin = node.namespace.as_deref().is_none_or(|namespace| namespace == "builtin");
        let name = node.name.as_str();
        (builtin && self.run.contains(name), builtin && self.dependent.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;

    fn node(name: &str, namespace: &str, more: &str) -> Node {
        let json = format!(
            r#"{{"name":"{name}","version":"1","namespace":"{namespace}","arch":{{"platform":"linux",
            "platform_os":"debian12","target":"x86_64"}},{more}"hash":"6mhn66ae67iweh46tg4uhwn247xusqdu"}}"#
        );
        Node::parse(&RawValue::from_string(json).unwrap()).unwrap()
    }

    const PLAIN: Recipe = Recipe::Known { run: false, dependent: false };

    #[test]
    fn the_two_functions_are_found_in_a_recipe() {
        let both = Recipe::Known { run: true, dependent: true };
        let cases = [
            ("class A(Package):\n    def install(self):\n        pass\n", PLAIN),
            ("class A(Package):\n    # def setup_run_environment(self, env):\n", PLAIN),
            ("class A(Package):\n    def setup_run_environment_of(self, env):\n", PLAIN),
            (
                "class A(Package):\n    def setup_run_environment(self, env: EnvironmentModifications) -> None:\n",
                Recipe::Known { run: true, dependent: false },
            ),
            (
                "class A(Package):\n\tdef setup_dependent_run_environment(\n        self, env, s):\n",
                Recipe::Known { run: false, dependent: true },
            ),
            ("from x import *\nclass A(IntelOneApiLibraryPackage):\n    pass\n", both),
            (
                "from spack_repo.builtin.packages.b.package import B as Other\n\nclass A(\n    X,\n    Other,\n):\n",
                both,
            ),
            ("from spack.pkg.builtin.b import B\n\nclass A(B):\n", both),
            // Only used, not derived from.
            (
                "from spack_repo.builtin.packages.boost.package import Boost\n\nclass A(CMakePackage):\n",
                PLAIN,
            ),
            (
                "from spack_repo.builtin.build_systems.cmake import CMakePackage\n\nclass A(CMakePackage):\n",
                PLAIN,
            ),
            ("from spack_repo.mine.build_systems.cmake import Mine\n\nclass A(Mine):\n", both),
            (
                "from spack_repo.builtin.packages.b.package import (  # the base\n    B,\n    C as D,\n)\n\nclass A(D):\n",
                both,
            ),
            ("import spack_repo.builtin.packages.b.package as b\n\nclass A(b.B):\n", both),
            (
                "import spack_repo.builtin.packages.b.package\n\nclass A(spack_repo.builtin.packages.b.package.B):\n",
                both,
            ),
            (
                "class A(Package):\n    setup_run_environment = setup_build_environment\n",
                Recipe::Known { run: true, dependent: false },
            ),
            ("class A(Package):\n    x = setup_run_environment == 1\n    setup_run_environment(1)\n", PLAIN),
        ];
        for (text, expected) in cases {
            assert_eq!(Recipe::read(text), expected, "{text}");
        }
    }

    #[test]
    fn recipes_are_found_in_both_layouts_and_in_the_prefix_of_a_dependent() {
        let recipe = "class A(Package):\n    def setup_run_environment(self, env):\n        pass\n";
        let run = Recipe::Known { run: true, dependent: false };
        for (place, name, namespace) in [
            ("builtin/packages/my-pkg", "my-pkg", "builtin"),
            ("spack_repo/builtin/packages/my_pkg", "my-pkg", "builtin"),
            ("spack_repo/builtin/packages/_7zip", "7zip", "builtin"),
            ("spack_repo/site/hpc/packages/my_pkg", "my-pkg", "site.hpc"),
        ] {
            let prefix = tempfile::tempdir().unwrap();
            let directory = prefix.path().join(".spack/repos").join(place);
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(directory.join("package.py"), recipe).unwrap();
            let node = node(name, namespace, "");
            assert_eq!(Recipe::of(&node, &[Path::new("/nowhere"), prefix.path()]), run, "{place}");
            assert_eq!(Recipe::of(&node, &[Path::new("/nowhere")]), Recipe::Unknown, "{place}");
        }
    }

    #[test]
    fn without_a_recipe_the_table_is_asked() {
        let external = r#""external":{"path":"/usr","module":null,"extra_attributes":{}},"#;
        let run = Recipe::Known { run: true, dependent: false };
        let dependent = Recipe::Known { run: false, dependent: true };
        assert_eq!(Recipe::of(&node("gcc", "builtin", external), &[]), run);
        assert_eq!(Recipe::of(&node("python", "builtin", ""), &[]), dependent);
        assert_eq!(Recipe::of(&node("glibc", "builtin", external), &[]), PLAIN);
        assert_eq!(Recipe::of(&node("zlib", "builtin", ""), &[]), Recipe::Unknown);
        assert_eq!(Recipe::of(&node("gcc", "mine", ""), &[]), Recipe::Unknown);
        assert!(places(&node("..", "builtin", ""), Path::new("/x")).is_empty());
    }
}
