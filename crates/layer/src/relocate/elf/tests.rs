//! Small files of every class and byte order, made by hand; what a linker makes is tested from outside.

use proptest::prelude::*;

use super::layout::{Layout, Segment};
use super::parse::Elf;
use super::*;
use crate::relocate::binary::relocate_binary;
use crate::relocate::large::assert_same_in_windows;

const LAYOUTS: [Layout; 4] = [
    Layout { wide: true, big_endian: false },
    Layout { wide: true, big_endian: true },
    Layout { wide: false, big_endian: false },
    Layout { wide: false, big_endian: true },
];
const RUNPATH: u64 = 29;
const DYNAMIC_AND_EXECUTABLE: [(u16, u64); 2] = [(3, 0), (2, 0x40_0000)];

/// What goes into a file.
#[derive(Clone)]
struct Sample {
    layout: Layout,
    /// e_type, and the address of the file's first byte.
    kind: (u16, u64),
    interpreter: Option<&'static str>,
    /// `.dynstr`.
    strings: Vec<u8>,
    /// Tags and values of the dynamic section, before DT_STRTAB, DT_STRSZ and DT_SYMTAB.
    dynamic: Vec<(u64, u64)>,
    /// Offsets of the names of the symbols.
    symbols: Vec<u32>,
    section_headers: bool,
}

