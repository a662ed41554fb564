//! Any text is a spec or an error, never a panic; a spec in its canonical form is read as a spec of that form. Nor does a format
//! string panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_spec::AbstractSpec;
use strata_spec::format::Template;

fuzz_target!(|text: &str| {
    let _ = text.parse::<Template>();
    let _ = AbstractSpec::parse_arguments(&[text.to_owned()]);
    match text.parse::<AbstractSpec>() {
        Ok(spec) => {
            let canonical = spec.to_string();
            // In the language, as in Spack's, no value between quotes can end with a backslash.
            if canonical.contains("\\'") || canonical.contains("\\\"") {
                return;
            }
            let again: AbstractSpec = canonical.parse().unwrap_or_else(|error| {
                panic!("`{text}` is written as `{canonical}`, which is no spec: {error}")
            });
            // The namespace of a named spec is not written, as in Spack; nothing else may be lost on the way.
            assert_eq!(again.to_string(), canonical, "`{text}`");
        }
        Err(error) => {
            let _ = error.to_string();
            assert!(text.get(error.span.clone()).is_some(), "{:?} is no place in `{text}`", error.span);
        }
    }
});
