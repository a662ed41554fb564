//! Several specs at once.

use super::caches::{Asked, index, mirror, package};
use strata_ops::Error;
use strata_ops::resolve::{Preference, Unify};

/// `left` and `right` in two versions each; the newest ones need different packages of `shared`.
fn cache(dir: &tempfile::TempDir) -> [strata_ops::resolve::Mirror; 1] {
    let (one, two) = (package("shared", "1.0", ""), package("shared", "2.0", ""));
    let left = [package("left", "1.0", "").needs(&one, &[]), package("left", "2.0", "").needs(&two, &[])];
    let right = [package("right", "1.0", "").needs(&two, &[]), package("right", "2.0", "").needs(&one, &[])];
    let third = package("third", "1.0", "").needs(&one, &[]);
    let all = [&one, &two, &left[0], &left[1], &right[0], &right[1], &third];
    [mirror(dir, "cache", &index(&all))]
}

#[test]
fn the_first_spec_has_the_first_choice() {
    let dir = tempfile::tempdir().unwrap();
    let mirrors = cache(&dir);
    let asked = Asked::of(&mirrors);
    assert_eq!(asked.versions(&["left", "right"]), ["left@2.0", "right@1.0"]);
    assert_eq!(asked.versions(&["right", "left"]), ["right@2.0", "left@1.0"]);
    assert_eq!(asked.versions(&["left", "right", "third"]), ["left@1.0", "right@2.0", "third@1.0"]);
    let chosen = asked.resolve(&["left", "right"]).unwrap().chosen;
    assert_eq!(chosen[1].because, Some(Preference::Together), "it was not the best by itself");
    assert_eq!(chosen[0].because, Some(Preference::Version));
    let alone = Asked { unify: Unify::False, ..Asked::of(&mirrors) };
    assert_eq!(alone.versions(&["left", "right"]), ["left@2.0", "right@2.0"]);
}

#[test]
fn what_does_not_go_together_is_explained_or_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let mirrors = cache(&dir);
    let specs = ["left@2", "third", "right@2"];
    let Err(error @ Error::Conflict(_)) = Asked::of(&mirrors).resolve(&specs) else { panic!() };
    let expected = "no binaries of `left@2` and `third` go together\n  \
                    the first needs shared@2.0/cashare, the second shared@1.0/bashare";
    assert_eq!(error.to_string(), expected);
    let apart = Asked { unify: Unify::WhenPossible, ..Asked::of(&mirrors) };
    assert_eq!(apart.versions(&specs), ["left@2.0", "third@1.0", "right@2.0"]);
}

#[test]
fn run_time_libraries_and_externals_may_differ() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = [package("gcc-runtime", "12.2.0", ""), package("gcc-runtime", "13.1.0", "")];
    let external = [package("curses", "1", "").external(), package("curses", "2", "").external()];
    let one = package("one", "1.0", "").needs(&runtime[0], &[]).needs(&external[0], &[]);
    let two = package("two", "1.0", "").needs(&runtime[1], &[]).needs(&external[1], &[]);
    let all = [&runtime[0], &runtime[1], &external[0], &external[1], &one, &two];
    let mirrors = [mirror(&dir, "cache", &index(&all))];
    assert_eq!(Asked::of(&mirrors).versions(&["one", "two"]), ["one@1.0", "two@1.0"]);
}
