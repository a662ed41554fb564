//! What is said twice: what becomes one, and what contradicts. The expectations are what real Spack does.

use strata_spec::AbstractSpec;

#[test]
fn what_is_said_of_one_dependency_in_two_places_becomes_one() {
    for (text, canonical) in [
        ("a ^b ^b@1.2", "a ^b@1.2"),
        ("a %gcc %gcc@12", "a %gcc@12"),
        ("a ^b@1: ^b@:3", "a ^b@1:3"),
        ("a ^b@01:02 ^b", "a ^b@01:2"),
        ("a ^b@:1.2-rc1_ ^b", "a ^b@:1.2-rc1"),
        ("a ^b@:_ ^b@:_", "a ^b"),
        ("a ^c@git.x=1.2 ^c@1.2", "a ^c@git.x=1.2"),
        ("a ^b x=* ^b +x", "a ^b+x"),
        ("a ^b x=b ^b x=a", "a ^b x=a,b"),
        ("a ^b x=a ^b x:=a,b", "a ^b x:=a,b"),
        ("a ^b ++x ^b +x", "a ^b+x"),
        ("a ^b cflags==\"-a -b\" ^b cflags=-a", "a ^b cflags=-a cflags==-b"),
        ("a ^b target=x86_64: ^b target=:zen2", "a ^b target=x86_64:zen2"),
        ("a ^b target=x86_64: ^b target=haswell", "a ^b target=haswell"),
        ("a^b/x ^b/xy", "a ^b/xy"),
        ("a %c=gcc@12 %cxx=gcc", "a %c,cxx=gcc@12"),
        ("a ^[virtuals=c,c]b ^[virtuals=a]b", "a ^a,c=b"),
        ("a %zlib ^zlib", "a %zlib"),
        ("a ^zlib %zlib", "a ^zlib %zlib"),
        ("a ^zlib ^zlib@1.2 %gcc", "a ^zlib@1.2"),
        ("a %[deptypes=build] b %[deptypes=link] b", "a %[deptypes=link] b %[deptypes=build] b"),
        ("a %[when=+x] b@1 %[when=+y] b@2", "a %[when='+x'] b@1 %[when='+y'] b@2"),
        ("a cflags=a cflags=\"-b c\" cflags==-d", "a cflags='a -b c' cflags==-d"),
        ("b.a namespace=x", "a"),
        ("^ ^zlib", "^* ^zlib"),
    ] {
        assert_eq!(
            text.parse::<AbstractSpec>().map(|spec| spec.to_string()).as_deref(),
            Ok(canonical),
            "{text}"
        );
    }
}

#[test]
fn contradictions_are_errors() {
    for text in [
        "a@1 @2",
        "a +x ~x",
        "a +x +x",
        "a x=1 x=1",
        "a os=b os=b",
        "a target=b target=c",
        "a platform=linux arch=x86_64",
        "a arch=a-b-c os=b",
        "a arch==a-b-c",
        "a patches==abc",
        "a ++target",
        "a ^b@1.2.13 ^b@1.3",
        "a ^b@=1 ^b@=2",
        "a ^c@git.x=1.2 ^c@=1.2",
        "a ^b/x ^b/y",
        "a ^b+x ^b~x",
        "a ^b x:=a ^b x=b",
        "a ^b+x ^b x=a",
        "a ^b os=x ^b os=y",
        "a ^b target=x86_64 ^b target=*",
        "a ^b target=aarch64: ^b target=x86_64:",
        "a ^x.b ^y.b",
        "a %[deptypes=build] b %[deptypes=build,link] b",
        "a ^[deptypes=build]@1 ^[deptypes=build]@2",
        "a@1.2,git.main",
        "a@1.4:1.2",
    ] {
        let error = text.parse::<AbstractSpec>().unwrap_err();
        assert!(!error.reason.is_empty() && !error.span.is_empty(), "{error}");
    }
}

/// `python ^zlib` may be one word or two; the shell takes the quotes around the flags.
#[test]
fn the_words_of_a_command_line_belong_together() {
    for (words, canonical) in [
        (vec!["python", "^zlib@1.2"], vec!["python ^zlib@1.2"]),
        (vec!["zlib", "curl +ssl", "%gcc"], vec!["zlib", "curl+ssl %gcc"]),
        (vec!["zlib", "cflags=-O2 -g", "+pic"], vec!["zlib cflags='-O2 -g' +pic"]),
        (vec!["zlib", "cflags==-DX='a b'"], vec!["zlib cflags==\"-DX='a b'\""]),
        (vec!["zlib", "x:=a b,c"], vec!["zlib x:='a b,c'"]),
        (vec!["zlib", "x=*", "y="], vec!["zlib x='*' y=''"]),
        (vec!["zlib", "%c=gcc@12"], vec!["zlib %c=gcc@12"]),
        (vec![], vec![]),
        (vec!["", " "], vec![]),
    ] {
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let specs = AbstractSpec::parse_arguments(&words).unwrap();
        assert_eq!(specs.iter().map(ToString::to_string).collect::<Vec<_>>(), canonical, "{words:?}");
    }
}
