//! A small store of the kind Spack makes, compiled on the spot: everything relocation has to deal with, in four
//! packages that run.
//!
//! | package | has |
//! |---|---|
//! | `gcc`, `glibc` | externals: recorded, with no prefix of ours |
//! | `greet` | a shared library that reads a file whose path is compiled in, symbolic links, a static archive, a `.pc` file |
//! | `runner` | an interpreter for scripts |
//! | `hello` | an executable with an RPATH to `greet`, a hard link to it, an absolute link, a configuration file, a script whose `#!` line is too long and therefore behind `sbang` |
//!
//! Only a C compiler (`cc`, `ar`) is needed. DAG hashes are the real ones: SHA-1 over the node's canonical JSON.

mod many;
mod shaped;
mod sources;

pub use shaped::Shape;

use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Spack's `padded_length` asks for components of this name.
const PADDING: &str = "__spack_path_placeholder__";

/// A package of the sample store.
#[derive(Clone, Debug)]
pub struct SamplePackage {
    /// Package name.
    pub name: String,
    /// Version.
    pub version: String,
    /// DAG hash.
    pub hash: String,
    /// Where it is installed.
    pub prefix: PathBuf,
    node: Value,
}

/// The store: an install tree with a database.
#[derive(Debug)]
pub struct SampleStore {
    /// The root without padding, as `config:install_tree:root` would name it.
    pub unpadded_root: PathBuf,
    /// The root that holds `.spack-db`.
    pub root: PathBuf,
    /// The packages that are installed, dependencies first.
    pub packages: Vec<SamplePackage>,
}

impl SampleStore {
    /// Compiles the store under `unpadded_root`, padded to `padded_length` bytes if that is longer.
    ///
    /// # Errors
    /// Without a C compiler, and wherever the disk refuses.
    pub fn build(unpadded_root: &Path, padded_length: usize) -> io::Result<Self> {
        Self::build_for(unpadded_root, padded_length, std::env::consts::ARCH)
    }

    /// The same, with specs that say that it is for `target`. What is compiled is for this machine all the same.
    ///
    /// # Errors
    /// As for [`build`](Self::build).
    pub fn build_for(unpadded_root: &Path, padded_length: usize, target: &str) -> io::Result<Self> {
        let root = padded(unpadded_root, padded_length);
        fs::create_dir_all(root.join(".spack-db"))?;
        let mut store = Self { unpadded_root: unpadded_root.to_owned(), root, packages: Vec::new() };
        let gcc = external_for("gcc", "12.2.0", target);
        let glibc = external_for("glibc", "2.36", target);
        let greet = store.node("greet", "1.0", &[(&gcc, &["build"]), (&glibc, &["link"])]);
        store.install_greet(&greet)?;
        let runner = store.node("runner", "0.3", &[(&gcc, &["build"]), (&glibc, &["link"])]);
        store.install_runner(&runner)?;
        let dependencies: &[(&Value, &[&str])] =
            &[(&gcc, &["build"]), (&glibc, &["link"]), (&greet, &["build", "link"]), (&runner, &["run"])];
        let hello = store.node("hello", "2.1", dependencies);
        store.install_hello(&hello)?;
        store.write_database(&[&gcc, &glibc], "hello")?;
        store.write_sbang()?;
        Ok(store)
    }

    /// The package of that name.
    ///
    /// # Panics
    /// If there is none.
    pub fn package(&self, name: &str) -> &SamplePackage {
        self.packages.iter().find(|p| p.name == name).unwrap_or_else(|| panic!("no sample package {name}"))
    }

    fn node(&self, name: &str, version: &str, dependencies: &[(&Value, &[&str])]) -> Value {
        let mut edges: Vec<Value> = dependencies
            .iter()
            .map(|(node, types)| {
                json!({"name": node["name"], "hash": node["hash"],
                       "parameters": {"deptypes": types, "virtuals": []}})
            })
            .collect();
        edges.sort_by_key(|edge| edge["name"].to_string());
        let arch = dependencies.first().map_or_else(native, |(node, _)| node["arch"].clone());
        with_hash(json!({
            "name": name, "version": version, "arch": arch, "namespace": "sample",
            "parameters": parameters(), "dependencies": edges,
            "annotations": {"original_specfile_version": 5},
        }))
    }

