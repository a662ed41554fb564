//! What can be wrong with configuration files.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// Why configuration was not read or changed. Lines and columns count from 1, columns in characters.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// A file or directory cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be written; it is as it was.
    #[error("cannot write {}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not YAML.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The file is YAML, but means nothing as configuration.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where the value starts.
        line: usize,
        /// Where in the line.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// A directory is no environment.
    #[error("{} has no spack.yaml: it is no environment", directory.display())]
    NoManifest {
        /// The directory.
        directory: PathBuf,
    },
    /// There is a mirror of that name.
    #[error("a mirror named {name} already exists in {}", path.display())]
    MirrorExists {
        /// The name.
        name: String,
        /// Where it is.
        path: PathBuf,
    },
    /// There is no mirror of that name.
    #[error("no mirror named {name} {}; {}", looked_in(path), others(existing, elsewhere))]
    NoSuchMirror {
        /// The name.
        name: String,
        /// The file that it was looked for in; none if that was everywhere.
        path: Option<PathBuf>,
        /// The names that are there, in order.
        existing: Vec<String>,
        /// The scopes that have it, if it was not looked for everywhere: the highest first.
        elsewhere: Vec<String>,
    },
    /// There is no configuration scope of that name.
    #[error("there is no configuration scope `{name}`; {}", listing(existing))]
    NoSuchScope {
        /// The name.
        name: String,
        /// Those that there are, the lowest first.
        existing: Vec<String>,
    },
    /// `-C` names nothing that is there.
    #[error("there is no configuration in {}: it is no directory, no file and no environment", path.display())]
    NoCustomScope {
        /// What was named.
        path: PathBuf,
    },
    /// A setting of the command line (`-c`) cannot be understood.
    #[error("cannot understand the setting `{setting}`: {message}")]
    Setting {
        /// As it was given.
        setting: String,
        /// What is wrong.
        message: String,
    },
    /// No scope says anything of that name.
    #[error("`{path}` is not set{}", scope.as_ref().map(|scope| format!(" in the scope `{scope}`")).unwrap_or_default())]
    NotSet {
        /// Keys with colons between.
        path: String,
        /// The one scope that was asked.
        scope: Option<String>,
    },
    /// There is no section of that name.
    #[error("there is no configuration section `{name}`; there are: {}", crate::SECTIONS.join(", "))]
    NoSuchSection {
        /// The name.
        name: String,
    },
    /// A mirror has no URL for what is asked of it.
    #[error("the mirror {mirror} has no URL to {direction}")]
    NoUrl {
        /// The mirror's name.
        mirror: String,
        /// What was to be done.
        direction: Direction,
    },
    /// An access pair names an environment variable that is not set.
    #[error(
        "the mirror {mirror} takes its {what} from the environment variable {variable}, which is not set (see {place})"
    )]
    VariableNotSet {
        /// The mirror's name.
        mirror: String,
        /// Where it is configured: `FILE:LINE`, or a scope.
        place: String,
        /// `user` or `password`.
        what: &'static str,
        /// The variable.
        variable: String,
    },
    /// A scope has no file, or one that is not ours to change.
    #[error("the configuration scope `{name}` is not one that can be changed")]
    NotWritable {
        /// The scope.
        name: String,
    },
    /// Half an access pair was given, and the mirror has not the other half.
    #[error("both parts of the access pair of the mirror {mirror} are needed: a user and a password")]
    HalfAccessPair {
        /// The mirror's name.
        mirror: String,
    },
    /// Something of a new mirror is empty or has control characters in it.
    #[error("{value:?} cannot be the {what} of a mirror: it is empty or has control characters in it")]
    Unusable {
        /// `name`, `URL`, `user`, …
        what: &'static str,
        /// What was given.
        value: String,
    },
    /// A new mirror's password is empty or has control characters in it. It is not quoted.
    #[error("the password of the mirror {mirror} is empty or has control characters in it")]
    UnusableSecret {
        /// The mirror's name.
        mirror: String,
    },
    /// An environment that is to be made is there already.
    #[error("there is an environment in {} already", path.display())]
    EnvironmentExists {
        /// Its manifest.
        path: PathBuf,
    },
    /// A manifest has no such spec in its list.
    #[error("{} has no spec `{spec}` in its list `{list}`", path.display())]
    NoSuchSpec {
        /// The manifest.
        path: PathBuf,
        /// The spec.
        spec: String,
        /// `specs`, or the name of a definition.
        list: String,
    },
    /// A manifest has no definition of that name that holds here.
    #[error("{} defines no list `{list}` that holds here", path.display())]
    NoSuchList {
        /// The manifest.
        path: PathBuf,
        /// The name.
        list: String,
    },
    /// The file is written in a way that an edit would change more than it should; it is as it was.
    #[error("cannot edit {} without changing more than asked for: edit it by hand", path.display())]
    CannotEdit {
        /// The file.
        path: PathBuf,
    },
}

/// What a mirror is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To read from it.
    Fetch,
    /// To write to it.
    Push,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Fetch => "fetch from",
            Direction::Push => "push to",
        })
    }
}

fn looked_in(path: &Option<PathBuf>) -> String {
    path.as_ref().map_or_else(|| "is configured".to_owned(), |path| format!("in {}", path.display()))
}

fn others(existing: &[String], elsewhere: &[String]) -> String {
    match elsewhere {
        [] => listing(existing),
        [scope] => format!("the scope {scope} has it"),
        scopes => format!("the scopes {} have it", scopes.join(", ")),
    }
}

fn listing(names: &[String]) -> String {
    if names.is_empty() { "there are none".to_owned() } else { format!("there are: {}", names.join(", ")) }
}
