//! The environments that real Spack computed, from the golden data alone, and from the unpacked store; and those of several
//! images put together, against those computed for all of their roots.

mod loads;
mod real_spack;
mod scale;
mod sources;

use super::installed::of_installed_in;
use super::*;
use std::collections::HashSet;
use std::path::PathBuf;
use strata_oci::ImageConfig;
use strata_testkit::golden;

/// What the machine that the golden data was made on has of what is looked for in `/usr`.
const USR: [&str; 4] = ["/usr/share/man", "/usr/share/aclocal", "/usr/share/pkgconfig", "/usr/lib/pkgconfig"];

/// The golden packages: their records, with prefixes, and the directories they have.
struct Golden {
    database: Database,
    packages: Vec<DagHash>,
    directories: HashSet<PathBuf>,
    /// `config.Env` of each.
    cached: HashMap<DagHash, Cached>,
    /// What Spack computed from nothing.
    from_nothing: HashMap<DagHash, Vec<String>>,
}

impl Golden {
    fn read() -> Self {
        let index = golden::file("push/index.json").expect("golden/push/index.json");
        let mut golden = Self {
            database: Database::parse(&golden::text(&index)).unwrap(),
            packages: Vec::new(),
            directories: USR.into_iter().map(PathBuf::from).collect(),
            cached: HashMap::new(),
            from_nothing: HashMap::new(),
        };
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        for row in golden::rows(&golden::file("layers/layers.jsonl.zst").expect("golden/layers")) {
            let hash = DagHash::parse(row["hash"].as_str().unwrap()).unwrap();
            golden.database.records.get_mut(&hash).unwrap().path = Some(text(&row["prefix"]));
            let entries = row["entries"].as_array().unwrap();
            for entry in entries
                .iter()
                .filter(|entry| ["dir", "directory", "d", "5"].contains(&entry["type"].as_str().unwrap()))
            {
                golden.directories.insert(Path::new("/").join(entry["name"].as_str().unwrap()));
            }
            let env = row["env"].as_object().unwrap().iter();
            golden.from_nothing.insert(hash.clone(), env.map(|(k, v)| format!("{k}={}", text(v))).collect());
            let config = golden::dir().join(format!("push/configs/{}.json", text(&row["tag"])));
            golden
                .cached
                .insert(hash.clone(), Cached { env: env_of(&config), has_base: false, unclear: Vec::new() });
            golden.packages.push(hash);
        }
        assert!(!golden.packages.is_empty());
        golden
    }

    fn installed<'a>(
        &'a self,
        inspections: &'a Inspections,
        cached: &'a HashMap<DagHash, Cached>,
    ) -> Installed<'a> {
        Installed { database: &self.database, inspections, spack: None, cached, unopened: None }
    }

    /// Computed for each image, without looking at the disk.
    fn computed(&self, images: &[&[DagHash]], base: &Environment) -> Vec<Vec<String>> {
        let (inspections, cached) = (Inspections::default(), HashMap::new());
        let told = of_installed_in(&self.installed(&inspections, &cached), images, base, &|path| {
            self.directories.contains(path)
        });
        told.unwrap().iter().map(|told| told.environment.to_entries()).collect()
    }

    /// The roots of the environment image, in their order: of what its `CMAKE_PREFIX_PATH` lists, all that its `PATH` has
    /// twice, or that nothing else there needs.
    fn roots_of(&self, env: &[String]) -> Vec<DagHash> {
        let env = Environment::of_entries(env);
        let listed = env.get("CMAKE_PREFIX_PATH").unwrap().split(':');
        let of_prefix = |prefix: &str| {
            let record = self.database.records.values().find(|r| r.path.as_deref() == Some(prefix)).unwrap();
            &record.node
        };
        let nodes: Vec<&Node> = listed.map(of_prefix).collect();
        let needed = |node: &Node| {
            nodes
                .iter()
                .flat_map(|n| &n.dependencies)
                .any(|e| e.hash == node.hash && e.types.intersects(strata_spec::DependencyTypes::RUNTIME))
        };
        nodes.iter().filter(|node| !needed(node)).map(|node| node.hash.clone()).collect()
    }
}

fn env_of(config: &Path) -> Vec<String> {
    ImageConfig::parse(golden::text(config).as_bytes()).unwrap().config.env
}

fn devenv() -> Vec<String> {
    env_of(&golden::dir().join("push/configs/devenv.json"))
}

#[test]
fn each_packages_environment_is_spacks() {
    let golden = Golden::read();
    for hash in &golden.packages {
        let images: [&[DagHash]; 1] = [std::slice::from_ref(hash)];
        let [with_path] = &golden.computed(&images, &Environment::of_base(None))[..] else { panic!() };
        assert_eq!(with_path, &golden.cached[hash].env, "{hash}");
        let [from_nothing] = &golden.computed(&images, &Environment::default())[..] else { panic!() };
        assert_eq!(from_nothing, &golden.from_nothing[hash], "{hash}");
    }
}

