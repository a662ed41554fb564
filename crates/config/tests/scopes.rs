//! Whole configuration trees: what all scopes say together, where each value comes from and which scopes there are, as a real Spack
//! said it of the same trees. How that was written down is in `scopes/README.md`.

// Clippy knows test functions by their attribute, not their helpers.
#![allow(clippy::unwrap_used)]

use serde_json::Value as Json;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use strata_config::value::{Data, Origin, Value};
use strata_config::{
    Asked, ConfigError, Configuration, MachineFacts, SECTIONS, ScopeKind, Surroundings, dump,
};

/// The sections of which strata knows what may stand in them.
const READ: [&str; 8] =
    ["concretizer", "config", "include", "mirrors", "modules", "packages", "upstreams", "view"];

struct Case {
    name: String,
    directory: PathBuf,
    expected: Json,
    tree: tempfile::TempDir,
}

fn cases() -> Vec<Case> {
    let all = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scopes");
    let mut names: Vec<PathBuf> = fs::read_dir(&all).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.join("expected.json").exists());
    names.sort();
    let cases = names.into_iter().map(|directory| {
        let tree = tempfile::tempdir().unwrap();
        for from in [all.join("base"), directory.join("tree")] {
            copy(&from, tree.path());
        }
        for below in ["user", "system", "home"] {
            fs::create_dir_all(tree.path().join(below)).unwrap();
        }
        let expected = json(&directory.join("expected.json"));
        let name = directory.file_name().unwrap().to_string_lossy().into_owned();
        Case { name, directory, expected, tree }
    });
    cases.collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();

    for entry in fs::read_dir(from).into_iter().flatten() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn json(path: &Path) -> Json {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

impl Case {
    fn root(&self) -> PathBuf {
        self.tree.path().canonicalize().unwrap()
    }

    fn placed(&self, text: &str) -> String {
        text.replace("@TREE@", &self.root().to_string_lossy())
    }

    fn load(&self) -> Result<Configuration, ConfigError> {
        let case = json(&self.directory.join("case.json"));
        let machine = json(&self.directory.parent().unwrap().join("machine.json"));
        let text = |key: &str| machine[key].as_str().unwrap().to_owned();
        let root = self.root();
        let mut variables = HashMap::from([
            ("HOME".to_owned(), self.placed("@TREE@/home")),
            ("SPACK_USER_CONFIG_PATH".to_owned(), self.placed("@TREE@/user")),
            ("SPACK_SYSTEM_CONFIG_PATH".to_owned(), self.placed("@TREE@/system")),
        ]);
        for (name, value) in case["variables"].as_object().unwrap() {
            match value.as_str() {
                Some(value) => variables.insert(name.clone(), self.placed(value)),
                None => variables.remove(name),
            };
        }
        let surroundings = Surroundings {
            spack_root: Some(root.join("spack")),
            home: root.join("home"),
            working_directory: root.clone(),
            temporary: "/tmp".into(),
            user: "me".to_owned(),
            host_name: "node".to_owned(),
            platform: text("platform"),
            machine: MachineFacts {
                os: Some(text("os")),
                target: text("target"),
                target_family: String::new(),
            }
            .into(),
            // What Spack makes of targets is not what is compared here.
            target_matches: Some(|target, asked| asked == target || asked == ":"),
            variables,
            ..Surroundings::default()
        };
        let mut asked = Asked::default();
        let arguments: Vec<String> = case["arguments"]
            .as_array()
            .unwrap()
            .iter()
            .map(|text| self.placed(text.as_str().unwrap()))
            .collect();
        for pair in arguments.chunks(2) {
            match pair[0].as_str() {
                "-C" => asked.custom_scopes.push(pair[1].clone().into()),
                "-c" => asked.settings.push(pair[1].clone()),
                "-e" => asked.environment = Some((pair[1].clone(), root.clone())),
                other => panic!("{other}"),
            }
        }
        if let Some((name, directory)) = &mut asked.environment {
            let known = Configuration::load(surroundings.clone(), &Asked::default())?;
            let managed =
                known.environments_root()?.map(|root| root.join(&*name)).filter(|path| path.is_dir());
            *directory = managed.unwrap_or_else(|| name.clone().into());
        }
        Configuration::load(surroundings, &asked)
    }

    /// What Spack's blame says: for the last value of each of its lines, the path of keys to it and where it comes from.
    fn blame(&self) -> Vec<(String, String)> {
        let text = fs::read_to_string(self.directory.join("blame.txt")).unwrap();
        let lines: Vec<(&str, &str)> = text.lines().map(|line| line.split_once('\t').unwrap()).collect();
        let yaml: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        let file = self.tree.path().join("blame.yaml");
        fs::write(&file, yaml).unwrap();
        // Read as the file of a scope with any sections, so that there are lines.
        let value = strata_config::value::read(&file, "blame").unwrap().unwrap();
        let mut leaves = Vec::new();
        walk(value.get("spack").unwrap(), String::new(), &mut |path, origin, _| {
            leaves.push((path, origin.line));
        });
        let mut last: HashMap<usize, String> = HashMap::new();
        for (path, line) in leaves {
            last.insert(line, path);
        }
        let mut found: Vec<(usize, String)> = last.into_iter().collect();
        found.sort();
        found.into_iter().map(|(line, path)| (path, self.placed(lines[line - 1].0))).collect()
    }
}

/// All keys and all items of lists below a value: the path to each, where it is written, and whether Spack says so too: of what is
/// no text, it says where its key is.
fn walk(value: &Value, path: String, visit: &mut dyn FnMut(String, &Origin, bool)) {
    match &value.data {
        Data::Mapping(mapping) => {
            for (key, value) in mapping.iter() {
                let path = format!("{path}/{}", key.name);
                let is_text = value.text().is_some();
                visit(path.clone(), if is_text { &value.origin } else { &key.origin }, true);
                walk(value, path, visit);
            }
        }
        Data::List(items) => {
            for (at, item) in items.iter().enumerate() {
                let path = format!("{path}[{at}]");
                visit(path.clone(), &item.origin, item.text().is_some());
                walk(item, path, visit);
            }
        }
        _ => {}
    }
}

fn to_json(value: &Value) -> Json {
    match &value.data {
        Data::Null => Json::Null,
        Data::Boolean(flag) => (*flag).into(),
        Data::Integer(number) => (*number).into(),
        Data::Float(number) => (*number).into(),
        Data::Text(text) => text.clone().into(),
        Data::List(items) => items.iter().map(to_json).collect(),
        Data::Mapping(mapping) => {
            Json::Object(mapping.iter().map(|(key, value)| (key.name.clone(), to_json(value))).collect())
        }
    }
}

fn is_empty(value: &Json) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
}

