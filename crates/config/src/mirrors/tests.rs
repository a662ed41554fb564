use proptest::prelude::*;
use proptest::sample::select;

use super::edit::Text;
use super::*;
use crate::{IdSource, PlainText};

fn path() -> &'static Path {
    Path::new("some/mirrors.yaml")
}

fn parse(text: &str) -> Mirrors {
    read(text).unwrap_or_else(|error| panic!("{error}"))
}

fn read(text: &str) -> Result<Mirrors, ConfigError> {
    Text::of(path(), text).mirrors(text)
}

fn add(path: &Path, text: &str, new: &NewMirror) -> Result<String, ConfigError> {
    edit::add(&Text::of(path, text), new)
}

fn remove(path: &Path, text: &str, name: &str) -> Result<String, ConfigError> {
    edit::remove(&Text::of(path, text), name)
}

fn origin() -> Origin {
    Origin { file: Some(path().into()), line: 7, ..Origin::internal("user") }
}

fn names(text: &str) -> Vec<String> {
    parse(text).iter().map(|mirror| mirror.name.clone()).collect()
}

fn added(text: &str) -> String {
    add(path(), text, &NewMirror::new("new", "oci://h/n")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn all_forms_of_an_entry_are_read() {
    let mirrors = parse(
        "mirrors:\n\
         \x20 plain: oci://h/plain\n\
         \x20 flags: {url: oci://h/flags, binary: true, source: false, autopush: true, signed: true}\n\
         \x20 both:\n    fetch: https://h/fetch\n    push: {url: s3://h/push, profile: p}\n    signed: false\n\
         \x20 default: {url: https://h/default, push: 'https://h/other', binary: False}\n\
         \x20 dict: {url: https://h/dict, fetch: {access_pair: {id: joe, secret_variable: S}}}\n\
         \x20 fetch-only: {fetch: oci+http://h/x}\n\
         \x20 path: $spack/../cache\n",
    );
    let row = |name: &str| {
        let mirror = mirrors.get(name).unwrap();
        let urls = (mirror.fetch_url().ok(), mirror.push_url().ok());
        (urls.0, urls.1, mirror.binary, mirror.source, mirror.signed)
    };
    assert_eq!(row("plain"), (Some("oci://h/plain"), Some("oci://h/plain"), true, true, false));
    assert_eq!(row("flags"), (Some("oci://h/flags"), Some("oci://h/flags"), true, false, false));
    assert_eq!(row("both"), (Some("https://h/fetch"), Some("s3://h/push"), true, true, false));
    assert_eq!(row("default"), (Some("https://h/default"), Some("https://h/other"), false, true, true));
    assert_eq!(row("dict"), (Some("https://h/dict"), Some("https://h/dict"), true, true, true));
    assert_eq!(row("fetch-only"), (Some("oci+http://h/x"), None, true, true, false));
    assert_eq!(row("path"), (Some("$spack/../cache"), Some("$spack/../cache"), true, true, true));
    let order: Vec<&str> = mirrors.iter().map(|mirror| &*mirror.name).collect();
    assert_eq!(order, ["plain", "flags", "both", "default", "dict", "fetch-only", "path"]);
    let error = mirrors.get("fetch-only").unwrap().push_url().unwrap_err();
    assert_eq!(error.to_string(), "the mirror fetch-only has no URL to push to");
}

#[test]
fn nothing_is_no_mirrors() {
    for text in ["", "\n", "# comment\n", "---\n", "mirrors:\n", "mirrors: {}\n", "mirrors: ~\n", "{}"] {
        assert!(parse(text).is_empty(), "{text:?}");
    }
    assert_eq!(names("mirrors::\n  a: oci://h/a\n"), ["a"]);
}

#[test]
fn anchors_aliases_and_merge_keys_are_followed() {
    let mirrors = parse(
        "mirrors:\n  a: &a\n    url: https://h/a\n    signed: false\n  b:\n    <<: *a\n    binary: false\n\
         \x20 c: *a\n  d: {<<: [*a, {source: false}], url: https://h/d}\n",
    );
    let b = mirrors.get("b").unwrap();
    assert_eq!((b.fetch_url().unwrap(), b.signed, b.binary), ("https://h/a", false, false));
    assert_eq!(mirrors.get("c").unwrap().fetch_url().unwrap(), "https://h/a");
    let d = mirrors.get("d").unwrap();
    assert_eq!((d.fetch_url().unwrap(), d.signed, d.source), ("https://h/d", false, false));
}

#[test]
fn errors_name_file_line_and_column() {
    for (text, expected) in [
        ("mirrors:\n  a: [x\n", "some/mirrors.yaml:3:1: "),
        ("mirrors:\n\ta: x\n", "some/mirrors.yaml:2:2: tabs"),
        ("mirrors:\n  a: x\n  a: y\n", "some/mirrors.yaml:3:3: "),
        ("mirrors:\n  a: x\n b: y\n", "some/mirrors.yaml:3:"),
        ("mirrors: [a]\n", "some/mirrors.yaml:1:10: `mirrors` must be a mapping"),
        ("mirrors: text\n", "some/mirrors.yaml:1:10: `mirrors` must be a mapping"),
        ("- a\n", "some/mirrors.yaml:1:1: this is not a mapping"),
        ("mirrors:\n  a:\n    binary: true\n", "some/mirrors.yaml:3:5: `a` needs one of: url, fetch, push"),
        ("mirrors:\n  a: 1\n", "some/mirrors.yaml:2:6: `a` must be text, or a mapping"),
        ("mirrors:\n  a: {url: x, signed: maybe}\n", ":2:23: `signed` must be true or false"),
        ("mirrors:\n  a: {url: [x]}\n", ":2:12: `url` must be text"),
        ("mirrors:\n  a: {push: [x]}\n", ":2:13: `push` must be text, or a mapping"),
        // Where there is an alias or a block of text, the file is gone through twice.
        ("mirrors:\n  a: [*x\n", "some/mirrors.yaml:"),
        ("mirrors:\n  a: |\n   x\n  b: [\n", "some/mirrors.yaml:"),
        ("mirrors: {}\n---\nmirrors: {}\n", "some/mirrors.yaml:3:1: there is more than one YAML document"),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text:?}: {error}");
    }
}

#[test]
fn a_new_mirror_is_written_as_spack_writes_it() {
    // Each as Spack 1.2.0.dev0 wrote it for `spack mirror add`.
    let mut text = added("");
    assert_eq!(text, "mirrors:\n  new: oci://h/n\n");
    let unsigned = NewMirror { signed: Some(false), ..NewMirror::new("c", "oci://h/c") };
    text = add(path(), &text, &unsigned).unwrap();
    assert_eq!(text, "mirrors:\n  c:\n    url: oci://h/c\n    signed: false\n  new: oci://h/n\n");
    let all = NewMirror {
        binary: Some(true),
        source: Some(false),
        autopush: Some(true),
        signed: Some(true),
        ..NewMirror::new("2.0", "oci://n/n #x")
    };
    text = add(path(), &text, &all).unwrap();
    assert_eq!(
        text,
        "mirrors:\n  '2.0':\n    url: 'oci://n/n #x'\n    binary: true\n    source: false\n    autopush: true\n    \
         signed: true\n  c:\n    url: oci://h/c\n    signed: false\n  new: oci://h/n\n"
    );
    text = add(path(), &text, &NewMirror::new("a: b", "oci://h/x")).unwrap();
    assert!(text.starts_with("mirrors:\n  'a: b': oci://h/x\n  '2.0':\n"), "{text}");
}

fn with_pair(name: &str, access_pair: AccessPair) -> NewMirror {
    NewMirror { access_pair: Some(access_pair), ..NewMirror::new(name, format!("oci://h/{name}")) }
}

fn variables(id: IdSource) -> AccessPair {
    AccessPair::Variables { id, secret_variable: "PW".to_owned() }
}

#[test]
fn an_access_pair_is_written_as_spack_writes_it() {
    // As Spack 1.2.0.dev0 wrote it for `spack mirror add --oci-username[-variable] … --oci-password-variable PW`.
    let mut text = add(path(), "", &with_pair("a", variables(IdSource::Text("joe".into())))).unwrap();
    assert_eq!(
        text,
        "mirrors:\n  a:\n    url: oci://h/a\n    access_pair:\n      id: joe\n      secret_variable: PW\n"
    );
    let b = NewMirror { signed: Some(false), ..with_pair("b", variables(IdSource::Variable("U".into()))) };
    text = add(path(), &text, &b).unwrap();
    let expected = "mirrors:\n  b:\n    url: oci://h/b\n    access_pair:\n      id_variable: U\n      \
                    secret_variable: PW\n    signed: false\n  a:\n";
    assert!(text.starts_with(expected), "{text}");
    let e = NewMirror { autopush: Some(true), ..with_pair("e", variables(IdSource::Text("1: #".into()))) };
    text = add(path(), &text, &e).unwrap();
    let expected = "mirrors:\n  e:\n    url: oci://h/e\n    access_pair:\n      id: '1: #'\n      \
                    secret_variable: PW\n    autopush: true\n  b:\n";
    assert!(text.starts_with(expected), "{text}");
    // As Spack 1.0 wrote it for `--oci-username joe --oci-password '1: #'`.
    let plain = AccessPair::PlainText { id: "joe".into(), secret: PlainText::new("1: #") };
    let f = NewMirror { signed: Some(false), ..with_pair("f", plain.clone()) };
    text = add(path(), &text, &f).unwrap();
    let expected =
        "mirrors:\n  f:\n    url: oci://h/f\n    access_pair:\n    - joe\n    - '1: #'\n    signed: false\n";
    assert!(text.starts_with(expected), "{text}");
    let read = parse(&text);
    assert_eq!(read.get("f").unwrap().access_pair(Direction::Push), Some(&plain));
    assert_eq!(read.get("e").unwrap().access_pair(Direction::Fetch), e.access_pair.as_ref());
    // And within braces.
    for (new, expected) in [(&b, b.access_pair.as_ref()), (&f, Some(&plain))] {
        let text = add(path(), "mirrors: {x: oci://h/x}\n", new).unwrap();
        assert_eq!(parse(&text).get(&new.name).unwrap().access_pair(Direction::Fetch), expected, "{text}");
    }
}

#[test]
fn an_access_pair_of_a_direction_wins() {
    let mirrors = parse(
        "mirrors:\n\
         \x20 both:\n    url: oci://h/n\n    access_pair: [joe, top secret]\n\
         \x20   push: {access_pair: {id_variable: U, secret_variable: P}}\n    fetch: oci://h/m\n\
         \x20 push: {url: x, access_pair: {id: a, secret_variable: A}, push: {url: y}, fetch: {access_pair: null}}\n\
         \x20 empty: {url: x, access_pair: [null, null]}\n  none: oci://h/n\n",
    );
    let pair = |name: &str, direction| mirrors.get(name).unwrap().access_pair(direction).cloned();
    let plain = AccessPair::PlainText { id: "joe".into(), secret: PlainText::new("top secret") };
    assert_eq!(pair("both", Direction::Fetch), Some(plain));
    let named = AccessPair::Variables { id: IdSource::Variable("U".into()), secret_variable: "P".into() };
    assert_eq!(pair("both", Direction::Push), Some(named));
    let top = AccessPair::Variables { id: IdSource::Text("a".into()), secret_variable: "A".into() };
    assert_eq!((pair("push", Direction::Push), pair("push", Direction::Fetch)), (Some(top), None));
    for name in ["empty", "none"] {
        assert_eq!((pair(name, Direction::Fetch), pair(name, Direction::Push)), (None, None));
    }
    assert!(!format!("{mirrors:?}").contains("top secret"), "{mirrors:?}");
}

#[test]
fn a_malformed_access_pair_is_refused_where_it_is_and_not_quoted() {
    for (pair, position, expected) in [
        (
            "[hush]",
            "2:28",
            "`access_pair` of the mirror a must be a mapping with id or id_variable, and secret_variable",
        ),
        ("hush", "2:28", "must be a mapping"),
        ("{id: joe}", "2:28", "`access_pair` needs `secret_variable`"),
        ("{secret_variable: P}", "2:28", "`access_pair` needs one of: id, id_variable"),
        ("{id: joe, secret: hush}", "2:28", "needs `secret_variable`"),
        ("{id: joe, id_variable: U, secret_variable: P}", "2:28", "has both id and id_variable"),
        (
            "[joe, 4711]",
            "2:34",
            "the parts of the access pair of the mirror a must be text: put it in quotes",
        ),
        ("{id: 4711, secret_variable: P}", "2:33", "`id` must be text"),
    ] {
        let error = read(&format!("mirrors:\n  a: {{url: x, access_pair: {pair}}}\n")).unwrap_err();
        let error = error.to_string();
        assert!(error.starts_with(&format!("some/mirrors.yaml:{position}: ")), "{pair}: {error}");
        assert!(error.contains(expected), "{pair}: {error}");
        assert!(!error.contains("hush") && !error.contains("4711"), "{error}");
    }
}

#[test]
fn a_variable_that_is_not_set_is_named() {
    let pair = variables(IdSource::Variable("WHO".into()));
    let known = |name: &str| (name == "WHO").then(|| "joe".to_owned());
    let error = pair.resolve("m", &origin(), known).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mirror m takes its password from the environment variable PW, which is not set (see some/mirrors.yaml:7)"
    );
    let error = pair.resolve("m", &origin(), |_| Some(String::new())).unwrap_err().to_string();
    assert!(error.contains("takes its user from the environment variable WHO"), "{error}");
    let (id, secret) = pair.resolve("m", &origin(), |name| Some(name.to_lowercase())).unwrap();
    assert_eq!((&*id, secret.expose(), format!("{secret:?}")), ("who", "pw", "PlainText(…)".to_owned()));
}

