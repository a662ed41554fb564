//! `strata env view`: made, changed, refused, and killed.

use crate::support::{World, exit_code, text};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use strata_testkit::golden;
use strata_testkit::sample_store::SampleStore;

/// An environment that wants `hello`, which is installed.
struct Environment {
    world: World,
    store: SampleStore,
    directory: PathBuf,
}

impl Environment {
    fn new(view: &str) -> Self {
        let world = World::new();
        let store = world.sample_store();
        let directory = world.path("environment");
        fs::create_dir_all(&directory).unwrap();
        let index = fs::read_to_string(store.root.join(".spack-db/index.json")).unwrap();
        let index: Value = serde_json::from_str(&index).unwrap();
        let nodes: serde_json::Map<String, Value> = index["database"]["installs"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(hash, record)| (hash.clone(), record["spec"].clone()))
            .collect();
        let hello = store.packages.iter().find(|package| package.name == "hello").unwrap();
        let lockfile = json!({
            "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
            "roots": [{"hash": hello.hash, "spec": "hello"}],
            "concrete_specs": nodes,
        });
        fs::write(directory.join("spack.lock"), lockfile.to_string()).unwrap();
        let environment = Self { world, store, directory };
        environment.says(view);
        environment
    }

    /// Changes what the manifest says of views.
    fn says(&self, view: &str) {
        let manifest = format!("spack:\n  specs: [hello]\n{view}");
        fs::write(self.directory.join("spack.yaml"), manifest).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.world.command();
        command.args([
            "--store",
            text(&self.store.unpadded_root),
            "-e",
            text(&self.directory),
            "env",
            "view",
        ]);
        command.args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> crate::support::Ran {
        self.command(arguments).output().unwrap().into()
    }

    fn ok(&self, arguments: &[&str]) -> String {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    fn view(&self) -> PathBuf {
        self.directory.join(".spack-env/view")
    }
}

fn says_hello(view: &Path) -> bool {
    Command::new(view.join("bin/hello")).output().is_ok_and(|output| output.status.success())
}

#[test]
fn programs_run_from_a_view_which_is_made_once() {
    let environment = Environment::new("");
    let text = environment.ok(&["regenerate"]);
    assert!(text.contains(".spack-env/view: 3 packages"), "{text}");
    assert!(environment.view().is_symlink() && says_hello(&environment.view()));
    assert!(environment.view().join(".spack/greet/spec.json").exists());
    assert!(environment.ok(&["regenerate"]).contains("up to date"));
    for link_type in ["hardlink", "copy"] {
        environment
            .says(&format!("  view: {{default: {{root: .spack-env/view, link_type: {link_type}}}}}\n"));
        environment.ok(&["regenerate"]);
        assert!(!environment.view().join("bin/hello").is_symlink());
        assert!(says_hello(&environment.view()), "{link_type}");
    }
    assert_eq!(fs::read_dir(environment.directory.join(".spack-env/._view")).unwrap().count(), 1);
}

#[test]
fn a_view_is_taken_away_and_put_elsewhere() {
    let environment = Environment::new("");
    environment.ok(&["regenerate"]);
    environment.ok(&["enable", "elsewhere"]);
    assert!(!environment.view().exists() && says_hello(&environment.directory.join("elsewhere")));
    let text = environment.ok(&["disable"]);
    assert!(text.contains("removed") && !environment.directory.join("elsewhere").exists(), "{text}");
    assert!(environment.ok(&["regenerate"]).is_empty());
    environment.ok(&["enable"]);
    assert!(says_hello(&environment.view()));
}

#[test]
fn what_cannot_be_is_said() {
    let environment = Environment::new("  view: mine\n");
    let precious = environment.directory.join("mine/precious");
    fs::create_dir_all(precious.parent().unwrap()).unwrap();
    fs::write(&precious, "").unwrap();
    environment
        .run(&["regenerate"])
        .fails(exit_code::USAGE, &["mine", "a directory that is not empty", "hint"]);
    assert!(precious.exists());
    for (view, words) in [
        ("{default: {root: v, select: ['@@']}}", ["names `@@`", "no spec"]),
        ("{default: {root: v, projections: {all: '../{name}'}}}", ["leads out of the view", "hello"]),
        ("{default: {root: v, projections: {all: '{nothing}'}}}", ["{nothing}", "hello"]),
        ("{default: {root: v, link: some}}", ["spack.yaml:3:35", "roots, all, run"]),
        ("{default: {link: all}}", ["spack.yaml:3", "`root`"]),
    ] {
        environment.says(&format!("  view: {view}\n"));
        environment.run(&["regenerate"]).fails(exit_code::USAGE, &words);
        assert!(!environment.directory.join("v").exists());
    }
    let none = environment.world.run(["env", "view", "regenerate"]);
    none.fails(exit_code::USAGE, &["no environment"]);
}

/// Whatever moment a process is killed at, the view is one of those that were wanted, whole.
#[test]
fn a_kill_leaves_the_old_view_or_the_new_one() {
    let views = ["", "  view: {default: {root: .spack-env/view, projections: {all: '{name}'}}}\n"];
    let environment = Environment::new(views[0]);
    let count = |directory: &Path| -> usize {
        let mut count = 0;
        let mut open = vec![directory.to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                count += 1;
                open.extend(entry.file_type().unwrap().is_dir().then(|| entry.path()));
            }
        }
        count
    };
    let mut whole = Vec::new();
    for view in views {
        environment.says(view);
        environment.ok(&["regenerate"]);
        whole.push(count(&environment.view()));
    }
    for round in 0..30 {
        environment.says(views[round % 2]);
        let mut child =
            environment.command(&["regenerate"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(1500 * round as u64));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(whole.contains(&count(&environment.view())), "round {round}");
    }
    environment.says(views[0]);
    environment.ok(&["regenerate"]);
    assert_eq!(count(&environment.view()), whole[0]);
    let left =
        fs::read_dir(environment.directory.join(".spack-env/._view")).unwrap().map(|e| e.unwrap().path());
    let left: Vec<PathBuf> = left.filter(|path| path.to_string_lossy().contains(".strata-")).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What enabling a view changed is changed back if there can be no such view; the one that was there stays.
#[test]
fn a_view_that_cannot_be_is_not_enabled() {
    let environment = Environment::new("  # mine\n  view: true\n");
    environment.ok(&["regenerate"]);
    let manifest = || fs::read_to_string(environment.directory.join("spack.yaml")).unwrap();
    let (before, lead) = (manifest(), fs::read_link(environment.view()).unwrap());
    let precious = environment.directory.join("mine/precious");
    fs::create_dir_all(precious.parent().unwrap()).unwrap();
    fs::write(&precious, "").unwrap();
    environment.run(&["enable", "mine"]).fails(exit_code::USAGE, &["mine", "not empty"]);
    assert_eq!(manifest(), before);
    assert!(precious.exists() && says_hello(&environment.view()));
    assert_eq!(fs::read_link(environment.view()).unwrap(), lead);
}

/// Whoever else changes the environment is waited for.
#[test]
fn views_are_made_under_the_lock_of_the_environment() {
    let environment = Environment::new("");
    let transaction =
        strata_ops::environment::Transaction::begin(&environment.directory, true, &strata_ops::Silent)
            .unwrap();
    let child =
        environment.command(&["regenerate"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(!environment.view().exists());
    drop(transaction);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("waiting for"), "{said}");
    assert!(says_hello(&environment.view()));
}

/// Packages of a store below ours are shown and loaded from there.
#[test]
fn packages_of_an_upstream_are_in_views_and_are_loaded() {
    let environment = Environment::new("");
    let world = &environment.world;
    let (own, scope) = (world.path("own"), world.path("user-scope"));
    fs::create_dir_all(own.join(".spack-db")).unwrap();
    fs::create_dir_all(&scope).unwrap();
    let index = r#"{"database": {"version": "8", "installs": {}}}"#;
    fs::write(own.join(".spack-db/index.json"), index).unwrap();
    let upstream = environment.store.unpadded_root.display();
    fs::write(scope.join("upstreams.yaml"), format!("upstreams:\n  site:\n    install_tree: {upstream}\n"))
        .unwrap();
    let own = text(&own);
    let made = world.ok(["--store", own, "-e", text(&environment.directory), "env", "view", "regenerate"]);
    assert!(made.contains(": 3 packages") && says_hello(&environment.view()), "{made}");

    let hello = environment.store.package("hello");
    let loaded = world.ok(["--store", own, "load", "hello"]);
    assert!(
        loaded.contains(&format!("{}/bin", text(&hello.prefix))) && loaded.contains(&hello.hash),
        "{loaded}"
    );
    let activated = world.ok(["--store", own, "env", "activate", text(&environment.directory)]);
    assert!(activated.contains(&format!("{}/bin", text(&environment.view()))), "{activated}");
}

/// A real Spack takes our views for its own, and we take its views for ours: neither touches what the other made.
#[test]
fn spack_leaves_our_views_alone_and_we_leave_its() {
    let test = "spack_leaves_our_views_alone_and_we_leave_its";
    let Some(spack) = std::env::var_os("STRATA_SPACK") else {
        return golden::skipped(test, "STRATA_SPACK names no Spack");
    };
    let world = World::new();
    let print = "import spack.store; print('root=' + str(spack.store.STORE.root))";
    let output = Command::new(&spack).args(["python", "-c", print]).output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    let store = PathBuf::from(output.lines().find_map(|line| line.strip_prefix("root=")).unwrap());
    let index = fs::read_to_string(store.join(".spack-db/index.json")).unwrap();
    let index: Value = serde_json::from_str(&index).unwrap();
    let installs = index["database"]["installs"].as_object().unwrap();
    let nodes: serde_json::Map<String, Value> =
        installs.iter().map(|(hash, record)| (hash.clone(), record["spec"].clone())).collect();
    let asked =
        installs.iter().filter(|(_, record)| record["explicit"] == true && record["installed"] == true);
    let roots: Vec<Value> =
        asked.map(|(hash, record)| json!({"hash": hash, "spec": record["spec"]["name"]})).collect();
    assert!(!roots.is_empty());
    let lockfile = json!({
        "_meta": {"file-type": "spack-lockfile", "lockfile-version": 6, "specfile-version": 5},
        "roots": roots,
        "concrete_specs": nodes,
    });
    let specs: Vec<&str> = roots.iter().map(|root| root["spec"].as_str().unwrap()).collect();
    for (name, view) in [
        ("usual", "true"),
        (
            "runs",
            "{default: {root: v, link: run, exclude: [python], projections: {all: '{name}-{version}'}}}",
        ),
        ("roots", "{default: {root: v, link: roots, link_type: copy}, other: {root: w, select: [zlib]}}"),
    ] {
        let directory = world.path(name);
        fs::create_dir_all(&directory).unwrap();
        let manifest = format!("spack:\n  specs: [{}]\n  view: {view}\n", specs.join(", "));
        fs::write(directory.join("spack.yaml"), manifest).unwrap();
        fs::write(directory.join("spack.lock"), lockfile.to_string()).unwrap();
        let ours = ["--store", text(&store), "-e", text(&directory), "env", "view", "regenerate"];
        let theirs = || {
            let ran =
                Command::new(&spack).arg("-e").arg(&directory).args(["env", "view", "regenerate"]).output();
            let ran = ran.unwrap();
            let said =
                String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success() && !said.contains("Warning"), "{name}: {said}");
            said
        };
        let roots: Vec<PathBuf> =
            if name == "usual" { vec![".spack-env/view".into()] } else { vec!["v".into(), "w".into()] };
        // A link and the tree behind it: another one would have another number.
        let state = || -> Vec<_> {
            let roots = roots.iter().map(|root| directory.join(root)).filter(|root| root.is_symlink());
            roots
                .map(|root| {
                    let tree = fs::read_link(&root).unwrap();
                    let numbers =
                        [fs::symlink_metadata(&root), fs::metadata(&tree)].map(|f| f.unwrap().ino());
                    (root, tree, numbers)
                })
                .collect()
        };
        world.ok(ours);
        let made = state();
        assert!(!made.is_empty());
        let said = theirs();
        assert!(!said.contains("Updating view"), "{name}: {said}");
        assert_eq!(state(), made, "{name}: Spack made our view anew");
        for (root, tree, _) in &made {
            fs::remove_file(root).unwrap();
            fs::remove_dir_all(tree).unwrap();
        }
        assert!(theirs().contains("Updating view"));
        let remade = state();
        assert_eq!(names(&made), names(&remade), "{name}");
        assert!(world.ok(ours).lines().all(|line| line.contains("up to date")));
        assert_eq!(state(), remade, "{name}: we made Spack's view anew");
    }
}

/// Where links lead.
fn names(state: &[(PathBuf, PathBuf, [u64; 2])]) -> Vec<&PathBuf> {
    state.iter().map(|(_, tree, _)| tree).collect()
}
