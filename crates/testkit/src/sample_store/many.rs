//! A store of many small packages: a chain of which each calls the next, and a fan of those that nothing but their user
//! needs. All of them have something to say, so that an image in which one is missing is found out by running it.

use super::{SampleStore, cc, external, make_directories, padded, write};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::Path;

/// One in so many packages is a compiled program; the others are scripts.
const COMPILED: usize = 10;

/// A program that says who it is and goes on as another one, if there is one.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <unistd.h>
int main(void) {
    puts(SELF);
    fflush(stdout);
    if (!*NEXT) return 0;
    execl(NEXT, NEXT, (char *)0);
    perror(NEXT);
    return 1;
}
"#;

impl SampleStore {
    /// The name of the package that needs all others, and has a program of that name, which runs them all: each prints its
    /// own name on a line.
    pub const MANY: &'static str = "many";

    /// Makes a store of `count` small packages under `unpadded_root`, padded to `padded_length` bytes if that is longer:
    /// `many` needs `link-000`, from which a third of them hang in a chain, and every `leaf-…`.
    ///
    /// # Errors
    /// Without a C compiler, and wherever the disk refuses.
    pub fn build_many(unpadded_root: &Path, padded_length: usize, count: usize) -> io::Result<Self> {
        let root = padded(unpadded_root, padded_length);
        fs::create_dir_all(root.join(".spack-db"))?;
        let mut store = Self { unpadded_root: unpadded_root.to_owned(), root, packages: Vec::new() };
        let glibc = external("glibc", "2.36");
        let chain = count / 3;
        let mut next: Option<Value> = None;
        for at in (0..chain).rev() {
            next = Some(store.install_small(&format!("link-{at:03}"), at, &glibc, next.as_ref())?);
        }
        let mut needed: Vec<Value> = next.into_iter().collect();
        for at in 0..count.saturating_sub(chain + 1) {
            needed.push(store.install_small(&format!("leaf-{at:03}"), at, &glibc, None)?);
        }
        store.install_user(&needed)?;
        store.write_database(&[&glibc], Self::MANY)?;
        store.write_sbang()?;
        Ok(store)
    }

    /// Installs a package whose program says its name, and then is `next`'s program.
    fn install_small(
        &mut self,
        name: &str,
        at: usize,
        glibc: &Value,
        next: Option<&Value>,
    ) -> io::Result<Value> {
        let runs = |node| (node, &["run"][..]);
        let dependencies: Vec<(&Value, &[&str])> =
            std::iter::once((glibc, &["link"][..])).chain(next.map(runs)).collect();
        let node = self.node(name, &format!("1.{at}"), &dependencies);
        let next = next.map(|node| self.program(node)).unwrap_or_default();
        let prefix = self.prefix(&node)?;
        make_directories(&prefix, &["bin", "share"])?;
        // Sizes differ, for what is big keeps a layer of its own.
        let notes = format!("{name} is number {at}\n").repeat(at * at % 997);
        write(&prefix.join("share/notes.txt"), &notes, 0o644)?;
        let program = prefix.join("bin").join(name);
        if at.is_multiple_of(COMPILED) {
            cc(PROGRAM, &[&format!("-DSELF=\"{name}\""), &format!("-DNEXT=\"{next}\"")], &program)?;
        } else {
            let goes_on = if next.is_empty() { String::new() } else { format!("exec {next}\n") };
            write(&program, &format!("#!/bin/sh\necho {name}\n{goes_on}"), 0o755)?;
        }
        Ok(node)
    }

    /// Installs the package whose program runs those of `needed`.
    fn install_user(&mut self, needed: &[Value]) -> io::Result<()> {
        let dependencies: Vec<(&Value, &[&str])> = needed.iter().map(|node| (node, &["run"][..])).collect();
        let node = self.node(Self::MANY, "1.0", &dependencies);
        let programs: Vec<String> = needed.iter().map(|node| self.program(node)).collect();
        let prefix = self.prefix(&node)?;
        make_directories(&prefix, &["bin"])?;
        let script = format!("#!/bin/sh\nset -e\necho {}\n{}\n", Self::MANY, programs.join("\n"));
        write(&prefix.join("bin").join(Self::MANY), &script, 0o755)
    }

    fn program(&self, node: &Value) -> String {
        let name = node["name"].as_str().unwrap_or_default();
        self.package(name).prefix.join("bin").join(name).display().to_string()
    }
}
