use std::io::{Read, Seek};

use proptest::prelude::*;

use super::*;
use crate::relocate::BinaryError;
use crate::relocate::binary::relocate_binary;

/// What relocation in windows makes of `bytes`, and whether it changed and lengthened them.
fn in_windows(map: &PrefixMap, bytes: &[u8], window: usize) -> Result<(Vec<u8>, FileEdit), BinaryError> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    let edit = match relocate_large_binary(map, &file, window, &mut Vec::new()) {
        Ok(edit) => edit,
        Err(FileError::Binary(error)) => return Err(error),
        Err(other) => panic!("{other:?}"),
    };
    let mut content = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut content).unwrap();
    Ok((content, edit))
}

/// Asserts that windows of all sizes given make the same of `bytes` as one look at the whole.
pub(in crate::relocate) fn assert_same_in_windows(map: &PrefixMap, bytes: &[u8], windows: &[usize]) {
    let mut whole = bytes.to_vec();
    let expected = relocate_binary(map, &mut whole)
        .map(|edit| (whole, FileEdit { changed: !edit.changed.is_empty(), grown: edit.grown }));
    for &window in windows {
        assert_eq!(in_windows(map, bytes, window), expected, "window of {window} bytes");
    }
}

#[test]
fn a_string_longer_than_the_window_is_right() {
    let map = PrefixMap::new([("/old/store/of/the/builder", "/new")]).unwrap();
    let long = format!("/old/store/of/the/builder/{}", "x".repeat(500));
    let bytes = format!("\0{long}\0{long}\0/old/store/of/the/builder\0...").into_bytes();
    assert_same_in_windows(&map, &bytes, &[1, 64, 100, 10_000]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn strings_become_what_they_become_in_memory(
        pairs in prop::collection::vec(("/(a|aa|b/|/){0,9}", "/[ab]{0,8}"), 1..4),
        bytes in "([ab/]|/a|/aaaa|\0){0,200}",
        window in 1usize..64,
    ) {
        let map = PrefixMap::new(pairs).unwrap();
        assert_same_in_windows(&map, bytes.as_bytes(), &[window]);
    }
}