#[test]
fn an_unusable_secret_is_refused_and_not_quoted() {
    let plain = AccessPair::PlainText { id: "joe".into(), secret: PlainText::new("hu\nsh") };
    let error = add(path(), "", &with_pair("a", plain)).unwrap_err();
    assert_eq!(error.to_string(), "the password of the mirror a is empty or has control characters in it");
    let error = add(path(), "", &with_pair("a", variables(IdSource::Variable(String::new())))).unwrap_err();
    assert!(error.to_string().contains("cannot be the variable for the user"), "{error}");
}

#[test]
fn adding_keeps_everything_else() {
    for (before, after) in [
        ("# only\n# comments\n", "# only\n# comments\nmirrors:\n  new: oci://h/n\n"),
        ("# no line end", "# no line end\nmirrors:\n  new: oci://h/n\n"),
        ("---\n", "---\nmirrors:\n  new: oci://h/n\n"),
        ("mirrors:\n", "mirrors:\n  new: oci://h/n\n"),
        ("mirrors:", "mirrors:\n  new: oci://h/n"),
        ("mirrors: # c\n", "mirrors: # c\n  new: oci://h/n\n"),
        ("mirrors: {} # c\n", "mirrors: # c\n  new: oci://h/n\n"),
        ("mirrors: {a: oci://x/y}\n", "mirrors: {new: oci://h/n, a: oci://x/y}\n"),
        ("{mirrors: {a: 'x'}}", "{mirrors: {new: oci://h/n, a: 'x'}}"),
        ("mirrors::\n  a: \"x\"\n", "mirrors::\n  new: oci://h/n\n  a: \"x\"\n"),
        ("mirrors:\n  a: oci://x/y", "mirrors:\n  new: oci://h/n\n  a: oci://x/y"),
        ("mirrors:\n    a: x\n    b: 'y'\n", "mirrors:\n    new: oci://h/n\n    a: x\n    b: 'y'\n"),
        (
            "mirrors:\r\n  a: x # c\r\n  # d\r\n  b: y\r\n",
            "mirrors:\r\n  new: oci://h/n\r\n  a: x # c\r\n  # d\r\n  b: y\r\n",
        ),
        ("mirrors:\n  a: &u x\n  b: *u\n", "mirrors:\n  new: oci://h/n\n  a: &u x\n  b: *u\n"),
        ("mirrors: &m\n  a: x\n", "mirrors: &m\n  new: oci://h/n\n  a: x\n"),
        ("mirrors:\n  ? a\n  : x\n", "mirrors:\n  new: oci://h/n\n  ? a\n  : x\n"),
        ("\"mirrors\":\n  \"a\": x\n", "\"mirrors\":\n  new: oci://h/n\n  \"a\": x\n"),
        // What is said directly above an entry is about that entry, and above a blank line about the section.
        (
            "# head\nmirrors: # top\n  # section\n\n  # about a\n  # more\n  a: x # end\n# tail\n",
            "# head\nmirrors: # top\n  # section\n\n  new: oci://h/n\n  # about a\n  # more\n  a: x # end\n# tail\n",
        ),
        ("mirrors:\n# about a\n  a: x\n", "mirrors:\n  new: oci://h/n\n# about a\n  a: x\n"),
        (
            "mirrors:\n  a:\n    url: x\n    fetch: {profile: k}\n",
            "mirrors:\n  new: oci://h/n\n  a:\n    url: x\n    fetch: {profile: k}\n",
        ),
        ("---\nmirrors:\n  a: x\n...\n", "---\nmirrors:\n  new: oci://h/n\n  a: x\n...\n"),
        ("%YAML 1.2\n---\nmirrors:\n  a: x\n", "%YAML 1.2\n---\nmirrors:\n  new: oci://h/n\n  a: x\n"),
        ("mirrors:\n  é: x\n", "mirrors:\n  new: oci://h/n\n  é: x\n"),
    ] {
        assert_eq!(added(before), after, "{before:?}");
        let mut expected = names(before);
        expected.insert(0, "new".to_owned());
        assert_eq!(names(after), expected, "{before:?}");
    }
}