#[test]
fn sections_say_what_spack_says() {
    let mut count = 0;
    for case in cases() {
        let Some(sections) = case.expected.get("sections") else { continue };
        let configuration = case.load().unwrap_or_else(|error| panic!("{}: {error}", case.name));
        for section in SECTIONS.iter().filter(|section| **section != "repos") {
            let theirs: Json = serde_json::from_str(&case.placed(&sections[section].to_string())).unwrap();
            let ours =
                configuration.section(section).unwrap_or_else(|error| panic!("{}: {error}", case.name));
            let ours = ours.as_ref().map(to_json);
            assert!(
                ours.as_ref() == Some(&theirs) || (ours.is_none() && is_empty(&theirs)),
                "{} {section}\nours   {ours:?}\ntheirs {theirs}",
                case.name
            );
            // Order is part of it: the first has precedence.
            assert_eq!(
                ours.unwrap_or(Json::Object(Default::default())).to_string(),
                theirs.to_string(),
                "{}",
                case.name
            );
        }
        count += 1;
    }
    assert!(count >= 40, "{count} trees");
}

#[test]
fn values_come_from_where_spack_says() {
    let (mut compared, mut cases_compared) = (0, 0);
    for case in cases() {
        if case.expected.get("sections").is_none() {
            continue;
        }
        let configuration = case.load().unwrap();
        let mut ours = HashMap::new();
        for section in SECTIONS {
            if let Some((key, value)) = configuration.section_with_key(section).unwrap() {
                let _ = key;
                walk(&value, format!("/{section}"), &mut |path, origin, is_said| {
                    ours.insert(path, (origin.to_string(), is_said));
                });
            }
        }
        for (path, theirs) in case.blame() {
            // The sections themselves come from nowhere, and what is no configuration is only printed.
            let Some((ours, true)) = ours.get(&path) else { continue };
            assert_eq!(ours, &theirs, "{} {path}", case.name);
            compared += 1;
        }
        cases_compared += 1;
    }
    assert!(cases_compared >= 40 && compared >= 1000, "{compared} values in {cases_compared} trees");
}

