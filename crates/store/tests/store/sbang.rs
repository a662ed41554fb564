//! `bin/sbang` run on real scripts, by whatever `/bin/sh` and dash are here.

use crate::support::Process;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use strata_store::{StoreRoot, install_sbang, sbang::SbangError};

/// A store with sbang in it, and a directory for scripts.
struct Scripts {
    dir: tempfile::TempDir,
    sbang: PathBuf,
}

impl Scripts {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let sbang = install_sbang(&StoreRoot::open_or_new(&dir.path().join("store"), None).unwrap()).unwrap();
        Self { dir, sbang }
    }

    /// A script behind sbang whose second line is `second`.
    fn script(&self, name: &str, second: &str, rest: &str) -> PathBuf {
        let text = format!("#!/bin/sh {}\n{second}\n{rest}\n", self.sbang.display());
        self.executable(name, &text)
    }

    /// An interpreter that prints what it is called with, one argument a line.
    fn interpreter(&self, name: &str) -> PathBuf {
        self.executable(name, "#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    }

    /// Written by another process: a child that some other test's thread is just starting would inherit a file
    /// open for writing here, and while it has that, nobody can execute it.
    fn executable(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        let mut writer = Command::new("sh");
        writer.args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(&path).stdin(Stdio::piped());
        let mut writer = Process(writer.spawn().unwrap());
        writer.0.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(writer.0.wait().unwrap().success());
        path
    }
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("-e").arg("1").output().is_ok();
    if !found {
        strata_testkit::golden::skipped("sbang", &format!("there is no {program}"));
    }
    found
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_script_runs_with_its_own_interpreter_and_arguments() {
    let scripts = Scripts::new();
    let script = scripts.script("script", "#!/bin/sh", "printf '<%s>' \"$0\" \"$@\"");
    let output = Command::new(&script).args(["a b", "", "*", "$x", "\\n"]).output().unwrap();
    assert_eq!(stdout(&output), format!("<{}><a b><><*><$x><\\n>", script.display()));
}

#[test]
fn every_form_of_the_second_line_is_understood() {
    let scripts = Scripts::new();
    let interpreter = scripts.interpreter("show");
    let shown = interpreter.display();
    for (number, second) in [
        format!("#!{shown} -a  -b"),
        format!("#! {shown} -a -b"),
        format!(" \t#!{shown} -a -b"),
        format!("--!{shown} -a -b"),
        format!("//!{shown} -a -b"),
        format!("<?php #!{shown} -a -b ?>"),
        format!("#!/usr/bin/env -S {shown} -a -b"),
    ]
    .iter()
    .enumerate()
    {
        let script = scripts.script(&format!("script {number}"), second, "");
        let output = Command::new(&script).arg("x y").output().unwrap();
        assert_eq!(stdout(&output), format!("-a\n-b\n{}\nx y\n", script.display()), "{second}");
    }
}

#[test]
fn an_argument_in_the_second_line_is_no_pattern() {
    let scripts = Scripts::new();
    let interpreter = scripts.interpreter("show");
    let script = scripts.script("script", &format!("#!{} /* $x", interpreter.display()), "");
    assert_eq!(stdout(&Command::new(&script).output().unwrap()), format!("/*\n$x\n{}\n", script.display()));
}

#[test]
fn perl_and_ruby_are_told_to_look_for_their_own_line() {
    let scripts = Scripts::new();
    for (name, with_option) in [
        ("perl", true),
        ("perl5.36.0", true),
        ("ruby", true),
        ("ruby3.1", true),
        ("perltidy", false),
        ("python3", false),
    ] {
        let interpreter = scripts.interpreter(name);
        let script = scripts.script("script", &format!("#!{} -w", interpreter.display()), "");
        let option = if with_option { "-x\n" } else { "" };
        let output = Command::new(&script).arg("1").output().unwrap();
        assert_eq!(stdout(&output), format!("-w\n{option}{}\n1\n", script.display()), "{name}");

        let path = format!("{}:/usr/bin:/bin", scripts.dir.path().display());
        let script = scripts.script("script", &format!("#!/usr/bin/env {name}"), "");
        let output = Command::new(&script).arg("1").env("PATH", path).output().unwrap();
        assert_eq!(stdout(&output), format!("{option}{}\n1\n", script.display()), "env {name}");
    }
}

#[test]
fn real_interpreters_run() {
    let scripts = Scripts::new();
    if has("perl") {
        for line in ["#!/usr/bin/env perl", "#!/usr/bin/perl -w"] {
            let script = scripts.script("script.pl", line, "print join('|', @ARGV), \"\\n\";");
            assert_eq!(
                stdout(&Command::new(&script).args(["a b", "c"]).output().unwrap()),
                "a b|c\n",
                "{line}"
            );
        }
    }
    if has("python3") {
        let script = scripts.script("script.py", "#!/usr/bin/env python3", "import sys; print(sys.argv[1:])");
        assert_eq!(stdout(&Command::new(&script).args(["a b"]).output().unwrap()), "['a b']\n");
    }
    if has("dash") {
        let script = scripts.script("script.sh", "#!/bin/sh -e", "echo \"$1\"");
        let output =
            Command::new("dash").arg(&scripts.sbang).arg(&script).arg("under dash").output().unwrap();
        assert_eq!(stdout(&output), "under dash\n");
    }
}

#[test]
fn the_interpreter_may_be_longer_than_any_shebang_line() {
    let scripts = Scripts::new();
    let deep = scripts.dir.path().join("d".repeat(200)).join("e".repeat(200));
    std::fs::create_dir_all(&deep).unwrap();
    let interpreter = deep.join("show");
    std::fs::rename(scripts.interpreter("show"), &interpreter).unwrap();
    let script = scripts.script("script", &format!("#!{}", interpreter.display()), "");
    assert_eq!(stdout(&Command::new(&script).output().unwrap()), format!("{}\n", script.display()));
}

#[test]
fn what_cannot_be_run_is_refused_with_a_word() {
    let scripts = Scripts::new();
    let sbang = scripts.sbang.display().to_string();
    let nothing = scripts.script("nothing", "no interpreter", "#!/bin/echo too late");
    let itself = scripts.script("itself", &format!("#!{sbang}"), "");
    let in_a_shell = scripts.script("shell", &format!("#!/bin/sh {sbang}"), "");
    let plain = scripts.dir.path().join("plain");
    std::fs::write(&plain, "no shebang at all\n").unwrap();
    for (script, expected) in [
        (None, "no script given"),
        (Some(scripts.dir.path().join("missing")), "no such script"),
        (Some(plain), "no interpreter in its first two lines"),
        (Some(nothing), "but sbang itself"),
        (Some(itself), "but sbang itself"),
        (Some(in_a_shell), "but sbang itself"),
    ] {
        // A loop would never end: the time is bounded from outside.
        let output = Command::new("timeout")
            .args(["10", "/bin/sh"])
            .arg(&scripts.sbang)
            .args(&script)
            .output()
            .unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.starts_with("sbang: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_one_line_script_without_a_newline_runs() {
    let scripts = Scripts::new();
    let interpreter = scripts.interpreter("show");
    let script = scripts.dir.path().join("script");
    std::fs::write(&script, format!("#!{}", interpreter.display())).unwrap();
    let output = Command::new("/bin/sh").arg(&scripts.sbang).arg(&script).output().unwrap();
    assert_eq!(stdout(&output), format!("{}\n", script.display()));
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn sbang_lies_under_the_unpadded_root_and_a_working_one_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = StoreRoot::open_or_new(dir.path(), Some(200)).unwrap();
    let path = install_sbang(&root).unwrap();
    assert_eq!(path, dir.path().join("bin/sbang"));
    assert_eq!(mode(&path), 0o755);
    let ours = std::fs::read(&path).unwrap();

    std::fs::write(&path, "#!/bin/sh\n# Spack's\n").unwrap();
    install_sbang(&root).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "#!/bin/sh\n# Spack's\n");

    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
    install_sbang(&root).unwrap();
    assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (ours.clone(), 0o755));

    std::fs::write(&path, "").unwrap();
    install_sbang(&root).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), ours);
}

#[test]
fn many_may_install_it_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let root = StoreRoot::open_or_new(dir.path(), None).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let path = install_sbang(&root).unwrap();
                assert!(std::fs::read_to_string(path).unwrap().ends_with("\"$@\"\n"), "half a script");
            });
        }
    });
    let names: Vec<_> =
        std::fs::read_dir(dir.path().join("bin")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["sbang"]);
}

#[test]
fn a_root_that_is_too_long_is_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let root = StoreRoot::open_or_new(&dir.path().join("r".repeat(120)), None).unwrap();
    let error = install_sbang(&root).unwrap_err();
    assert!(matches!(&error, SbangError::TooLong(e) if e.longest_root == 117), "{error}");
    assert!(!root.unpadded().exists());
}
