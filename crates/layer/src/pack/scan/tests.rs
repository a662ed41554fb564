use proptest::prelude::*;

use super::*;

const PREFIX: &[u8] = b"/opt/x";

fn scan(pieces: &[&[u8]]) -> Relocation {
    let search = PrefixSearch::new(&[PREFIX.to_vec()]).unwrap();
    let mut scan = FileScan::new(&search);
    for piece in pieces {
        scan.feed(piece);
    }
    scan.finish()
}

/// `file_type` and `file_matches` over a whole file; the prefix's own rules are tested elsewhere.
fn naive(file: &[u8]) -> Relocation {
    if file.len() < 8 {
        return Relocation::None;
    }
    if is_binary(file[..8].try_into().unwrap()) {
        return Relocation::Binary;
    }
    let text = std::str::from_utf8(file).is_ok()
        || !file.iter().any(|byte| *byte == 0 || (0x7f..=0x9f).contains(byte));
    let mut state = SearchState::default();
    let matches = PrefixSearch::new(&[PREFIX.to_vec()]).unwrap().feed(&mut state, file);
    if text && matches { Relocation::Text } else { Relocation::None }
}

#[test]
fn magic_numbers() {
    let tail = b"\0\0\0\x02 /opt/x";
    let with = |magic: &[u8]| scan(&[magic, tail]);
    for magic in
        [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xfe\xed\xfa\xcf", b"\xce\xfa\xed\xfe", b"\xfe\xed\xfa\xce"]
    {
        assert_eq!(with(magic), Relocation::Binary, "{magic:?}");
    }
    // Two architectures in a big endian universal binary; 33,554,432 in a little endian one.
    assert_eq!(with(b"\xca\xfe\xba\xbe"), Relocation::Binary);
    assert_eq!(with(b"\xbe\xba\xfe\xca"), Relocation::None);
    assert_eq!(scan(&[b"\xbe\xba\xfe\xca\x09\0\0\0"]), Relocation::Binary);
    assert_eq!(scan(&[b"\xbe\xba\xfe\xca\x0a\0\0\0"]), Relocation::None);
    assert_eq!(scan(&[b"\xca\xfe\xba\xbe\0\0\0\x0a"]), Relocation::None);
    assert_eq!(scan(&[b"\xca\xfe\xba\xbe\0\0\0\x34 class of Java 8 /opt/x"]), Relocation::None);
    assert_eq!(scan(&[b"\x7fEL", b"F\x02", b"", b"\x01\x01"]), Relocation::None, "seven bytes");
    assert_eq!(scan(&[b"\x7fEL", b"F\x02", b"", b"\x01\x01\0"]), Relocation::Binary);
}

#[test]
fn texts() {
    assert_eq!(scan(&[b"/opt/x"]), Relocation::None, "under eight bytes");
    assert_eq!(scan(&[b"x=/opt/x"]), Relocation::Text);
    assert_eq!(scan(&[b"x=/opt/y"]), Relocation::None);
    assert_eq!(scan(&[b"NUL \0 is UTF-8: /opt/x"]), Relocation::Text);
    assert_eq!(scan(&["é /opt/x".as_bytes()]), Relocation::Text);
    assert_eq!(scan(&[b"caf\xe9 /opt/x"]), Relocation::Text);
    assert_eq!(scan(&[b"caf\xe9 \0 /opt/x"]), Relocation::None);
    assert_eq!(scan(&[b"caf\xe9 \x9f /opt/x"]), Relocation::None);
    assert_eq!(scan(&[b"caf\xe9 \x7f /opt/x"]), Relocation::None);
    assert_eq!(scan(&[b"caf\xe9 \xa0\x1f\x7e /opt/x"]), Relocation::Text);
    assert_eq!(scan(&[b"/opt/x and half of \xc3"]), Relocation::Text, "Latin-1 then");
    assert_eq!(scan(&[b"/opt/x \0 and half of \xc3"]), Relocation::None);
    assert_eq!(scan(&[b"/opt/x and later", &[b'y'; 5000], b"\xff", b"\x80"]), Relocation::None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn pieces_of_any_size_make_no_difference(
        parts in prop::collection::vec(prop_oneof![
            Just("/opt/x".as_bytes().to_vec()), Just("é日😀".as_bytes().to_vec()), Just(b" ".to_vec()),
            Just(b"\x7fELF".to_vec()), Just(b"\xca\xfe\xba\xbe\0\0\0".to_vec()),
            prop::collection::vec(any::<u8>(), 0..4), "[a-z/ ]{0,9}".prop_map(String::into_bytes),
        ], 0..8),
        size in 1usize..12,
    ) {
        let file = parts.concat();
        let pieces: Vec<&[u8]> = file.chunks(size).collect();
        prop_assert_eq!(scan(&pieces), naive(&file), "{:?}", file.escape_ascii().to_string());
        prop_assert_eq!(scan(&[&file]), naive(&file));
    }
}