#[test]
fn scopes_are_those_that_spack_has() {
    for case in cases() {
        let Some(theirs) = case.expected.get("scopes") else { continue };
        let configuration = case.load().unwrap();
        let active: Vec<&str> =
            configuration.active_scopes().iter().map(|scope| scope.name.as_str()).collect();
        let included: Vec<&String> =
            configuration.scopes().iter().flat_map(|scope| &scope.includes).collect();
        let ours: Vec<String> = configuration
            .scopes()
            .iter()
            .rev()
            .map(|scope| {
                let mut kinds = Vec::new();
                let (is_manifest, is_internal) = match &scope.kind {
                    ScopeKind::File { is_manifest, .. } => (*is_manifest, false),
                    ScopeKind::Internal(_) => (false, true),
                    ScopeKind::Directory(_) => (false, false),
                };
                kinds.extend(is_manifest.then_some("env"));
                kinds.extend(included.contains(&&scope.name).then_some("include"));
                kinds.push(if is_internal { "internal" } else { "path" });
                let state = if active.contains(&scope.name.as_str()) { "active" } else { "override" };
                let path = scope.path().map(|path| format!(" {}/", path.display())).unwrap_or_default();
                format!("{} {} {state}{path}", scope.name, kinds.join(","))
            })
            .collect();
        let theirs: Vec<String> =
            theirs.as_array().unwrap().iter().map(|line| case.placed(line.as_str().unwrap())).collect();
        assert_eq!(ours, theirs, "{}", case.name);
    }
}

#[test]
fn what_spack_refuses_is_refused_in_the_same_place() {
    let mut count = 0;
    for case in cases() {
        let Some(theirs) = case.expected.get("error") else { continue };
        let theirs = case.placed(theirs.as_str().unwrap());
        let ours = case.load().and_then(|configuration| {
            READ.iter().try_for_each(|section| configuration.section(section).map(drop))
        });
        let ours = ours.expect_err(&case.name).to_string();
        // FILE:LINE: MESSAGE, if Spack says that much. For a key that is not known it names the mapping, and we name the key.
        let place = |message: &str| {
            let mut parts = message.splitn(3, ':');
            let file = parts.next().filter(|file| file.starts_with('/'))?.to_owned();
            Some((file, parts.next()?.parse::<usize>().ok()?))
        };
        if let Some((file, line)) = place(&theirs) {
            let (our_file, our_line) = place(&ours).expect(&ours);
            let is_inside = our_file == file
                && (our_line == line || (our_line > line && ours.contains(" not known")))
                || ours.contains("there is no section");
            assert!(is_inside, "{}\nours   {ours}\ntheirs {theirs}", case.name);
        }
        count += 1;
    }
    assert!(count >= 10, "{count} trees");
}

/// Spack keeps comments and the way lists were written, and marks on texts; what is left is the same, line by line.
#[test]
fn yaml_looks_as_spack_prints_it() {
    let mut same = 0;
    for case in cases() {
        if case.expected.get("sections").is_none() {
            continue;
        }
        let configuration = case.load().unwrap();
        let theirs = case.placed(&fs::read_to_string(case.directory.join("get.yaml")).unwrap());
        let has_other_forms = |text: &str| {
            text.contains('#') || text.contains(": [") || text.contains(" |") || text.contains("<<")
        };
        for section in READ {
            let Some(value) = configuration.section(section).unwrap() else { continue };
            let ours = dump::yaml(section, &value);
            let theirs = section_of(&theirs, section);
            // A section with a mark is printed with it.
            if theirs.is_empty() {
                continue;
            }
            if !has_other_forms(&theirs.replace(": []", ""))
                && !["16", "17", "18", "39"].contains(&&case.name[..2])
            {
                assert_eq!(ours, theirs, "{}", case.name);
                same += 1;
            }
        }
    }
    assert!(same > 150, "{same}");
}

/// One section of those that are printed below `spack:`, without its indentation.
fn section_of(text: &str, section: &str) -> String {
    let start = format!("  {section}:");
    let lines = text.lines().skip_while(|line| !(line.starts_with(&start)));
    let mut found = String::new();
    for (at, line) in lines.enumerate() {
        let inside = line.starts_with("   ") || line.starts_with("  -") || line.is_empty();
        if at > 0 && !inside {
            break;
        }
        if !line.is_empty() {
            found.push_str(&line[2..]);
            found.push('\n');
        }
    }
    found
}