impl Sample {
    fn new(layout: Layout, rpath: &str) -> Sample {
        let strings = [b"\0libc.so\0", rpath.as_bytes(), b"\0symbol\0"].concat();
        let symbol = (strings.len() - 7) as u32;
        Sample {
            layout,
            kind: DYNAMIC_AND_EXECUTABLE[0],
            interpreter: Some("/old/lib/ld.so"),
            strings,
            dynamic: vec![(1, 1), (RUNPATH, 9)],
            symbols: vec![0, symbol],
            section_headers: true,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let layout = self.layout;
        let count = 4 + usize::from(self.interpreter.is_some());
        let mut bytes = vec![0; layout.header_size() + count * layout.segment_size()];
        let base = self.kind.1;
        let mut sections = vec![(0u32, 0..0)];
        let mut part = |bytes: &mut Vec<u8>, kind: u32, content: &[u8]| {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            let start = bytes.len();
            bytes.extend_from_slice(content);
            sections.push((kind, start..bytes.len()));
            start..bytes.len()
        };
        let interpreter = self.interpreter.map(|path| part(&mut bytes, 1, format!("{path}\0").as_bytes()));
        let note = part(&mut bytes, 7, &[7; 20]);
        let mut symbols = vec![0; self.symbols.len() * layout.symbol_size()];
        for (index, &name) in self.symbols.iter().enumerate() {
            layout.put_u32(&mut symbols, index * layout.symbol_size(), name).unwrap();
        }
        let symbols = part(&mut bytes, 11, &symbols);
        let strings = part(&mut bytes, 3, &self.strings);
        let mut entries = self.dynamic.clone();
        entries.extend([
            (5, base + strings.start as u64),
            (10, strings.len() as u64),
            (6, base + symbols.start as u64),
            (0, 0),
        ]);
        let mut dynamic = vec![0; entries.len() * layout.dynamic_size()];
        for (index, &(tag, value)) in entries.iter().enumerate() {
            let at = index * layout.dynamic_size();
            layout.put_word(&mut dynamic, at, tag).unwrap();
            layout.put_word(&mut dynamic, at + layout.pick(8, 4), value).unwrap();
        }
        let dynamic = part(&mut bytes, 6, &dynamic);
        let loaded = bytes.len();
        let mut segments =
            vec![(6, layout.header_size()..layout.header_size() + count * layout.segment_size())];
        segments.extend(interpreter.map(|range| (3, range)));
        segments.extend([(1, 0..loaded), (2, dynamic), (4, note)]);
        for (index, (kind, range)) in segments.into_iter().enumerate() {
            let segment = Segment {
                kind,
                flags: 4,
                offset: range.start as u64,
                address: base + range.start as u64,
                physical_address: base + range.start as u64,
                file_size: range.len() as u64,
                memory_size: range.len() as u64 + if kind == 1 { 5000 } else { 0 },
                alignment: 0x1000,
            };
            layout
                .put_segment(&mut bytes, layout.header_size() + index * layout.segment_size(), &segment)
                .unwrap();
        }
        let headers = bytes.len();
        if self.section_headers {
            for (kind, range) in &sections {
                let at = bytes.len();
                bytes.resize(at + layout.section_size(), 0);
                layout.put_u32(&mut bytes, at + 4, *kind).unwrap();
                layout.put_word(&mut bytes, at + 8, 2).unwrap();
                let address = base + range.start as u64;
                layout.move_section(&mut bytes, at, address, range.start as u64, range.len() as u64).unwrap();
            }
        }
        let identification =
            [0x7f, b'E', b'L', b'F', 1 + u8::from(layout.wide), 1 + u8::from(layout.big_endian), 1];
        bytes[..7].copy_from_slice(&identification);
        layout.put_u16(&mut bytes, 16, self.kind.0).unwrap();
        layout.put_word(&mut bytes, layout.pick(32, 28), layout.header_size() as u64).unwrap();
        layout.put_u16(&mut bytes, layout.pick(54, 42), layout.segment_size() as u16).unwrap();
        layout.put_u16(&mut bytes, layout.pick(56, 44), count as u16).unwrap();
        if self.section_headers {
            layout.put_word(&mut bytes, layout.pick(40, 32), headers as u64).unwrap();
            layout.put_u16(&mut bytes, layout.pick(60, 48), sections.len() as u16).unwrap();
        }
        bytes
    }
}

fn map(old: &str, new: &str) -> PrefixMap {
    PrefixMap::new([(old, new)]).unwrap()
}

/// RPATH and interpreter of a file.
fn paths(bytes: &[u8]) -> (String, String) {
    let elf = Elf::parse(bytes).expect("a valid file");
    let text = |range: Option<Range<usize>>| {
        range.map_or(String::new(), |range| String::from_utf8(bytes[range].to_vec()).unwrap())
    };
    (text(elf.rpath.map(|rpath| rpath.range)), text(elf.interpreter))
}

/// Names of the symbols, by the dynamic section alone.
fn symbol_names(bytes: &[u8], count: usize) -> Vec<String> {
    let elf = Elf::parse(bytes).expect("a valid file");
    let table = elf.offset_of(elf.value_of(6).unwrap()).unwrap() as usize;
    let strings = elf.offset_of(elf.value_of(5).unwrap()).unwrap() as usize;
    (0..count)
        .map(|index| {
            let name = elf.layout.u32(bytes, table + index * elf.layout.symbol_size()).unwrap() as usize;
            let name = bytes[strings + name..].split(|&byte| byte == 0).next().unwrap();
            String::from_utf8(name.to_vec()).unwrap()
        })
        .collect()
}

/// What is on disk after writing back only what `changed` says.
fn written_back(before: &[u8], after: &[u8], changed: &[Range<usize>]) -> Vec<u8> {
    let mut file = before.to_vec();
    for range in changed {
        if file.len() < range.end {
            file.resize(range.end, 0);
        }
        file[range.clone()].copy_from_slice(&after[range.clone()]);
    }
    file
}

#[test]
fn what_fits_is_replaced_in_place_and_the_rest_blanked() {
    for layout in LAYOUTS {
        let before = Sample::new(layout, ":/old/a/lib::$ORIGIN:/usr/old:/old/b:").bytes();
        let mut bytes = before.clone();
        let edit = substitute(&map("/old", "/x"), &mut bytes).unwrap();
        assert_eq!(paths(&bytes), ("/x/a/lib:$ORIGIN:/usr/old:/x/b".into(), "/x/lib/ld.so".into()));
        assert_eq!((bytes.len(), edit.grown), (before.len(), false));
        assert_eq!(
            memchr::memmem::find(&bytes, b"/b:"),
            None,
            "{layout:?}: the end of the old string is gone"
        );
        assert_eq!(written_back(&before, &bytes, &edit.changed), bytes);
        for range in edit.settled {
            assert!(bytes[range].starts_with(b"/x"));
        }
    }
}

#[test]
fn what_does_not_fit_grows_in_every_class_and_byte_order() {
    let long = format!("/new{}", "/deeper".repeat(40));
    for layout in LAYOUTS {
        for kind in DYNAMIC_AND_EXECUTABLE {
            for section_headers in [true, false] {
                for old in ["/old", "/old/lib/ld.so", "/old/a"] {
                    let sample =
                        Sample { kind, section_headers, ..Sample::new(layout, "/old/a:$ORIGIN:/old/b") };
                    let before = sample.bytes();
                    let mut bytes = before.clone();
                    let edit = substitute(&map(old, &long), &mut bytes).unwrap();
                    let (rpath, interpreter) = paths(&before);
                    let expected = (rpath.replace(old, &long), interpreter.replace(old, &long));
                    assert_eq!(paths(&bytes), expected, "{layout:?} {kind:?} {old}");
                    assert_eq!(symbol_names(&bytes, 2), ["", "symbol"]);
                    assert!(edit.grown);
                    assert_eq!(written_back(&before, &bytes, &edit.changed), bytes);
                    check_program_headers(&bytes, section_headers);
                    let mut again = bytes.clone();
                    let edit = substitute(&map(&long, &format!("{long}/x")), &mut again).unwrap();
                    assert!(edit.grown, "it can grow again");
                    assert_eq!(
                        paths(&again),
                        (
                            rpath.replace(old, &format!("{long}/x")),
                            interpreter.replace(old, &format!("{long}/x"))
                        )
                    );
                }
            }
        }
    }
}

/// Loaded segments ascend, are congruent to their offsets, and hold the program headers where PT_PHDR says and where
/// an old kernel looks.
fn check_program_headers(bytes: &[u8], headers_stay: bool) {
    let elf = Elf::parse(bytes).unwrap();
    let loads: Vec<&Segment> = elf.segments.iter().filter(|segment| segment.kind == 1).collect();
    for pair in loads.windows(2) {
        assert!(pair[0].address + pair[0].memory_size <= pair[1].address);
        assert_eq!(pair[1].address % pair[1].alignment, pair[1].offset % pair[1].alignment);
    }
    assert!(loads.iter().all(|load| load.offset + load.file_size <= bytes.len() as u64));
    let table = elf.segments.iter().find(|segment| segment.kind == 6).unwrap();
    assert_eq!(table.offset, elf.segments_at as u64);
    assert_eq!(table.file_size as usize, elf.segments.len() * elf.layout.segment_size());
    assert_eq!(loads[0].address - loads[0].offset + table.offset, table.address);
    assert_eq!(elf.segments_at == elf.layout.header_size(), headers_stay);
    let note = elf.segments.iter().find(|segment| segment.kind == 4).unwrap();
    assert_eq!(&bytes[note.offset as usize..][..20], &[7; 20], "the note moved as a whole");
    if let Some(section) = elf.sections.iter().map(|(_, section)| section).find(|section| section.kind == 7) {
        assert_eq!((section.offset, section.address), (note.offset, note.address));
    }
}

#[test]
fn strings_that_share_bytes_with_the_rpath_keep_them() {
    for layout in LAYOUTS {
        for (rpath, name, old, new, grows) in [
            // A symbol is the tail, or the whole, of the RPATH.
            ("/old/some/lib", 9 + 10, "/old/some", "/x", true),
            ("/old/some/lib", 9, "/old/some", "/x", true),
            // The tail stays where it is.
            ("/old/some/lib", 9 + 10, "/old/some", "/new/some", false),
            // The end of the string is an empty name, and stays one.
            ("/old/some/lib", 9 + 13, "/old/some", "/x", false),
        ] {
            let mut sample = Sample::new(layout, rpath);
            sample.symbols.push(name);
            let before = sample.bytes();
            let names = symbol_names(&before, 3);
            let mut bytes = before.clone();
            let edit = substitute(&map(old, new), &mut bytes).unwrap();
            assert_eq!(edit.grown, grows, "{rpath} {name}");
            assert_eq!(symbol_names(&bytes, 3), names);
            assert_eq!(paths(&bytes).0, rpath.replace(old, new));
            assert_eq!(written_back(&before, &bytes, &edit.changed), bytes);
        }
        // The RPATH is itself the tail of a longer name.
        let mut sample = Sample::new(layout, "prefix/old/lib");
        sample.symbols.push(9);
        sample.dynamic[1].1 += 6;
        let mut bytes = sample.bytes();
        let edit = substitute(&map("/old", "/x"), &mut bytes).unwrap();
        assert!(edit.grown);
        assert_eq!(symbol_names(&bytes, 3)[2], "prefix/old/lib");
        assert_eq!(paths(&bytes).0, "/x/lib");
    }
}

/// Without section headers the symbols are counted by hash tables or by where the strings begin.
#[test]
fn sharing_is_seen_without_section_headers() {
    for layout in LAYOUTS {
        let mut sample = Sample { section_headers: false, ..Sample::new(layout, "/old/some/lib") };
        sample.symbols.push(9 + 10);
        let mut bytes = sample.bytes();
        assert!(substitute(&map("/old/some", "/x"), &mut bytes).unwrap().grown);
        assert_eq!(symbol_names(&bytes, 3)[2], "lib");
    }
}

#[test]
fn a_new_path_is_not_searched_again() {
    for new in ["/home/old", "/old/old/old"] {
        let mut bytes = Sample::new(LAYOUTS[0], "/old/a").bytes();
        let edit = relocate_binary(&map("/old", new), &mut bytes).unwrap();
        assert!(edit.grown);
        assert_eq!(paths(&bytes), (format!("{new}/a"), format!("{new}/lib/ld.so")));
    }
}

#[test]
fn other_strings_with_the_prefix_still_have_to_fit() {
    let mut sample = Sample::new(LAYOUTS[0], "/old/a");
    sample.strings.extend_from_slice(b"/old/needed/by/its/path.so\0");
    let mut bytes = sample.bytes();
    assert!(relocate_binary(&map("/old", "/new-and-longer"), &mut bytes).is_err());
    let mut bytes = sample.bytes();
    relocate_binary(&map("/old", "/n"), &mut bytes).unwrap();
    assert!(memchr::memmem::find(&bytes, b"///n/needed/by/its/path.so\0").is_some());
}

#[test]
fn files_that_are_not_for_us_are_left_alone() {
    let good = Sample::new(LAYOUTS[0], "/old/a");
    let two_rpaths = Sample { dynamic: vec![(15, 9), (RUNPATH, 9)], ..good.clone() };
    let two_tables = Sample { dynamic: vec![(5, 0), (RUNPATH, 9)], ..good.clone() };
    let beyond = Sample { dynamic: vec![(RUNPATH, 900)], ..good.clone() };
    let unterminated = Sample { strings: b"\0libc.so\0/old/a".to_vec(), symbols: vec![], ..good.clone() };
    let object = Sample { kind: (1, 0), ..good.clone() };
    for sample in [two_rpaths, two_tables, beyond, unterminated, object] {
        let before = sample.bytes();
        let mut bytes = before.clone();
        assert!(substitute(&map("/old", "/x"), &mut bytes).unwrap().changed.is_empty());
        assert_eq!(bytes, before);
    }
    let good = good.bytes();
    for length in 0..good.len() {
        let mut bytes = good[..length].to_vec();
        let _ = substitute(&map("/old", "/x"), &mut bytes);
        assert_eq!(bytes.len(), length);
    }
}

#[test]
fn what_cannot_grow_says_why_and_stays_as_it_is() {
    let refused = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut before = Sample::new(LAYOUTS[0], "/old/a").bytes();
        change(&mut before);
        let mut bytes = before.clone();
        let error = substitute(&map("/old", "/much/longer"), &mut bytes).unwrap_err();
        assert_eq!(bytes, before);
        error
    };
    let layout = LAYOUTS[0];
    assert_eq!(refused(&|bytes| layout.put_u16(bytes, 54, 57).unwrap()), GrowError::HeaderSize(57));
    // The third program header is the loaded segment: its size in memory.
    let size = 64 + 2 * 56 + 40;
    assert_eq!(refused(&|bytes| layout.put_word(bytes, size, u64::MAX - 10).unwrap()), GrowError::NoRoom);
    assert_eq!(refused(&|bytes| layout.put_word(bytes, size, (1 << 63) - 10).unwrap()), GrowError::NoRoom);
}

