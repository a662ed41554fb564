//! A shell that is typed into, as a reader would.

use crate::support::World;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

/// Stands at the start of the line that says how a command ended.
const ENDED: &str = "--ended--";

/// A bash with a home directory of its own; ended with all that it started when dropped.
pub(crate) struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<Box<dyn Read>>,
    home: PathBuf,
    directory: PathBuf,
}

impl Shell {
    /// One in which `strata` is the command under test.
    pub(crate) fn start(world: &World) -> Self {
        let home = world.path("home");
        std::fs::create_dir_all(&home).unwrap();
        let (read, write) = std::io::pipe().unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_strata"));
        let path = std::env::var("PATH").unwrap();
        // The surroundings are those of every test; only the program is another one.
        let ours = world.command();
        let mut command = Command::new("bash");
        command.args(["--norc", "--noprofile"]);
        for (name, value) in ours.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env_remove("SPACK_USER_CONFIG_PATH").env("LC_ALL", "C.UTF-8");
        command.env("PATH", format!("{}:{path}", program.parent().unwrap().display()));
        command.current_dir(&home).stdin(Stdio::piped()).process_group(0);
        command.stdout(write.try_clone().unwrap()).stderr(write);
        let mut child = command.spawn().unwrap();
        drop(command);
        let input = child.stdin.take().unwrap();
        Self { child, input, output: BufReader::new(Box::new(read)), directory: home.clone(), home }
    }

    /// Runs a command; what it printed on both channels, and its exit code.
    pub(crate) fn type_in(&mut self, command: &str) -> (String, i32) {
        // Its own standard input, or it would read what is typed next.
        writeln!(self.input, "{{ {command}\n}} < /dev/null; code=$?; echo; echo \"{ENDED} $code $PWD\"")
            .unwrap();
        self.input.flush().unwrap();
        let mut printed = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "the shell is gone:\n{printed}");
            if let Some(end) = line.strip_prefix(ENDED) {
                let (code, directory) = end.trim().split_once(' ').unwrap();
                self.directory = directory.into();
                return (printed.trim_end().to_owned(), code.parse().unwrap());
            }
            printed.push_str(&line);
        }
    }

    /// The home directory, as text.
    pub(crate) fn home(&self) -> String {
        self.home.display().to_string()
    }

    /// The working directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let group = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        let _ = self.child.wait();
    }
}