    /// Makes the prefix of a node with the metadata that Spack leaves in it.
    fn prefix(&mut self, node: &Value) -> io::Result<PathBuf> {
        let text = |key: &str| node[key].as_str().unwrap_or_default().to_owned();
        let (name, version, hash) = (text("name"), text("version"), text("hash"));
        let arch = &node["arch"];
        let platform = format!("{}-{}", arch["platform"], arch["target"]).replace('"', "");
        let prefix = self.root.join(platform).join(format!("{name}-{version}-{hash}"));
        fs::create_dir_all(prefix.join(".spack"))?;
        let spec = json!({"spec": {"_meta": {"version": 5}, "nodes": [node]}});
        fs::write(prefix.join(".spack/spec.json"), spec.to_string())?;
        self.packages.push(SamplePackage { name, version, hash, prefix: prefix.clone(), node: node.clone() });
        Ok(prefix)
    }

    fn install_greet(&mut self, node: &Value) -> io::Result<()> {
        let prefix = self.prefix(node)?;
        make_directories(&prefix, &["lib/pkgconfig", "include", "share/greet"])?;
        write(&prefix.join("share/greet/greeting.txt"), "hello from a relocated library\n", 0o644)?;
        write(&prefix.join("include/greet.h"), sources::GREET_H, 0o644)?;
        let pc = format!(
            "prefix={}\nlibdir=${{prefix}}/lib\nName: greet\nLibs: -L${{libdir}} -lgreet\n",
            prefix.display()
        );
        write(&prefix.join("lib/pkgconfig/greet.pc"), &pc, 0o644)?;
        let define = format!("-DPREFIX=\"{}\"", prefix.display());
        let library = prefix.join("lib/libgreet.so.1.0");
        cc(sources::GREET_C, &["-shared", "-fPIC", "-Wl,-soname,libgreet.so.1", &define], &library)?;
        symlink("libgreet.so.1.0", prefix.join("lib/libgreet.so.1"))?;
        symlink("libgreet.so.1", prefix.join("lib/libgreet.so"))?;
        let object = prefix.join("lib/greet.o");
        cc(sources::GREET_C, &["-c", "-fPIC", &define], &object)?;
        run(Command::new("ar").arg("rcsD").arg(prefix.join("lib/libgreet.a")).arg(&object))?;
        fs::remove_file(object)
    }

    fn install_runner(&mut self, node: &Value) -> io::Result<()> {
        let prefix = self.prefix(node)?;
        make_directories(&prefix, &["bin"])?;
        cc(sources::RUNNER_C, &[], &prefix.join("bin/runner"))
    }

    fn install_hello(&mut self, node: &Value) -> io::Result<()> {
        let (greet, runner) = (self.package("greet").prefix.clone(), self.package("runner").prefix.clone());
        let prefix = self.prefix(node)?;
        make_directories(&prefix, &["bin", "etc", "libexec", "share/doc"])?;
        let rpath = format!("-Wl,-rpath,{}/lib:{}/lib", greet.display(), prefix.display());
        let include = format!("-I{}/include", greet.display());
        let search = format!("-L{}/lib", greet.display());
        cc(sources::HELLO_C, &[&include, &search, &rpath, "-lgreet"], &prefix.join("bin/hello"))?;
        fs::hard_link(prefix.join("bin/hello"), prefix.join("libexec/hello"))?;
        symlink(prefix.join("etc"), prefix.join("share/configuration"))?;
        symlink(greet.join("share/greet"), prefix.join("share/greet"))?;
        let conf = format!(
            "# where things are\nprefix = {p}\ngreeting = {g}/share/greet/greeting.txt\n",
            p = prefix.display(),
            g = greet.display()
        );
        write(&prefix.join("etc/hello.conf"), &conf, 0o644)?;
        let script = format!(
            "#!/bin/sh {}/bin/sbang\n#!{}/bin/runner\ncat {}/etc/hello.conf\n",
            self.unpadded_root.display(),
            runner.display(),
            prefix.display()
        );
        write(&prefix.join("bin/hello-script"), &script, 0o755)?;
        write(&prefix.join("share/doc/a name with spaces and ü.txt"), "nothing to relocate here\n", 0o644)
    }

