use super::*;
use crate::MachineFacts;

fn machine() -> Surroundings {
    let variables = [("A", "/a"), ("NAME", "n"), ("EMPTY", ""), ("SPACK", "no")];
    Surroundings {
        spack_root: Some("/spack".into()),
        home: "/home/me".into(),
        working_directory: "/work".into(),
        temporary: "/tmp".into(),
        user: "me".to_owned(),
        platform: "linux".to_owned(),
        machine: MachineFacts {
            os: Some("debian12".to_owned()),
            target: "zen2".to_owned(),
            target_family: "x86_64".to_owned(),
        }
        .into(),
        date: "2026-01-02".to_owned(),
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        ..Surroundings::default()
    }
}

#[test]
fn variables_and_homes_have_their_values() {
    for (text, expected) in [
        ("$spack/opt", "/spack/opt"),
        ("${SPACK}/opt", "/spack/opt"),
        ("$Spack/opt/../x/./y//z", "/spack/x/y/z"),
        ("$tempdir/$user/stage", "/tmp/me/stage"),
        ("$user_cache_path/x", "/home/me/.spack/x"),
        ("/x/$arch", "/x/linux-debian12-zen2"),
        (
            "/x/$architecture/$platform/$os/$operating_system",
            "/x/linux-debian12-zen2/linux/debian12/debian12",
        ),
        ("/x/$target/$target_family/$date", "/x/zen2/x86_64/2026-01-02"),
        ("$A/b", "/a/b"),
        ("/x/${NAME}y", "/x/ny"),
        ("/x/$NAMEy", "/x/$NAMEy"),
        ("/x/$EMPTY/y", "/x/y"),
        ("/x/$a", "/x/$a"),
        ("/x/$", "/x/$"),
        ("/x/${", "/x/${"),
        ("/x/${NAME", "/x/${NAME"),
        ("/x/$$NAME", "/x/$n"),
        ("$env/x", "/env/x"),
        ("~", "/home/me"),
        ("~/x", "/home/me/x"),
        ("/x/~", "/x/~"),
        ("~nobody-of-that-name/x", "/work/~nobody-of-that-name/x"),
        ("~root/x", "/root/x"),
        ("x/../../y", "/y"),
        ("file:///x/y", "/x/y"),
        ("https://h/$user", "https://h/me"),
    ] {
        assert_eq!(machine().path(text, None, Some(Path::new("/env"))), Path::new(expected), "{text}");
    }
    assert_eq!(machine().path("x", Some(Path::new("/file")), None), Path::new("/file/x"));
    assert_eq!(machine().path("$env/x", None, None), Path::new("/work/$env/x"));
}

#[test]
fn what_is_about_a_spack_needs_one() {
    let without = Surroundings { spack_root: None, ..machine() };
    assert!(without.unknown_variable("$spack/opt").unwrap().contains("SPACK_ROOT"));
    assert!(without.unknown_variable("${spack_instance_id}").is_some());
    assert!(without.unknown_variable("$spackle/$user").is_none());
    assert!(machine().unknown_variable("$spack/opt").is_none());
}