#[test]
fn a_segment_that_is_nowhere_stays_there() {
    let layout = LAYOUTS[0];
    let mut bytes = Sample::new(layout, "/old/a").bytes();
    // The last program header is the note: its offset.
    layout.put_word(&mut bytes, 64 + 4 * 56 + 8, u64::MAX - 3).unwrap();
    assert!(substitute(&map("/old", "/much/longer"), &mut bytes).unwrap().grown);
    let note = |segment: &&Segment| segment.kind == 4;
    assert_eq!(Elf::parse(&bytes).unwrap().segments.iter().find(note).unwrap().offset, u64::MAX - 3);
}

/// Looking for the end of each string from its start would take this test an hour.
#[test]
fn many_entries_that_name_long_strings_take_no_time() {
    let rpath = format!("/old/{}", "a".repeat(16 << 20));
    let mut sample = Sample::new(LAYOUTS[0], &rpath);
    sample.dynamic.extend(vec![(1, 9); 300_000]);
    let mut bytes = sample.bytes();
    assert!(substitute(&map("/old", "/x"), &mut bytes).unwrap().grown, "the other entries use its bytes");
}

#[test]
fn many_sections_behind_the_program_headers_take_no_time() {
    let layout = LAYOUTS[0];
    let mut bytes = Sample::new(layout, "/old/a").bytes();
    let at = bytes.len();
    let count = 65_000u16;
    let room = usize::from(count) * 4;
    let first = 64 + 5 * 56;
    // Each begins within the one that stands behind it in the table.
    let headers = at.max(first + room + 8);
    bytes.resize(headers, 0);
    for index in 0..usize::from(count) {
        let header = bytes.len();
        bytes.resize(header + layout.section_size(), 0);
        layout.put_u32(&mut bytes, header + 4, 7).unwrap();
        layout.put_word(&mut bytes, header + 8, 2).unwrap();
        let offset = (first + (usize::from(count) - 1 - index) * 4) as u64;
        layout.move_section(&mut bytes, header, offset, offset, 5).unwrap();
    }
    layout.put_word(&mut bytes, 40, headers as u64).unwrap();
    layout.put_u16(&mut bytes, 60, count).unwrap();
    let elf = Elf::parse(&bytes).unwrap();
    let mut segment = elf.last_of(super::parse::PT_LOAD).unwrap();
    segment.file_size = headers as u64;
    segment.memory_size = headers as u64;
    layout.put_segment(&mut bytes, 64 + 2 * 56, &segment).unwrap();
    // The dynamic section would be in the way: let it be a note.
    layout.put_u32(&mut bytes, 64 + 3 * 56, 4).unwrap();
    let elf = Elf::parse(&bytes).unwrap();
    assert_eq!(elf.sections.len(), usize::from(count));
    assert_eq!(displace::in_the_way(&elf, &bytes), Some(first..first + room + 1));
}