    /// Records everything as installed, `explicit` as the package that somebody asked for.
    fn write_database(&self, externals: &[&Value], explicit: &str) -> io::Result<()> {
        let mut installs = serde_json::Map::new();
        let mut nodes: Vec<(&Value, String)> =
            externals.iter().map(|node| (*node, "/usr".to_owned())).collect();
        nodes.extend(self.packages.iter().map(|p| (&p.node, p.prefix.display().to_string())));
        for (node, path) in &nodes {
            let edges = |n: &Value| n["dependencies"].as_array().cloned().unwrap_or_default();
            let users =
                nodes.iter().filter(|(n, _)| edges(n).iter().any(|e| e["hash"] == node["hash"])).count();
            let record = json!({
                "spec": node, "ref_count": users, "path": path, "installed": true,
                "explicit": node["name"] == explicit, "installation_time": 1_700_000_000.25, "deprecated_for": null,
            });
            installs.insert(node["hash"].as_str().unwrap_or_default().to_owned(), record);
        }
        let database = json!({"database": {"version": "8", "installs": installs}});
        let directory = self.root.join(".spack-db");
        fs::write(directory.join("index.json"), database.to_string())?;
        fs::write(directory.join("index_verifier"), "00000000-0000-4000-8000-000000000000")?;
        for lock in ["lock", "prefix_lock", "prefix_failures"] {
            fs::write(directory.join(lock), "")?;
        }
        Ok(())
    }

    fn write_sbang(&self) -> io::Result<()> {
        fs::create_dir_all(self.unpadded_root.join("bin"))?;
        write(&self.unpadded_root.join("bin/sbang"), sources::SBANG, 0o755)
    }
}

/// `root` with placeholder components up to `length` bytes, the last one cut (Spack's `add_padding`).
fn padded(root: &Path, length: usize) -> PathBuf {
    let missing = length.saturating_sub(root.as_os_str().len());
    if missing < 2 {
        return root.to_owned();
    }
    let padding: String = format!("{PADDING}/").chars().cycle().take(missing - 1).collect();
    root.join(padding.strip_suffix('/').map_or(padding.clone(), |p| format!("{p}_")))
}

fn architecture(target: &str) -> Value {
    json!({"platform": "linux", "platform_os": "debian12", "target": target})
}

fn native() -> Value {
    architecture(std::env::consts::ARCH)
}

fn parameters() -> Value {
    json!({"build_system": "generic", "cflags": [], "cppflags": [], "cxxflags": [], "fflags": [],
           "ldflags": [], "ldlibs": []})
}

fn external(name: &str, version: &str) -> Value {
    external_for(name, version, std::env::consts::ARCH)
}

fn external_for(name: &str, version: &str, target: &str) -> Value {
    with_hash(json!({
        "name": name, "version": version, "arch": architecture(target), "namespace": "sample",
        "parameters": parameters(), "external": {"path": "/usr", "module": null, "extra_attributes": {}},
        "annotations": {"original_specfile_version": 5},
    }))
}

fn with_hash(mut node: Value) -> Value {
    let digest = Sha1::digest(node.to_string().as_bytes());
    node["hash"] = Value::from(data_encoding::BASE32.encode(&digest).to_lowercase());
    node
}

fn make_directories(prefix: &Path, names: &[&str]) -> io::Result<()> {
    names.iter().try_for_each(|name| fs::create_dir_all(prefix.join(name)))
}

fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Compiles C source read from standard input.
fn cc(source: &str, arguments: &[&str], output: &Path) -> io::Result<()> {
    let mut command = Command::new("cc");
    command.args(["-O1", "-x", "c", "-"]).args(["-x", "none"]).args(arguments).arg("-o").arg(output);
    let mut child = command.stdin(std::process::Stdio::piped()).spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(source.as_bytes())?;
    }
    check(&command, child.wait()?)
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    check(command, status)
}

fn check(command: &Command, status: std::process::ExitStatus) -> io::Result<()> {
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}