#[test]
fn removing_keeps_everything_else() {
    for (before, after) in [
        ("mirrors:\n  a: x\n  b: y\n", "mirrors:\n  b: y\n"),
        ("mirrors:\n  b: y\n  a: x", "mirrors:\n  b: y"),
        ("mirrors:\n  a: x\n", "mirrors: {}\n"),
        ("mirrors::\n  a: x\n", "mirrors:: {}\n"),
        ("mirrors: {a: x, b: 'y'}", "mirrors: {b: 'y'}"),
        ("mirrors: {b: y, a: x} # c\n", "mirrors: {b: y} # c\n"),
        ("mirrors:\r\n  a: x # c\r\n  b: y\r\n", "mirrors:\r\n  b: y\r\n"),
        // Comments on lines of their own are kept: they may be about more than the entry.
        ("# h\nmirrors: # t\n  # about a\n  a: x # e\n  b: y\n", "# h\nmirrors: # t\n  # about a\n  b: y\n"),
        (
            "mirrors:\n  b: {url: y, profile: k} # b\n  a:\n    url: x\n    push: z\n  c: x\n# end\n",
            "mirrors:\n  b: {url: y, profile: k} # b\n  c: x\n# end\n",
        ),
        // An alias elsewhere keeps its value.
        ("mirrors:\n  a: &u x\n  b: *u\n", "mirrors:\n  b: &u x\n"),
    ] {
        let removed = remove(path(), before, "a").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(removed, after, "{before:?}");
        assert!(parse(after).get("a").is_none());
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let text = "mirrors:\n  a: x\n  b: y\n";
    let error = add(path(), text, &NewMirror::new("a", "z")).unwrap_err();
    assert!(matches!(error, ConfigError::MirrorExists { .. }));
    assert_eq!(error.to_string(), "a mirror named a already exists in some/mirrors.yaml");
    let error = remove(path(), text, "c").unwrap_err();
    assert!(matches!(error, ConfigError::NoSuchMirror { .. }));
    assert_eq!(error.to_string(), "no mirror named c in some/mirrors.yaml; there are: a, b");
    let error = remove(path(), "", "c").unwrap_err();
    assert_eq!(error.to_string(), "no mirror named c in some/mirrors.yaml; there are none");
    for (name, url) in [("", "x"), ("x", ""), ("a\nb", "x"), ("x", "a\u{1b}b")] {
        let error = add(path(), text, &NewMirror::new(name, url)).unwrap_err();
        assert!(matches!(error, ConfigError::Unusable { .. }), "{error}");
    }
    let broken = "mirrors:\n  a: [\n";
    assert!(matches!(add(path(), broken, &NewMirror::new("b", "x")), Err(ConfigError::Syntax { .. })));
    // The entry comes from a merge: it cannot be removed without touching what it comes from.
    let merged = "mirrors:\n  <<: &m {a: x}\n  b: y\n";
    assert!(matches!(remove(path(), merged, "a"), Err(ConfigError::CannotEdit { .. })));
}

fn same(a: Vec<&Mirror>, b: Vec<&Mirror>) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_the_same(b))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_name_and_url_come_back(
        name in "[^\\p{Cc}]{1,12}",
        url in "[^\\p{Cc}]{1,30}",
        flag in any::<Option<bool>>(),
    ) {
        for text in ["", "mirrors:\n  old: x\n", "mirrors: {old: x}\n"] {
            let new = NewMirror { signed: flag, ..NewMirror::new(&*name, &*url) };
            match add(path(), text, &new) {
                Ok(edited) => {
                    let mirrors = parse(&edited);
                    let first = mirrors.iter().next().unwrap();
                    prop_assert_eq!((&*first.name, first.fetch_url().unwrap()), (&*name, &*url));
                    prop_assert_eq!(names(&remove(path(), &edited, &name).unwrap()), names(text));
                }
                Err(ConfigError::MirrorExists { .. }) => prop_assert_eq!(&name, "old"),
                Err(error) => prop_assert!(matches!(error, ConfigError::CannotEdit { .. }), "{error}"),
            }
        }
    }

    #[test]
    fn random_yaml_is_read_or_refused_and_edits_change_one_entry(parts in prop::collection::vec(select(vec![
        "mirrors:", "mirrors::", "\n", "\r\n", "  ", " ", "a: x", "b:", "url: oci://h/x", "# c", "{", "}", "[", "]",
        "&u", "*u", "<<: ", "- ", "? ", ": ", "'", "\"", "|", ">-", "---", "...", "é", "\t", "signed: false", ",", "!!str",
    ]), 0..14)) {
        for text in [parts.concat(), format!("mirrors:\n  a: x\n  {}", parts.concat())] {
            let before = read(&text);
            let Ok(edited) = add(path(), &text, &NewMirror::new("new", "oci://h/n")) else { continue };
            let before = before.expect("an edit needs a valid text");
            let after = parse(&edited);
            prop_assert_eq!(after.get("new").unwrap().fetch_url().unwrap(), "oci://h/n");
            let others: Vec<_> = after.iter().filter(|mirror| mirror.name != "new").collect();
            prop_assert!(same(others, before.iter().collect()));
            if let Ok(back) = remove(path(), &edited, "new") {
                prop_assert!(same(parse(&back).iter().collect(), before.iter().collect()));
            }
        }
    }
}
