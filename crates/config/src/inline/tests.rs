use super::*;

fn yaml(settings: &[&str]) -> String {
    let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
    let value = sections(&settings).unwrap_or_else(|error| panic!("{error}"));
    value.mapping().unwrap().iter().map(|(key, value)| crate::dump::yaml(&key.name, value)).collect()
}

#[test]
fn settings_are_merged_one_after_the_other() {
    assert_eq!(yaml(&["config:locks:false"]), "config:\n  locks: false\n");
    assert_eq!(
        yaml(&["config:locks:false", "config:build_jobs:3", "config:build_jobs:4"]),
        "config:\n  locks: false\n  build_jobs: 4\n"
    );
    assert_eq!(yaml(&["mirrors:a:'oci://h/n'"]), "mirrors:\n  a: oci://h/n\n");
    assert_eq!(
        yaml(&["config:template_dirs:/a", "config:template_dirs:/b"]),
        "config:\n  template_dirs:\n  - /b\n  - /a\n"
    );
    assert_eq!(yaml(&["config:template_dirs:[\"a\", b]"]), "config:\n  template_dirs:\n  - a\n  - b\n");
    assert_eq!(yaml(&["config:install_tree::root:/x"]), "config:\n  'install_tree:':\n    root: /x\n");
    assert_eq!(yaml(&["config:misc_cache+:/x"]), "config:\n  misc_cache: /x\n");
    assert_eq!(yaml(&["config:misc_cache:'12'"]), "config:\n  misc_cache: '12'\n");
}

#[test]
fn what_means_nothing_is_an_error() {
    for (setting, part) in [
        ("config", "not SECTION:KEY:VALUE"),
        ("", "not SECTION:KEY:VALUE"),
        ("nothing:a:b", "no section `nothing`"),
        ("config:locks:maybe", "`locks` must be true or false"),
        ("mirrors:a:oci://h/n", "needs quotes"),
        ("config::install_tree::root:/x", "another"),
        ("config:install_tree:{a", "`config:install_tree:{a`"),
        // A colon ends a key, in braces too: as with Spack.
        ("packages:all:{target: [x86_64]}", "misplaced bracket"),
    ] {
        let error = sections(&[setting.to_owned()]).unwrap_err().to_string();
        assert!(error.contains(part), "{setting}: {error}");
    }
}
