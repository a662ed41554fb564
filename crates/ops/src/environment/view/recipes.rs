//! Recipes that add their files to views in ways of their own (`add_files_to_view` in Spack's builtin repository).
//!
//! - Extensions of Python: executable scripts in `bin` are copied, with the view in the place of the Python that is in their first
//!   line; a link to one of those leads to the copy.
//! - `python-venv`: its `activate` scripts are copied and name the view.
//! - `python`: a `pyvenv.cfg` makes the view a virtual environment, unless files are copied or a package has one.
//! - `nektar`: its `lib64/nektar++` is in `lib`, too. Not done: it is for links only, and leads to a file of the same view.

use super::Packages;
use super::copies;
use crate::error::Error;
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use strata_spec::Node;
use strata_store::view::{MergedFile, symbolic_link};

/// What makes a directory a virtual environment of Python's.
pub(super) const PYVENV: &str = "pyvenv.cfg";

/// Makes one entry of a view: of what, where, and whether a copy is to be relocated.
pub(super) type Link<'l> = &'l dyn Fn(&Path, &Path, bool) -> Result<(), Error>;

/// How the files of a package get into a view.
pub(super) enum Way {
    /// Each for itself.
    Plain,
    /// As `python-venv` does it; its prefix.
    VirtualEnvironment(PathBuf),
    /// As extensions of Python do it.
    PythonExtension {
        /// The package's own prefix.
        prefix: PathBuf,
        /// The prefix of the Python that scripts name.
        python: PathBuf,
    },
}

impl Way {
    /// The way of `node`.
    pub(super) fn of(node: &Node, packages: &Packages<'_>) -> Result<Self, Error> {
        let Some(prefix) = packages.prefix(node) else { return Ok(Self::Plain) };
        if node.name == "python-venv" {
            return Ok(Self::VirtualEnvironment(prefix));
        }
        if !packages.is_python_extension(node) {
            return Ok(Self::Plain);
        }
        let python = ["python-venv", "python"].iter().find_map(|name| packages.dependency(node, name));
        let python = python.filter(|python| !python.is_external()).and_then(|python| packages.prefix(python));
        Ok(python.map_or(Self::Plain, |python| Self::PythonExtension { prefix, python }))
    }

    /// Adds `files` to the view that is being made at `now`. `projection` is where the package is going to be in the view.
    pub(super) fn add(
        &self,
        files: &[MergedFile],
        now: &Path,
        projection: &Path,
        link: Link<'_>,
    ) -> Result<(), Error> {
        match self {
            Self::Plain => files.iter().try_for_each(|file| link(&file.source, &now.join(&file.path), true)),
            Self::VirtualEnvironment(prefix) => files.iter().try_for_each(|file| {
                let to = now.join(&file.path);
                if is_activation(&file.path) {
                    copies::copy_with(&file.source, &to, prefix, projection)
                } else {
                    link(&file.source, &to, false)
                }
            }),
            Self::PythonExtension { prefix, python } => {
                extension(files, prefix, python, now, projection, link)
            }
        }
    }
}

/// `activate`, `activate.csh`, `Activate.ps1`
fn is_activation(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.to_lowercase().starts_with("activate")
}

fn extension(
    files: &[MergedFile],
    prefix: &Path,
    python: &Path,
    now: &Path,
    projection: &Path,
    link: Link<'_>,
) -> Result<(), Error> {
    let executables = prefix.join("bin");
    let mut copied: HashMap<(u64, u64), &Path> = HashMap::new();
    let mut links = Vec::new();
    for file in files {
        let (source, to) = (&file.source, now.join(&file.path));
        if !source.starts_with(&executables) {
            link(source, &to, false)?;
            continue;
        }
        let found = fs::symlink_metadata(source).map_err(|error| Error::io(source, error))?;
        if found.is_symlink() {
            links.push((file, to));
        } else if found.permissions().mode() & 0o111 != 0 && has_first_line(source) {
            copied.insert((found.dev(), found.ino()), &file.path);
            copies::copy_with(source, &to, python, projection)?;
        } else {
            link(source, &to, false)?;
        }
    }
    for (file, to) in links {
        let target =
            fs::metadata(&file.source).ok().and_then(|found| copied.get(&(found.dev(), found.ino())));
        match target {
            Some(target) => {
                let directory = file.path.parent().unwrap_or(Path::new(""));
                symbolic_link(&relative(target, directory), &to)?;
            }
            None => link(&file.source, &to, true)?,
        }
    }
    Ok(())
}

/// Whether a file begins with `#!`.
fn has_first_line(path: &Path) -> bool {
    let mut start = [0; 2];
    fs::File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

/// The way to `path` from `directory`, both relative to the same one.
fn relative(path: &Path, directory: &Path) -> PathBuf {
    let (path, directory): (Vec<Component<'_>>, Vec<Component<'_>>) =
        (path.components().collect(), directory.components().collect());
    let shared = path.iter().zip(&directory).take_while(|(a, b)| a == b).count();
    let up = directory[shared..].iter().map(|_| Component::ParentDir);
    up.chain(path[shared..].iter().copied()).collect()
}

/// Writes the `pyvenv.cfg` of a view whose Python is at `projection`.
pub(super) fn write_pyvenv(node: &Node, prefix: &Path, to: &Path, projection: &Path) -> Result<(), Error> {
    let executables = prefix.join("bin");
    let Some(command) = command(&node.version, &executables) else { return Ok(()) };
    let mut text = Vec::new();
    for (key, value) in [
        ("home", executables.as_os_str().as_bytes()),
        ("include-system-site-packages", b"false"),
        ("version", node.version.as_bytes()),
        ("executable", command.as_os_str().as_bytes()),
    ] {
        text.extend([key.as_bytes(), b" = ", value, b"\n"].concat());
    }
    let made =
        [command.as_os_str().as_bytes(), b" -m venv --without-pip ", projection.as_os_str().as_bytes()];
    text.extend([b"command = ", &made.concat()[..], b"\n"].concat());
    fs::write(to, text).map_err(|error| Error::io(to, error))
}

/// The interpreter, by the most exact name that it has.
fn command(version: &str, executables: &Path) -> Option<PathBuf> {
    let mut numbers = version.split('.');
    let major = numbers.next().unwrap_or_default();
    let minor = numbers.next().map_or_else(|| major.to_owned(), |minor| format!("{major}.{minor}"));
    let names =
        [format!("python{minor}t"), format!("python{minor}"), format!("python{major}"), "python".to_owned()];
    let is_executable = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
    };
    names.iter().map(|name| executables.join(name)).find(is_executable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_a_copy_leads_there_within_the_view() {
        for (path, directory, expected) in [
            ("bin/a", "bin", "a"),
            ("p/bin/a", "p/bin/x", "../a"),
            ("bin/a", "", "bin/a"),
            ("bin/a", "b", "../bin/a"),
        ] {
            assert_eq!(relative(Path::new(path), Path::new(directory)), Path::new(expected));
        }
    }

    #[test]
    fn activation_scripts_are_known_by_their_names() {
        assert!(is_activation(Path::new("bin/Activate.ps1")) && is_activation(Path::new("bin/activate")));
        assert!(!is_activation(Path::new("bin/deactivate")));
    }
}