#[test]
fn the_environment_images_environment_is_spacks() {
    let golden = Golden::read();
    let roots = golden.roots_of(&devenv());
    assert!(roots.len() > 1);
    assert_eq!(golden.computed(&[&roots], &Environment::of_base(None)), [devenv()]);
    let told = of_cached(&golden.database, &roots, &golden.cached, &Environment::of_base(None)).unwrap();
    assert_eq!(told.environment.to_entries(), devenv());
}

#[test]
fn the_prefixes_of_a_store_give_the_same() {
    let golden = Golden::read();
    let stores = golden::stores();
    if stores.is_empty() {
        return golden::skipped("the_prefixes_of_a_store_give_the_same", "STRATA_STORES is not set");
    }
    for store in stores {
        let database = std::fs::read_to_string(store.join(".spack-db/index.json")).unwrap();
        let database = Database::parse(&database).unwrap();
        let (inspections, cached) = (Inspections::default(), HashMap::new());
        let installed = Installed {
            database: &database,
            inspections: &inspections,
            spack: None,
            cached: &cached,
            unopened: None,
        };
        let packages: Vec<&DagHash> =
            golden.packages.iter().filter(|hash| database.records.contains_key(*hash)).collect();
        let images: Vec<&[DagHash]> = packages.iter().map(|hash| std::slice::from_ref(*hash)).collect();
        let is_directory = |path: &Path| match path.starts_with("/usr") {
            true => USR.iter().any(|known| Path::new(known) == path),
            false => path.is_dir(),
        };
        let told = of_installed_in(&installed, &images, &Environment::of_base(None), &is_directory).unwrap();
        for (hash, told) in packages.iter().zip(told) {
            assert_eq!(told.environment.to_entries(), golden.cached[*hash].env, "{hash}");
        }
    }
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    /// Some of `all`, in any order.
    fn some(&mut self, all: &[DagHash]) -> Vec<DagHash> {
        let mut rest = all.to_vec();
        let count = 1 + self.below(rest.len().min(6));
        (0..count).map(|_| rest.remove(self.below(rest.len()))).collect()
    }
}

#[test]
fn several_images_put_together_are_what_is_computed_for_all_roots() {
    let golden = Golden::read();
    let mut dice = Dice(1);
    let mut bare = Environment::of_base(None);
    let mut with_base = Environment::default();
    for (name, value) in
        [("LANG", "C"), ("MANPATH", "/base/man"), ("PATH", "/base/bin:/usr/bin"), ("ZED", "z")]
    {
        with_base.set(name, value);
    }
    for base in [&mut bare, &mut with_base] {
        for _ in 0..300 {
            let roots = dice.some(&golden.packages);
            let expected = golden.computed(&[&roots], base).remove(0);
            let told = of_cached(&golden.database, &roots, &golden.cached, base).unwrap();
            assert_eq!(told.environment.to_entries(), expected, "{roots:?}");
            assert!(told.unclear.is_empty() && told.warnings.is_empty());
        }
    }
}

#[test]
fn only_the_roots_configs_are_needed() {
    let golden = Golden::read();
    let mut dice = Dice(2);
    for _ in 0..100 {
        let roots = dice.some(&golden.packages);
        let expected = golden.computed(&[&roots], &Environment::of_base(None)).remove(0);
        let cached = roots.iter().map(|hash| (hash.clone(), golden.cached[hash].clone())).collect();
        let told = of_cached(&golden.database, &roots, &cached, &Environment::of_base(None)).unwrap();
        assert_eq!(told.environment.to_entries(), expected, "{roots:?}");
    }
}

#[test]
fn images_that_have_a_base_are_put_on_another() {
    let golden = Golden::read();
    let mut old = Environment::of_base(None);
    for (name, value) in [("PATH", "/usr/local/bin:/usr/bin:/old"), ("OLD", "x"), ("MANPATH", "/old/man")] {
        old.set(name, value);
    }
    let mut new = Environment::default();
    for (name, value) in [("NEW", "y"), ("PATH", "/new/bin")] {
        new.set(name, value);
    }
    let images: Vec<&[DagHash]> = golden.packages.iter().map(std::slice::from_ref).collect();
    let based = golden.computed(&images, &old);
    let cached: HashMap<DagHash, Cached> = golden
        .packages
        .iter()
        .cloned()
        .zip(based)
        .map(|(hash, env)| (hash, Cached { env, has_base: true, unclear: Vec::new() }))
        .collect();
    let mut dice = Dice(3);
    for _ in 0..100 {
        let roots = dice.some(&golden.packages);
        let expected = golden.computed(&[&roots], &new).remove(0);
        let told = of_cached(&golden.database, &roots, &cached, &new).unwrap();
        assert_eq!(told.environment.to_entries(), expected, "{roots:?}");
    }
}
