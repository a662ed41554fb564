//! Format strings, on a real index.

use strata_spec::Database;
use strata_spec::format::Template;
use strata_testkit::golden;

#[test]
fn attributes_are_written_as_spack_does() {
    const TEST: &str = "attributes_are_written_as_spack_does";
    let Some(path) = golden::file("push/index.json") else {
        return golden::skipped(TEST, "no push/index.json in the golden data");
    };
    let database = Database::parse(&golden::text(&path)).unwrap();
    let Some(curl) = database.records.values().map(|r| &r.node).find(|node| node.name == "curl") else {
        return golden::skipped(TEST, "push/index.json has no curl");
    };
    // What Spack 1.2 prints of this curl.
    for (template, expected) in [
        ("{name}{@version}{/hash:7}", "curl@7.88.1/r5zcxbk"),
        ("{fullname}{ namespace=namespace}", "builtin.curl namespace=builtin"),
        ("{compilers}{%compiler.name}{@compiler.version}", "%c,cxx=gcc@12.2.0%gcc@12.2.0"),
        (
            "{variants.libs} {variants.libs.value} {variants.tls.name}",
            "libs:=shared,static ('shared', 'static') tls",
        ),
        ("{variants.ssl}", "ERROR"),
        ("{variants.gssapi}{variants.gssapi.value}", "~gssapiFalse"),
        ("{arch=architecture}", "arch=linux-debian12-x86_64_v2"),
        ("{architecture.target.family}-{version.up_to_2}-{version.joined}", "x86_64-7.88-7881"),
        ("{^zlib.name}{@^zlib.version}{^zlib-api.version}", "zlib@1.2.131.2.13"),
        ("\\{{name}\\}\\\\ \\n", "{curl}\\ n"),
        ("  {external_path}{ cflags=abstract_hash} ", ""),
        ("{external}{NAME}", "Falsecurl"),
        ("{hash.x}", "ERROR"),
        ("{^nothing.name}", "ERROR"),
        ("{@name}", "ERROR"),
        ("{ /hash}", "ERROR"),
        ("{name.}", "ERROR"),
        ("{_private}", "ERROR"),
        ("${NAME}", "ERROR"),
        ("{name", "ERROR"),
        ("name}", "ERROR"),
    ] {
        let found = template.parse::<Template>().and_then(|t| t.render(curl, &database));
        assert_eq!(found.unwrap_or_else(|_| "ERROR".to_owned()), expected, "{template}");
    }
}