#[test]
fn a_file_on_disk_becomes_what_it_becomes_in_memory() {
    for layout in LAYOUTS {
        for kind in DYNAMIC_AND_EXECUTABLE {
            for section_headers in [true, false] {
                let mut sample =
                    Sample { kind, section_headers, ..Sample::new(layout, "/old/a/lib:/usr:/old/b") };
                // A longer RPATH has to go elsewhere, and so has a shorter one that a symbol is the tail of.
                for symbols in [vec![0], vec![0, 9 + 16]] {
                    sample.symbols = symbols;
                    let mut bytes = sample.bytes();
                    bytes.extend_from_slice(b"\0/old/in/a/string/of/its/own\0");
                    for new in ["/n", "/new", "/much/longer/than/before"] {
                        assert_same_in_windows(&map("/old", new), &bytes, &[1, 40, 1000]);
                        assert_same_in_windows(&map("/old/", new), &sample.bytes(), &[1, 40, 1000]);
                    }
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    /// Whatever a file contains: no panic, no runaway growth, and the ranges say all that was changed.
    #[test]
    fn damaged_files_do_no_harm(
        layout in 0usize..4,
        section_headers: bool,
        damage in prop::collection::vec((0usize..900, prop_oneof![Just(0u8), Just(1), Just(255), any::<u8>()]), 1..6),
        keep in 100usize..1200,
        longer: bool,
    ) {
        let sample = Sample { section_headers, ..Sample::new(LAYOUTS[layout], "/old/a:/old/b") };
        let mut before = sample.bytes();
        for (at, byte) in damage {
            if let Some(place) = before.get_mut(at) {
                *place = byte;
            }
        }
        before.truncate(keep);
        let map = map("/old", if longer { "/a/new/and/longer/prefix" } else { "/n" });
        assert_same_in_windows(&map, &before, &[16]);
        let mut bytes = before.clone();
        if let Ok(edit) = substitute(&map, &mut bytes) {
            prop_assert!(bytes.len() <= before.len() + (65 << 20));
            prop_assert_eq!(written_back(&before, &bytes, &edit.changed) == bytes, true);
        }
    }
}
