use crate::reader;
use std::path::Path;

use super::*;

fn checked(section: &str, text: &str) -> Result<(), String> {
    let path = Path::new("/s/file.yaml");
    let value = reader::file(path, "user", text).unwrap().unwrap();
    FileShape::Section(section).check(&value).map_err(|error| error.to_string())
}

#[test]
fn what_does_not_fit_is_an_error_at_its_line_and_column() {
    for (section, text, expected) in [
        ("config", "config: 3", "1:9: `config` must be a mapping"),
        ("config", "config:", "1:7: `config` must be a mapping"),
        ("config", "config:\n  locks: yes\n", "2:10: `locks` must be true or false"),
        ("config", "config:\n  build_jobs: 0\n", "2:15: `build_jobs` must be a whole number, 1 or more"),
        ("config", "mirrors: {}\n", "1:1: there is no section `mirrors` in this file"),
        ("config", "[a]", "1:1: this is not a mapping with a section `config`"),
        (
            "config",
            "config:\n  install_tree:\n    padded_length: long\n",
            "3:20: `padded_length` must be a whole number, 0 or more, or true or false",
        ),
        ("mirrors", "mirrors:\n  a:\n    url: 3\n", "3:10: `url` must be text"),
        ("mirrors", "mirrors:\n  a:\n    source: true\n", "3:5: `a` needs one of: url, fetch, push"),
        (
            "packages",
            "packages:\n  all:\n    permissions:\n      read: everybody\n",
            "4:13: `read` must be one of: user, group, world",
        ),
        (
            "packages",
            "packages:\n  zlib:\n    externals:\n    - prefix: /usr\n",
            "4:7: `an item of `externals`` needs `spec`",
        ),
        (
            "concretizer",
            "concretizer:\n  unify: sometimes\n",
            "2:10: `unify` must be true or false, or one of: when_possible",
        ),
        (
            "concretizer",
            "concretizer:\n  unifi: true\n",
            "2:3: `unifi` is not known in `concretizer`; there are: force,",
        ),
        ("modules", "modules:\n  prefix_inspections:\n    bin: PATH\n", "3:10: `bin` must be a list"),
        ("upstreams", "upstreams:\n  a: /x\n", "2:6: `a` must be a mapping"),
        ("include", "include:\n- when: x\n", "2:3:"),
    ] {
        let error = checked(section, text).expect_err(text);
        assert!(error.starts_with(&format!("/s/file.yaml:{expected}")), "{text}\n{error}\n{expected}");
    }
}

#[test]
fn what_fits_passes() {
    for (section, text) in [
        ("config", "config:\n  future_setting: 3\n  package_lock_timeout: null\n  shared_linking: rpath\n"),
        ("config", "config:\n  install_tree:\n    padded_length: true\n"),
        ("mirrors", "mirrors:\n  a: x\n  b:\n    fetch: x\n    push:\n      url: y\n      profile:\n"),
        ("packages", "packages:\n  zlib:\n    version: [1.2, '1.3']\n    require: '@1.2:'\n"),
        (
            "modules",
            "modules:\n  prefix_inspections:\n    bin: [PATH]\n  mine:\n    tcl:\n      zlib:\n        autoload: all\n",
        ),
        ("repos", "repos: anything\n"),
    ] {
        checked(section, text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    }
}
