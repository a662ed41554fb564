//! What several of these tests need.

use serde_json::value::RawValue;
use std::collections::HashMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use strata_spec::{DagHash, Node, NodeSource};
use strata_store::{LockSettings, Store, StoreRoot};

/// A DAG hash made of one character.
pub(crate) fn hash(character: char) -> DagHash {
    DagHash::parse(&character.to_string().repeat(32)).unwrap()
}

/// A node called after its hash, with edges given as (hash, dependency types).
pub(crate) fn node(name: char, edges: &[(char, &[&str])], more: &str) -> Node {
    let edges: Vec<_> = edges
        .iter()
        .map(|(to, types)| {
            let parameters = serde_json::json!({"deptypes": types, "virtuals": []});
            serde_json::json!({"name": to.to_string(), "hash": hash(*to), "parameters": parameters})
        })
        .collect();
    let json = format!(
        r#"{{"name":"{name}","version":"1.0","arch":{{"platform":"linux","platform_os":"debian12","target":"x86_64"}},
        "namespace":"builtin","parameters":{{}},"dependencies":{},{more}"hash":"{}"}}"#,
        serde_json::to_string(&edges).unwrap(),
        hash(name)
    );
    Node::parse(&RawValue::from_string(json).unwrap()).unwrap()
}

/// Nodes by hash.
pub(crate) struct Nodes(HashMap<DagHash, Node>);

impl Nodes {
    pub(crate) fn new(nodes: impl IntoIterator<Item = Node>) -> Self {
        Self(nodes.into_iter().map(|node| (node.hash.clone(), node)).collect())
    }

    pub(crate) fn get(&self, name: char) -> &Node {
        &self.0[&hash(name)]
    }
}

impl NodeSource for Nodes {
    fn node(&self, hash: &DagHash) -> Option<&Node> {
        self.0.get(hash)
    }
}

pub(crate) fn new_store(dir: &Path) -> Store {
    Store::create(StoreRoot::open_or_new(dir, None).unwrap(), LockSettings::default()).unwrap()
}

/// A child process that does not outlive the test.
pub(crate) struct Process(pub(crate) Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// python3 with `arguments`, or none, after saying so, where there is none.
pub(crate) fn python(test: &str, script: &str) -> Option<Command> {
    if Command::new("python3")
        .arg("-c")
        .arg("import fcntl")
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
    {
        let mut command = Command::new("python3");
        command.arg("-c").arg(script);
        return Some(command);
    }
    strata_testkit::golden::skipped(test, "there is no python3");
    None
}

/// Runs `work` in a thread that cannot write to `dir`, not even as root.
pub(crate) fn where_nothing_can_be_written<T: Send>(dir: &Path, work: impl FnOnce() -> T + Send) -> T {
    let set = |mode_of_directories: u32, mode_of_files: u32| {
        let mut stack = vec![dir.to_path_buf()];
        while let Some(path) = stack.pop() {
            let is_directory = path.is_dir();
            let mode = if is_directory { mode_of_directories } else { mode_of_files };
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            if is_directory {
                stack.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
        }
    };
    set(0o555, 0o444);
    let result = as_somebody_else(work);
    set(0o755, 0o644);
    result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs `work` in a thread with the rights of another user, if this is root, and else with this user's.
pub(crate) fn as_somebody_else<T: Send>(work: impl FnOnce() -> T + Send) -> std::thread::Result<T> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Of this thread alone; takes the right to override modes away as well.
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
            work()
        });
        thread.join()
    })
}

/// [`record_installs`](strata_store::record_installs) in a store without upstreams and projections.
pub(crate) fn record_installs(
    database: &mut strata_spec::Database,
    root: &StoreRoot,
    nodes: &impl strata_spec::NodeSource,
    installs: &[strata_store::NewInstall<'_>],
    now: f64,
) -> Result<(), strata_store::RegistrationError> {
    let (prefixes, below) = (std::collections::HashMap::new(), strata_store::Installed::default());
    let recording = strata_store::Recording { root, prefixes: &prefixes, below: &below, now };
    strata_store::record_installs(database, &recording, nodes, installs)
}
