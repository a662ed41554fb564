//! What is read, written and read again is the same spec.

use super::generator;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use strata_spec::AbstractSpec;

/// 10,000 specs of the whole language.
#[test]
fn what_is_written_is_read_as_the_same_spec() {
    let config = ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() };
    let read =
        |text: &str| text.parse::<AbstractSpec>().map_err(|error| TestCaseError::fail(error.to_string()));
    let property = |text: String| {
        let spec = read(&text)?;
        let canonical = spec.to_string();
        let again = read(&canonical)?;
        prop_assert_eq!(&again, &spec, "{} was written as {}", text, canonical);
        prop_assert_eq!(again.to_string(), canonical);
        Ok(())
    };
    TestRunner::new(config).run(&generator::spec(), property).unwrap();
}

/// Spack's canonical form has no namespace beside a name; of a spec without a name it has.
#[test]
fn a_namespace_is_written_where_there_is_no_name() {
    let named: AbstractSpec = "builtin.zlib@1.3".parse().unwrap();
    assert_eq!((named.namespace.as_deref(), named.to_string().as_str()), (Some("builtin"), "zlib@1.3"));
    assert_eq!(
        "@1.3 namespace=builtin".parse::<AbstractSpec>().unwrap().to_string(),
        "@1.3 namespace=builtin"
    );
}

/// Where Spack writes what it reads as something else, we do not.
#[test]
fn what_spack_cannot_read_back_is_written_differently() {
    for (text, written) in [
        ("zlib x=1 /abc", "zlib x=1 /abc"),
        ("zlib@git.main /abc", "zlib@git.main /abc"),
        ("zlib x='a[b]'", "zlib x='a[b]'"),
        ("zlib x=\"it's\\x\"", "zlib x=\"it's\\x\""),
        ("zlib x=a\\ y=b", "zlib x=a\\ y=b"),
        ("zlib x=\\,=\\", "zlib x=\\,=\\"),
        ("zlib ^[virtuals=mpi] @4", "zlib ^[virtuals=mpi] *@4"),
        ("zlib@:1.2=x", "zlib@:1 2=x"),
        ("zlib target='a b'", "zlib target='a b'"),
        ("a %[when=\"foo='a b'\"] b", "a %[when=\"foo='a b'\"] b"),
        ("a patches:=0123456789", "a patches:=0123456789"),
    ] {
        let spec: AbstractSpec = text.parse().unwrap();
        assert_eq!(spec.to_string(), written);
        assert_eq!(written.parse::<AbstractSpec>().unwrap(), spec);
    }
}
