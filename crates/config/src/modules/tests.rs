use super::*;

fn merged(text: &str) -> Result<PrefixInspections, ConfigError> {
    PrefixInspections::default().with_text(Path::new("modules.yaml"), text)
}

fn lines(inspections: &PrefixInspections) -> Vec<String> {
    inspections.iter().map(|(path, names)| format!("{path} {}", names.join(","))).collect()
}

#[test]
fn what_a_scope_says_comes_first() {
    let text = "modules:\n  prefix_inspections:\n    lib: [LD_LIBRARY_PATH, LIBRARY_PATH]\n    ./share/man: [MY_MAN]\n    \
                ./bin-: [ODD]\n    ./man:: [OTHER]\n  default:\n    enable: [tcl]\n";
    let expected = [
        "lib LD_LIBRARY_PATH,LIBRARY_PATH",
        "./share/man MY_MAN,MANPATH",
        "./bin- ODD",
        "./man OTHER",
        "./bin PATH",
        "./share/aclocal ACLOCAL_PATH",
        "./lib/pkgconfig PKG_CONFIG_PATH",
        "./lib64/pkgconfig PKG_CONFIG_PATH",
        "./share/pkgconfig PKG_CONFIG_PATH",
        "./ CMAKE_PREFIX_PATH",
    ];
    assert_eq!(lines(&merged(text).unwrap()), expected);
}

#[test]
fn two_colons_replace_what_is_below() {
    for text in [
        "modules:\n  prefix_inspections::\n    bin: [PATH]\n",
        "modules::\n  prefix_inspections:\n    bin: [PATH]\n",
    ] {
        assert_eq!(lines(&merged(text).unwrap()), ["bin PATH"], "{text}");
    }
    assert_eq!(merged("modules:\n  prefix_inspections:: {}\n").unwrap(), PrefixInspections(Vec::new()));
}

#[test]
fn what_says_nothing_of_inspections_changes_nothing() {
    for text in [
        "",
        "# nothing\n",
        "modules:\n",
        "modules: {}\n",
        "modules:\n  default:\n    enable: []\n",
        "modules:: {}\n",
    ] {
        assert_eq!(merged(text).unwrap(), PrefixInspections::default(), "{text}");
    }
    let nowhere = PrefixInspections::default().with_file(Path::new("/nowhere/modules.yaml")).unwrap();
    assert_eq!(nowhere, PrefixInspections::default());
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (text, place, expected) in [
        ("modules: 7\n", "1:10", "not a mapping"),
        ("- a\n", "1:1", "not a mapping"),
        ("modules:\n  prefix_inspections: [bin]\n", "2:23", "directories to variables"),
        ("modules:\n  prefix_inspections:\n    bin: PATH\n", "3:10", "needs a list"),
        ("modules:\n  prefix_inspections:\n    bin:\n", "3:", "needs a list"),
        ("modules:\n  prefix_inspections:\n    bin: [1]\n", "3:11", "must be text"),
        ("modules:\n  prefix_inspections:\n    bin: ['A=B']\n", "3:11", "cannot be the name"),
        ("modules:\n  prefix_inspections:\n    1: [A]\n", "3:5", "must be text"),
        ("modules:\n  prefix_inspections:\n    a: [A]\n    a:: [B]\n", "4:5", "listed twice"),
        ("modules: [\n", "", ""),
    ] {
        let error = merged(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("modules.yaml:{place}")) && error.contains(expected), "{error}");
    }
}
