//! Where an error points, and what it says. The whole text of an error is what a person sees.

use strata_spec::AbstractSpec;

fn report(text: &str) -> String {
    text.parse::<AbstractSpec>().unwrap_err().report()
}

#[test]
fn an_error_points_at_the_character_and_says_what_was_expected() {
    for (text, mark) in [
        ("zlib@", "    ^ expected a version after `@`, but the text ends"),
        ("zlib@@1", "    ^ expected a version after `@`, not `@`"),
        ("zlib@1.2:1.3:", "            ^ expected the end of the version, not `:`"),
        ("zlib@=1.2=3", "         ^ expected the end of the version, not `=`"),
        ("zlib@1.2.", "        ^ expected a number or a word after `.` in the version, but the text ends"),
        ("zlib@1.2,", "        ^ expected a version or a range after `,`, but the text ends"),
        ("zlib@1.4:1.2", "    ^^^^^^^^ `1.4:1.2, which has no version in it,` is not a version"),
        ("zlib+", "    ^ expected the name of a variant after `+`, but the text ends"),
        ("zlib + ^curl", "     ^ expected the name of a variant after `+`, not `^`"),
        ("zlib/", "    ^ expected the beginning of a hash after `/`, but the text ends"),
        ("zlib %", "      ^ expected the name of a direct dependency after `%`, but the text ends"),
        ("zlib target=", "           ^ expected a value after `=`, but the text ends"),
        ("zlib ==", "     ^ expected a name directly before `=` and a value directly after it"),
        (
            "zlib shared = true",
            "            ^ expected a name directly before `=` and a value directly after it",
        ),
        ("zlib cflags='-O2 -g", "            ^^^^^^^ this quote is never closed"),
        ("zlib x:=\"a", "        ^^ this quote is never closed"),
        ("zlib@1.2 @1.3", "         ^^^^ a second version; a list is written @1.2,1.4"),
        ("zlib +shared ~shared", "             ^^^^^^^ variant `shared` is given twice"),
        ("zlib os=a os=b", "          ^^^^ a second os"),
        ("zlib ^b@1 ^b@2", "          ^^^^ @1 contradicts @2"),
        ("zlib %[deptypes=all] gcc", "       ^^^^^^^^^^^^ expected build, link, run or test, not `all`"),
        (
            "zlib %[virtuals=s,=c] gcc",
            "       ^^^^^^^^^^^^^ expected names of virtual packages, a comma between two",
        ),
        ("zlib %[foo=bar] gcc", "       ^^^^^^^ expected `deptypes=`, `virtuals=`, `when=` or `]`"),
        ("zlib %[when=+x gcc", "               ^^^ expected `deptypes=`, `virtuals=`, `when=` or `]`"),
        (
            "zlib %[when=+x",
            "              ^ expected `deptypes=`, `virtuals=`, `when=` or `]`, but the text ends",
        ),
        (
            "zlib %[when='@'] gcc",
            "       ^^^^^^^^ in the condition `@`: expected a version after `@`, but the text ends",
        ),
        ("zlib ]", "     ^ this `]` has no `[` before it"),
        ("zlib curl", "     ^^^^ expected one spec, but here begins another"),
        ("zlib %c,=gcc", "       ^ expected `=` and a package after the list of virtual packages"),
        ("./zlib.json", "^^^^^^^^^^^ `./zlib.json` is a file; expected a spec"),
        ("zlib os=fe", "     ^^^^^ `fe` stands for this machine's os; expected its name"),
        ("zlib +target", "     ^^^^^^^ `target` takes a value: target=VALUE"),
    ] {
        assert_eq!(report(text), format!("  {text}\n  {mark}"));
    }
}

#[test]
fn common_slips_get_a_hint() {
    for (text, hint) in [
        ("zlib shared = true", "without blanks"),
        ("zlib@1.2:1.3:", "one `:`"),
        ("zlib 'cflags=-O2 -g'", "cflags='-O2 -g'"),
        ("zlib@1.2=3", "@=1.2"),
        ("zlib cflags=\"-O2", "write \" at the end"),
        ("zlib %c,=gcc", "%c,cxx=gcc"),
    ] {
        let hint_given = text.parse::<AbstractSpec>().unwrap_err().hint.unwrap_or_default();
        assert!(hint_given.contains(hint), "{text}: {hint_given}");
    }
    let meant = |text: &str| text.parse::<AbstractSpec>().unwrap().perhaps_meant();
    assert_eq!(meant("zlib=1.2").as_deref(), Some("zlib@1.2"));
    assert_eq!(meant("build_type=Release"), None);
    assert_eq!(meant("zlib abi=6"), None);
}

#[test]
fn long_texts_and_odd_characters_are_shown_around_the_place() {
    let text = format!("{}!{}", "a+b ".repeat(50), "c".repeat(200));
    let report = AbstractSpec::parse_all(&text).unwrap_err().report();
    let lines: Vec<Vec<char>> = report.lines().map(|line| line.chars().collect()).collect();
    let at = lines[1].iter().position(|c| *c == '^').unwrap();
    assert_eq!((lines[0][at], lines[0][2], *lines[0].last().unwrap()), ('!', '…', '…'), "{report}");
    assert!(lines[0].len() < 130);
    assert_eq!(super::errors::report("a\té\nb").lines().next(), Some("  a é b"));
}
