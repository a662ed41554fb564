//! Where what recipes say comes from, on a small store of our own: `app` links to `lib` and runs `tool`, and `other` links to
//! `lib`; `sys` is external.

use super::super::*;
use std::path::PathBuf;

pub(super) struct Store {
    directory: tempfile::TempDir,
    pub(super) database: Database,
}

pub(super) fn hash(letter: char) -> DagHash {
    DagHash::parse(&letter.to_string().repeat(32)).unwrap()
}

impl Store {
    /// With what `external` says in the record of `sys`.
    pub(super) fn new(external: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap().to_owned();
        let edge = |name: &str, letter: char, types: &str| {
            format!(
                r#"{{"name":"{name}","hash":"{}","parameters":{{"deptypes":[{types}],"virtuals":[]}}}}"#,
                hash(letter)
            )
        };
        let lib = edge("lib", 'b', r#""link""#);
        let mut installs = Vec::new();
        for (name, letter, dependencies, more) in [
            ("app", 'a', [lib.clone(), edge("tool", 'c', r#""run""#)].join(","), String::new()),
            ("lib", 'b', edge("sys", 'e', r#""link""#), String::new()),
            ("tool", 'c', String::new(), String::new()),
            ("other", 'd', lib, String::new()),
            (
                "sys",
                'e',
                String::new(),
                format!(r#""external":{{"path":"/usr","module":null,"extra_attributes":{external}}},"#),
            ),
        ] {
            let prefix = match letter {
                'e' => "/usr".to_owned(),
                _ => format!("{root}/{name}-1-{}", hash(letter)),
            };
            installs.push(format!(
                r#""{h}":{{"spec":{{"name":"{name}","version":"1","namespace":"mine","arch":{{"platform":"linux","platform_os":"debian12",
                "target":"x86_64"}},{more}"dependencies":[{dependencies}],"hash":"{h}"}},"path":"{prefix}","installed":true,
                "ref_count":1,"explicit":true}}"#,
                h = hash(letter)
            ));
            if letter != 'e' {
                std::fs::create_dir_all(format!("{prefix}/bin")).unwrap();
            }
        }
        let json = format!(r#"{{"database":{{"version":"8","installs":{{{}}}}}}}"#, installs.join(","));
        Self { directory, database: Database::parse(&json).unwrap() }
    }

    pub(super) fn prefix(&self, letter: char) -> String {
        self.database.records[&hash(letter)].path.clone().unwrap()
    }

    /// Keeps recipes: those of `letters` say more, all others nothing.
    pub(super) fn keep_recipes(&self, letters: &str) {
        for record in self.database.records.values().filter(|record| !record.node.is_external()) {
            let place =
                format!("{}/.spack/repos/mine/packages/{}", record.path.as_ref().unwrap(), record.node.name);
            std::fs::create_dir_all(&place).unwrap();
            let more = letters.contains(record.node.hash.as_str().chars().next().unwrap());
            let text =
                if more { "class A(Package):\n    def setup_run_environment(self, env):\n" } else { "" };
            std::fs::write(format!("{place}/package.py"), text).unwrap();
        }
    }

    fn told(
        &self,
        roots: &str,
        cached: &HashMap<DagHash, Cached>,
        spack: Option<&Path>,
        base: &Environment,
    ) -> Told {
        let inspections = Inspections::default();
        let installed =
            Installed { database: &self.database, inspections: &inspections, spack, cached, unopened: None };
        let roots: Vec<DagHash> = roots.chars().map(hash).collect();
        // Nothing of this machine's /usr.
        let told = installed::of_installed_in(&installed, &[&roots], base, &|path| {
            path.is_dir() && !path.starts_with("/usr")
        });
        told.unwrap().remove(0)
    }

    /// A program in the place of Spack.
    pub(super) fn program(&self, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.directory.path().join("spack");
        std::fs::write(
            &path,
            format!("#!/bin/sh\ncat > {}/asked\n{script}\n", self.directory.path().display()),
        )
        .unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

fn bare() -> Environment {
    Environment::of_base(None)
}

#[test]
fn what_is_not_known_is_told_once() {
    let store = Store::new("{}");
    let told = store.told("a", &HashMap::new(), None, &bare());
    assert!(told.unclear.is_empty());
    assert_eq!(told.unknown.len(), 3, "{:?}", told.unknown);
    let other = store.told("d", &HashMap::new(), None, &bare());
    let warnings = warnings([&told, &other]);
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("app@1/aaaaaaa, lib@1/bbbbbbb, other@1/ddddddd, tool@1/ccccccc"),
        "{warnings:?}"
    );

    store.keep_recipes("");
    let told = store.told("a", &HashMap::new(), Some(&store.program("exit 1")), &bare());
    assert!(told.unclear.is_empty() && told.unknown.is_empty() && told.warnings.is_empty());
    assert!(!store.directory.path().join("asked").exists(), "nothing was left to be asked");

    store.keep_recipes("b");
    let told = store.told("a", &HashMap::new(), None, &bare());
    assert_eq!((told.unclear, told.unknown.len()), (vec!["lib@1/bbbbbbb".to_owned()], 0));
    assert!(store.told("c", &HashMap::new(), None, &bare()).unclear.is_empty());
}

#[test]
fn a_spack_that_answers_is_believed_and_one_that_fails_is_a_warning() {
    let store = Store::new("{}");
    store.keep_recipes("b");
    let answer = r#"echo '== environment == {"env": [["PATH", "/said"], ["LIB_HOME", "/x"]]}'"#;
    let told = store.told("a", &HashMap::new(), Some(&store.program(answer)), &bare());
    assert_eq!(told.environment.to_entries(), ["PATH=/said", "LIB_HOME=/x"]);
    assert!(told.unclear.is_empty() && warnings([&told]).is_empty());
    let asked = std::fs::read_to_string(store.directory.path().join("asked")).unwrap();
    let expected = format!(
        r#"[{{"roots":[["{}","{}"]],"env":[["PATH","/bin:/usr/bin"]]}}]"#,
        hash('a'),
        store.prefix('a')
    );
    assert_eq!(asked, expected);

    for (script, expected) in [
        ("echo no such thing >&2; exit 1", "no such thing"),
        (r#"echo '== environment == {"error": "it has no /aaaa"}'"#, "app@1/aaaaaaa: it has no /aaaa"),
    ] {
        let told = store.told("a", &HashMap::new(), Some(&store.program(script)), &bare());
        assert_eq!(told.unclear, ["lib@1/bbbbbbb"]);
        let warnings = warnings([&told]);
        assert!(warnings.len() == 2 && warnings[0].contains(expected), "{warnings:?}");
        assert_eq!(told.environment, store.told("a", &HashMap::new(), None, &bare()).environment);
    }
}

#[test]
fn a_config_whose_writer_did_not_know_is_no_knowledge() {
    let store = Store::new("{}");
    store.keep_recipes("b");
    let first = store.told("a", &HashMap::new(), None, &bare());
    let unclear = vec!["lib@1/bbbbbbb".to_owned()];
    let config =
        Cached { env: first.environment.to_entries(), has_base: false, unclear: first.unclear.clone() };
    let cached = HashMap::from([(hash('a'), config)]);
    assert_eq!(store.told("a", &cached, None, &bare()).unclear, unclear);
    let mut base = bare();
    base.set("LANG", "C");
    for base in [bare(), base] {
        let told = of_cached(&store.database, &[hash('a')], &cached, &base).unwrap();
        assert_eq!(told.unclear, unclear);
    }
}

#[test]
fn a_config_from_elsewhere_says_what_recipes_set() {
    let store = Store::new("{}");
    store.keep_recipes("b");
    let computed = store.told("a", &HashMap::new(), None, &bare()).environment;
    let here = |letter: char| store.prefix(letter);
    let there = |letter: char| format!("/there/{letter}/{}", hash(letter));
    let env = vec![
        format!("PATH={0}/bin:{1}/bin:{1}/tools:/bin:/usr/bin", there('a'), there('c')),
        format!("LIB_HOME={}/share", there('b')),
        "LIB_MODE=fast".to_owned(),
        format!("LIB_PATH={0}/x:{0}/y", there('b')),
        "MANPATH=/usr/share/man".to_owned(),
    ];
    let cached =
        HashMap::from([(hash('a'), Cached { env: env.clone(), has_base: false, unclear: Vec::new() })]);
    let told = store.told("a", &cached, None, &bare());
    assert!(told.unclear.is_empty());
    let path = computed.get("PATH").unwrap();
    let tool = format!("{}/bin", here('c'));
    let at = path.find(&tool).unwrap() + tool.len();
    assert_eq!(
        told.environment.get("PATH").unwrap(),
        format!("{}:{}/tools{}", &path[..at], here('c'), &path[at..])
    );
    assert_eq!(told.environment.get("LIB_HOME").unwrap(), format!("{}/share", here('b')));
    assert_eq!(told.environment.get("LIB_MODE"), Some("fast"));
    assert_eq!(told.environment.get("LIB_PATH").unwrap(), format!("{0}/x:{0}/y", here('b')));
    // What another machine has in /usr is not a recipe's.
    assert_eq!(told.environment.get("MANPATH"), computed.get("MANPATH"));

    // Of an image with a base, only what names a package is the recipe's.
    let cached = HashMap::from([(hash('a'), Cached { env, has_base: true, unclear: Vec::new() })]);
    let mut base = bare();
    base.set("LIB_PATH", "/base/lib");
    base.set("PATH", "/base/bin");
    let told = store.told("a", &cached, None, &base);
    assert_eq!(told.environment.get("LIB_MODE"), None);
    assert_eq!(told.environment.get("LIB_HOME").unwrap(), format!("{}/share", here('b')));
    assert_eq!(told.environment.get("LIB_PATH").unwrap(), format!("{0}/x:{0}/y:/base/lib", here('b')));
    assert!(told.environment.get("PATH").unwrap().ends_with(":/base/bin"));
}

#[test]
fn what_is_configured_for_externals_is_done() {
    let external = r#"{"environment":{"set":{"SYS":1.5,"MODE":"a"},"prepend_path":{"PATH":"/opt/sys/bin/"},
        "append_path":{"X_PATH":"/x"},"unset":["MODE"],"remove_path":{"GONE":"/a"},"other":{"A":"b"}}}"#;
    let store = Store::new(&external.replace('\n', ""));
    store.keep_recipes("");
    let mut base = bare();
    base.set("GONE", "/a:/b:/a/");
    let told = store.told("d", &HashMap::new(), None, &base);
    let lists =
        format!("{0}/bin:/opt/sys/bin:{0}/bin:{1}/bin:/bin:/usr/bin", store.prefix('d'), store.prefix('b'));
    let prefixes = format!("CMAKE_PREFIX_PATH={}:{}", store.prefix('d'), store.prefix('b'));
    let expected = [
        format!("PATH={lists}"),
        "GONE=/b:/a".to_owned(),
        prefixes,
        "SYS=1.5".to_owned(),
        "X_PATH=/x".to_owned(),
    ];
    assert_eq!(told.environment.to_entries(), expected);
    assert!(told.unclear.is_empty() && told.unknown.is_empty());
}

#[test]
fn what_two_roots_set_differently_is_told() {
    let store = Store::new("{}");
    let config = |env: &[&str]| Cached {
        env: env.iter().map(|e| (*e).to_owned()).collect(),
        has_base: false,
        unclear: Vec::new(),
    };
    let cached = HashMap::from([
        (hash('a'), config(&["PATH=/a/bin:/bin:/usr/bin:/last", "MODE=a", "SAME=s", "A_PATH=/one"])),
        (hash('d'), config(&["PATH=/d/bin:/bin:/usr/bin", "MODE=d", "SAME=s", "A_PATH=/two:/one"])),
    ]);
    let told = of_cached(&store.database, &[hash('d'), hash('a')], &cached, &bare()).unwrap();
    let env = told.environment.to_entries();
    assert_eq!(env, ["PATH=/d/bin:/a/bin:/bin:/usr/bin:/last", "A_PATH=/two:/one", "MODE=d", "SAME=s"]);
    assert_eq!(told.warnings.len(), 1);
    assert!(
        told.warnings[0].contains("MODE is set differently for other@1/ddddddd and app@1/aaaaaaa"),
        "{:?}",
        told.warnings
    );

    let told = of_cached(&store.database, &[hash('d'), hash('b')], &cached, &bare()).unwrap();
    assert_eq!(told.unclear, ["lib@1/bbbbbbb"]);
    assert!(of_cached(&store.database, &[hash('f')], &cached, &bare()).is_err());
}

/// Where projections leave the hash out, the list of prefixes tells which is whose.
#[test]
fn prefixes_without_hashes_are_told_by_their_order() {
    let store = Store::new("{}");
    let config = |env: String| Cached {
        env: env.lines().map(str::to_owned).collect(),
        has_base: false,
        unclear: Vec::new(),
    };
    let cached = HashMap::from([
        (hash('a'), config("PATH=/s/app/bin:/s/tool/bin:/s/app/bin:/s/lib/bin:/s/tool/bin:/bin:/usr/bin\nCMAKE_PREFIX_PATH=/s/app:/s/lib:/s/tool".into())),
        (hash('d'), config("PATH=/s/other/bin:/s/other/bin:/s/lib/bin:/bin:/usr/bin\nCMAKE_PREFIX_PATH=/s/other:/s/lib".into())),
    ]);
    let told = of_cached(&store.database, &[hash('d'), hash('a')], &cached, &bare()).unwrap();
    let path =
        "/s/other/bin:/s/app/bin:/s/tool/bin:/s/other/bin:/s/app/bin:/s/lib/bin:/s/tool/bin:/bin:/usr/bin";
    assert_eq!(told.environment.get("PATH"), Some(path));
    assert_eq!(told.environment.get("CMAKE_PREFIX_PATH"), Some("/s/other:/s/app:/s/lib:/s/tool"));
}

/// A store may lie below the prefix of an external package.
#[test]
fn a_store_below_an_external_keeps_its_entries() {
    let store = Store::new("{}");
    let at = |name: &str, letter: char| format!("/usr/local/store/{name}-1-{}", hash(letter));
    let (app, lib, tool, other) = (at("app", 'a'), at("lib", 'b'), at("tool", 'c'), at("other", 'd'));
    let config = |man: &[&String], path: &[&String]| {
        let list = |prefixes: &[&String], below: &str| {
            prefixes.iter().map(|prefix| format!("{prefix}{below}")).collect::<Vec<_>>().join(":")
        };
        let env = vec![
            format!("PATH={}:/bin:/usr/bin", list(path, "/bin")),
            format!("MANPATH={}:/usr/share/man", list(man, "/share/man")),
        ];
        Cached { env, has_base: false, unclear: Vec::new() }
    };
    let cached = HashMap::from([
        (hash('a'), config(&[&app, &lib, &tool], &[&app, &tool, &app, &lib, &tool])),
        (hash('d'), config(&[&other, &lib], &[&other, &other, &lib])),
    ]);
    let told = of_cached(&store.database, &[hash('d'), hash('a')], &cached, &bare()).unwrap();
    let entries = |below: &str, prefixes: &[&String]| {
        prefixes.iter().map(|prefix| format!("{prefix}{below}:")).collect::<String>()
    };
    let path = entries("/bin", &[&other, &app, &tool, &other, &app, &lib, &tool]);
    assert_eq!(told.environment.get("PATH").unwrap(), format!("{path}/bin:/usr/bin"));
    let man = entries("/share/man", &[&other, &app, &lib, &tool]);
    assert_eq!(told.environment.get("MANPATH").unwrap(), format!("{man}/usr/share/man"));
}

/// What is known of a recipe does not depend on which image is looked at first.
#[test]
fn a_recipe_that_a_dependent_keeps_is_found_in_any_order() {
    let store = Store::new("{}");
    store.keep_recipes("");
    let kept = format!("{}/.spack/repos/mine/packages", store.prefix('b'));
    std::fs::rename(format!("{kept}/lib"), format!("{}/.spack/repos/mine/packages/lib", store.prefix('a')))
        .unwrap();
    let (inspections, cached) = (Inspections::default(), HashMap::new());
    let installed = Installed {
        database: &store.database,
        inspections: &inspections,
        spack: None,
        cached: &cached,
        unopened: None,
    };
    let (app, lib) = ([hash('a')], [hash('b')]);
    for images in [[&app[..], &lib[..]], [&lib[..], &app[..]]] {
        let told = of_installed(&installed, &images, &bare()).unwrap();
        assert!(told.iter().all(|told| told.unknown.is_empty() && told.unclear.is_empty()), "{told:?}");
    }
}

/// What separates the entries of a list is told by its name.
#[test]
fn lists_with_other_separators_are_put_together_with_them() {
    let store = Store::new("{}");
    let config = |env: &[&str]| Cached {
        env: env.iter().map(|e| (*e).to_owned()).collect(),
        has_base: true,
        unclear: Vec::new(),
    };
    let (a, d) = (format!("/s/app-{}", hash('a')), format!("/s/other-{}", hash('d')));
    let cached = HashMap::from([
        (hash('a'), config(&[&format!("LUA_PATH={a}/?.lua;{a}/?/init.lua"), &format!("TCLLIBPATH={a}/lib")])),
        (hash('d'), config(&[&format!("LUA_PATH={d}/?.lua"), &format!("TCLLIBPATH={d}/lib")])),
    ]);
    let mut base = bare();
    base.set("LUA_PATH", ";;");
    let told = of_cached(&store.database, &[hash('d'), hash('a')], &cached, &base).unwrap();
    assert_eq!(told.environment.get("LUA_PATH").unwrap(), format!("{d}/?.lua;{a}/?.lua;{a}/?/init.lua;;;"));
    assert_eq!(told.environment.get("TCLLIBPATH").unwrap(), format!("{d}/lib {a}/lib"));
    assert!(told.warnings.is_empty(), "{:?}", told.warnings);
}
