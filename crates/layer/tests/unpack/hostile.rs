//! Layers that must be refused: one test per trick, each with its error, its message, and nothing changed.

use std::io::{self, Cursor, Read};

use strata_layer::unpack::{
    HardLinkProblem, Limits, NameProblem, UnpackError, UnpackOptions, for_each_file, read_build_info,
};

use crate::support::{Archive, BUILD_INFO, OPTIONS, PREFIX, Place, accepted, gzip, header, refused};

/// Fails unless the layer is refused for its entry's name, which the message has.
fn bad_name(layer: &[u8], name: &str, expected: NameProblem) {
    let (error, text) = refused(layer);
    assert!(matches!(error, UnpackError::Name { problem, .. } if problem == expected), "{text}");
    assert!(text.contains(name), "{text}");
}

#[test]
fn parent_components() {
    for name in ["../victim", "opt/pkg-1.0-abc/../../../victim", "opt/pkg-1.0-abc/..", ".."] {
        bad_name(&Archive::package().file(name, 0o644, b"x").layer(), name, NameProblem::ParentDirectory);
        bad_name(&Archive::package().directory(name).layer(), name, NameProblem::ParentDirectory);
        bad_name(&Archive::package().symlink(name, "x").layer(), name, NameProblem::ParentDirectory);
        let link = Archive::package().hard_link(name, &format!("{PREFIX}/bin/tool"));
        bad_name(&link.layer(), name, NameProblem::ParentDirectory);
    }
}

#[test]
fn absolute_names() {
    let place = Place::new();
    let victim = place.outside().join("absolute");
    let name = victim.to_str().unwrap();
    bad_name(&Archive::package().file(name, 0o644, b"x").layer(), name, NameProblem::Absolute);
    bad_name(&Archive::package().directory(name).layer(), name, NameProblem::Absolute);
    bad_name(&Archive::package().symlink(name, "x").layer(), name, NameProblem::Absolute);
    assert!(!victim.exists());
}

#[test]
fn names_in_extended_headers_are_checked_too() {
    let plain = |archive: Archive| archive.file("harmless", 0o644, b"x").layer();
    bad_name(
        &plain(Archive::package().pax(&[("path", b"../victim")])),
        "../victim",
        NameProblem::ParentDirectory,
    );
    bad_name(&plain(Archive::package().pax(&[("path", b"a\0b")])), "a\\u{0}b", NameProblem::Nul);
    let gnu = Archive::package().entry(b'L', b"././@LongLink", 0, b"", b"/etc/victim\0");
    bad_name(&plain(gnu), "/etc/victim", NameProblem::Absolute);
    let gnu = Archive::package().entry(b'L', b"././@LongLink", 0, b"", b"a\0b\0");
    bad_name(&plain(gnu), "a\\u{0}b", NameProblem::Nul);
}

#[test]
fn components_that_no_file_system_takes() {
    let long = format!("{PREFIX}/{}", "x".repeat(256));
    let archive = Archive::package().pax(&[("path", long.as_bytes())]).file("x", 0o644, b"");
    bad_name(&archive.layer(), &long, NameProblem::LongComponent);
    let deep = "d/".repeat(300);
    let archive = Archive::package().pax(&[("path", deep.as_bytes())]).directory("x");
    bad_name(&archive.layer(), &deep, NameProblem::TooDeep);
}

#[test]
fn files_without_a_name() {
    bad_name(&Archive::package().file("", 0o644, b"").layer(), "", NameProblem::Empty);
    bad_name(&Archive::package().file("./", 0o644, b"").layer(), "./", NameProblem::Empty);
    let slash = format!("{PREFIX}/x/");
    bad_name(&Archive::package().file(&slash, 0o644, b"").layer(), &slash, NameProblem::TrailingSlash);
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let (_, text) = refused(&Archive::package().file("../\u{1b}[31mred", 0o644, b"").layer());
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let (_, text) = refused(&Archive::package().entry(b'6', b"\x1b[31mred", 0, b"", b"").layer());
    assert!(!text.contains('\u{1b}') && text.contains("red"), "{text:?}");
}

#[test]
fn anything_outside_the_prefix() {
    let outside = |archive: Archive, name: &str| {
        let (error, text) = refused(&archive.layer());
        assert!(matches!(error, UnpackError::OutsidePrefix { .. }), "{text}");
        assert!(text.contains(&format!("entry {name} lies outside")) && text.contains(PREFIX), "{text}");
    };
    outside(Archive::package().file("etc/passwd", 0o644, b"x"), "etc");
    outside(Archive::package().file("opt/other", 0o644, b"x"), "opt/other");
    outside(Archive::package().symlink("opt/pkg", "pkg-1.0-abc"), "opt/pkg");
    outside(Archive::package().directory("opt/other-2.0"), "opt/other-2.0");
    // Not below the prefix, though its name begins alike: Spack lets this pass.
    outside(Archive::package().file("opt/pkg-1.0-abcd", 0o644, b"x"), "opt/pkg-1.0-abcd");
    let target = format!("{PREFIX}/bin/tool");
    outside(Archive::package().hard_link("opt/tool", &target), "opt/tool");
}

#[test]
fn two_packages_in_one_layer() {
    let other = "opt/pkg-2.0-xyz/.spack/binary_distribution";
    let (error, text) = refused(&Archive::package().file(other, 0o644, BUILD_INFO.as_bytes()).layer());
    assert!(matches!(error, UnpackError::OutsidePrefix { .. }), "{text}");
}

#[test]
fn hard_links_to_anything_but_a_file_of_this_layer() {
    let name = format!("{PREFIX}/link");
    let hard_link = |archive: Archive, target: &str, expected: HardLinkProblem| {
        let (error, text) = refused(&archive.hard_link(&name, target).layer());
        assert!(matches!(error, UnpackError::HardLink { problem, .. } if problem == expected), "{text}");
        assert!(text.contains(&name) && text.contains(target), "{text}");
    };
    let name_problem = HardLinkProblem::Name;
    hard_link(Archive::package(), "/etc/passwd", name_problem(NameProblem::Absolute));
    hard_link(Archive::package(), "../victim", name_problem(NameProblem::ParentDirectory));
    hard_link(Archive::package(), "opt/../../victim", name_problem(NameProblem::ParentDirectory));
    hard_link(Archive::package(), "", name_problem(NameProblem::Empty));
    hard_link(Archive::package(), "etc/passwd", HardLinkProblem::Missing);
    hard_link(Archive::package(), "victim", HardLinkProblem::Missing);
    hard_link(Archive::package(), &format!("{PREFIX}/later"), HardLinkProblem::Missing);
    hard_link(Archive::package(), &name, HardLinkProblem::Missing);
    hard_link(Archive::package(), &format!("{PREFIX}/bin"), HardLinkProblem::NotFile);
    hard_link(Archive::package(), &format!("{PREFIX}/bin/tool/x"), HardLinkProblem::NotFile);
    let planted = format!("{PREFIX}/planted");
    hard_link(Archive::package().symlink(&planted, "../../../victim"), &planted, HardLinkProblem::NotFile);
    let through = format!("{PREFIX}/planted/file");
    hard_link(Archive::package().symlink(&planted, "../../../victims"), &through, HardLinkProblem::NotFile);
}

#[test]
fn devices_fifos_and_unknown_kinds() {
    let name = format!("{PREFIX}/odd");
    for (flag, what) in [
        (b'3', "a character device"),
        (b'4', "a block device"),
        (b'6', "a FIFO"),
        (b'S', "a sparse file"),
        (b'7', "unknown type '7'"),
        (b'V', "unknown type 'V'"),
        (b'D', "unknown type 'D'"),
        (b'M', "unknown type 'M'"),
        (b'X', "unknown type 'X'"),
        (0xff, "unknown type"),
    ] {
        let (error, text) =
            refused(&Archive::package().entry(flag, name.as_bytes(), 0o644, b"", b"").layer());
        assert!(matches!(error, UnpackError::Kind { .. }), "{text}");
        assert!(text.contains(&name) && text.contains(what), "{text}");
    }
    let sparse = Archive::package().pax(&[("GNU.sparse.major", b"1")]).file(&name, 0o644, b"x");
    assert!(matches!(refused(&sparse.layer()).0, UnpackError::Kind { .. }));
}

#[test]
fn set_id_bits() {
    let name = format!("{PREFIX}/bin/su");
    for mode in [0o4755, 0o2755, 0o6755, 0o4644, 0o7755] {
        let (error, text) = refused(&Archive::package().file(&name, mode, b"x").layer());
        assert!(matches!(error, UnpackError::SetId { mode: m, .. } if m == mode), "{text}");
        assert!(text.contains(&name) && text.contains(&format!("{mode:o}")), "{text}");
    }
    let target = format!("{PREFIX}/bin/tool");
    let link = Archive::package().entry(b'1', name.as_bytes(), 0o4755, target.as_bytes(), b"");
    assert!(matches!(refused(&link.layer()).0, UnpackError::SetId { .. }));
}

#[test]
fn entries_below_a_planted_symlink() {
    let place = Place::new();
    let absolute = place.outside().join("victims");
    let planted = format!("{PREFIX}/planted");
    for target in [absolute.to_str().unwrap(), "../../../victims", "bin", ".", "nowhere", ".."] {
        let below = format!("{planted}/file");
        let attacks = [
            Archive::package().symlink(&planted, target).file(&below, 0o644, b"x"),
            Archive::package().symlink(&planted, target).directory(&below),
            Archive::package().symlink(&planted, target).symlink(&below, "x"),
            Archive::package().symlink(&planted, target).hard_link(&below, &format!("{PREFIX}/bin/tool")),
            Archive::package().symlink(&planted, target).file(&format!("{below}/deeper/still"), 0o644, b"x"),
        ];
        for attack in attacks {
            let (error, text) = refused(&attack.layer());
            assert!(matches!(error, UnpackError::NotBelowDirectory { .. }), "{text}");
            assert!(text.contains(&below) && text.contains("a symbolic link"), "{text}");
        }
    }
}

#[test]
fn a_directory_entry_does_not_make_a_symlink_walkable() {
    let planted = format!("{PREFIX}/planted");
    let attack = Archive::package().symlink(&planted, "../../../victims").directory(&planted);
    let (error, text) = refused(&attack.file(&format!("{planted}/file"), 0o644, b"x").layer());
    assert!(matches!(error, UnpackError::Duplicate { kind: "a symbolic link", .. }), "{text}");
}

#[test]
fn a_file_through_a_symlink_at_its_own_name() {
    let planted = format!("{PREFIX}/planted");
    let attack =
        Archive::package().symlink(&planted, "../../../victim").file(&planted, 0o644, b"overwritten");
    let (error, text) = refused(&attack.layer());
    assert!(matches!(error, UnpackError::Duplicate { kind: "a symbolic link", .. }), "{text}");
    assert!(text.contains(&planted), "{text}");
}

#[test]
fn the_build_info_through_a_symlink() {
    let attack = Archive::package().symlink(&format!("{PREFIX}/.spack"), "../../../victims");
    assert!(matches!(refused(&attack.layer()).0, UnpackError::NotBelowDirectory { .. }));
    let attack = Archive::package()
        .directory(&format!("{PREFIX}/.spack"))
        .symlink(&format!("{PREFIX}/.spack/binary_distribution"), "../../../../victim");
    assert!(matches!(refused(&attack.layer()).0, UnpackError::Duplicate { .. }));
}

#[test]
fn a_parent_of_the_prefix_that_is_a_symlink() {
    let attack = Archive::default().symlink("opt", "victims");
    assert!(matches!(refused(&attack.layer()).0, UnpackError::NotBelowDirectory { .. }));
}

#[test]
fn entries_below_a_file() {
    let below = format!("{PREFIX}/bin/tool/x");
    let (error, text) = refused(&Archive::package().file(&below, 0o644, b"x").layer());
    assert!(matches!(error, UnpackError::NotBelowDirectory { kind: "a file", .. }), "{text}");
    assert!(text.contains(&below), "{text}");
}

#[test]
fn duplicates() {
    let tool = format!("{PREFIX}/bin/tool");
    let bin = format!("{PREFIX}/bin");
    for (attack, what) in [
        (Archive::package().file(&tool, 0o644, b"again"), "a file"),
        (Archive::package().directory(&tool), "a file"),
        (Archive::package().symlink(&tool, "x"), "a file"),
        (Archive::package().hard_link(&tool, &format!("{PREFIX}/lib/libx")), "a file"),
        (Archive::package().hard_link(&tool, &tool), "a file"),
        (Archive::package().file(&bin, 0o644, b"x"), "a directory"),
        (Archive::package().symlink(&bin, "lib"), "a directory"),
        (Archive::package().file(&format!("./{bin}//./tool"), 0o644, b"x"), "a file"),
    ] {
        let (error, text) = refused(&attack.layer());
        assert!(matches!(error, UnpackError::Duplicate { kind, .. } if kind == what), "{text}");
        assert!(text.contains(&bin), "{text}");
    }
    // The build info twice: which one counts?
    let name = format!("{PREFIX}/.spack/binary_distribution");
    let twice = Archive::package().file(&name, 0o644, BUILD_INFO.as_bytes());
    assert!(matches!(refused(&twice.layer()).0, UnpackError::Duplicate { .. }));
}

#[test]
fn no_build_info_or_no_prefix() {
    assert!(matches!(refused(&Archive::package().ended()).0, UnpackError::NoBuildInfo));
    assert!(matches!(refused(&Archive::default().ended()).0, UnpackError::NoBuildInfo));
    let linked = Archive::package().symlink(&format!("{PREFIX}/.spack/binary_distribution"), "../x");
    assert!(matches!(refused(&linked.ended()).0, UnpackError::NoBuildInfo));
    let name = ".spack/binary_distribution";
    let top = Archive::default().file(name, 0o644, BUILD_INFO.as_bytes());
    assert!(matches!(refused(&top.ended()).0, UnpackError::NoPrefix));
    let not_text = Archive::default().entry(
        b'0',
        b"opt/\xff/.spack/binary_distribution",
        0o644,
        b"",
        BUILD_INFO.as_bytes(),
    );
    let (error, text) = refused(&not_text.ended());
    assert!(matches!(error, UnpackError::Name { problem: NameProblem::NotText, .. }), "{text}");
}

#[test]
fn build_info_that_cannot_be_read() {
    let name = format!("{PREFIX}/.spack/binary_distribution");
    for content in [&b"{"[..], b"", b"[a, b]", b"\xff\xfe", b"just text"] {
        let (error, text) = refused(&Archive::package().file(&name, 0o644, content).ended());
        assert!(matches!(error, UnpackError::BuildInfo { .. }), "{text}");
        assert!(text.contains(&name), "{text}");
    }
    let huge = header(b'0', name.as_bytes(), 0o644, b"", 65 << 20);
    let (error, text) = refused(&Archive::package().raw(huge.as_bytes()).compressed());
    assert!(matches!(error, UnpackError::BuildInfoSize { .. }), "{text}");
}

#[test]
fn a_bomb_is_refused_at_its_header() {
    let options = UnpackOptions { limits: Limits { uncompressed: 20 << 20 }, threads: 2 };
    let name = format!("{PREFIX}/bomb");
    let header = header(b'0', name.as_bytes(), 0o644, b"", 20 << 20);
    // The contents are not even there: the header is enough.
    let error = Place::new().unpack(&Archive::package().raw(header.as_bytes()).compressed()[..], &options);
    let error = error.unwrap_err();
    assert!(matches!(error, UnpackError::TooLarge { limit, .. } if limit == 20 << 20), "{error}");
    assert!(error.to_string().contains(&name), "{error}");

    let tiny = UnpackOptions { limits: Limits { uncompressed: 4096 }, threads: 2 };
    let many = (0..10).fold(Archive::package(), |archive, n| archive.directory(&format!("{PREFIX}/{n}")));
    assert!(matches!(Place::new().unpack(&many.layer()[..], &tiny), Err(UnpackError::TooLarge { .. })));

    // Zeros after the end of the archive count as well.
    let padded = Archive::package().file(
        &format!("{PREFIX}/.spack/binary_distribution"),
        0o644,
        BUILD_INFO.as_bytes(),
    );
    let padded = padded.raw(&vec![0; 21 << 20]).compressed();
    assert!(matches!(Place::new().unpack(&padded[..], &options), Err(UnpackError::TooLarge { .. })));
}

#[test]
fn sizes_that_overflow() {
    for size in ["18446744073709551615", "9223372036854775807", "18446744073709551616"] {
        let archive =
            Archive::package().pax(&[("size", size.as_bytes())]).file(&format!("{PREFIX}/x"), 0o644, b"");
        let (error, text) = refused(&archive.layer());
        assert!(matches!(error, UnpackError::TooLarge { .. } | UnpackError::Malformed { .. }), "{text}");
    }
    for size in [
        &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..],
        b"\x80\0\0\x01\0\0\0\0\0\0\0\0",
        b"notanumber!!",
    ] {
        let mut header = header(b'0', b"opt/x", 0o644, b"", 0);
        header.as_old_mut().size.copy_from_slice(size);
        header.set_cksum();
        let (error, text) = refused(&Archive::package().raw(header.as_bytes()).layer());
        assert!(matches!(error, UnpackError::Malformed { .. }), "{text}");
    }
}

#[test]
fn extended_headers_of_absurd_size() {
    for flag in [b'x', b'g', b'L', b'K'] {
        let header = header(flag, b"long", 0, b"", 1 << 29);
        let (error, text) = refused(&Archive::package().raw(header.as_bytes()).compressed());
        assert!(matches!(error, UnpackError::Malformed { .. }), "{text}");
        assert!(text.contains("536870912"), "{text}");
    }
}

#[test]
fn headers_that_readers_disagree_on() {
    let file = format!("{PREFIX}/x");
    let tool = format!("{PREFIX}/bin/tool");
    let malformed = |archive: Archive, what: &str| {
        let (error, text) = refused(&archive.layer());
        assert!(matches!(error, UnpackError::Malformed { .. }), "{text}");
        assert!(text.contains(what), "{text}");
    };
    let contents = "has contents";
    malformed(Archive::package().entry(b'1', file.as_bytes(), 0o644, tool.as_bytes(), b"data"), contents);
    malformed(Archive::package().entry(b'2', file.as_bytes(), 0o644, b"x", b"data"), contents);
    malformed(Archive::package().entry(b'5', file.as_bytes(), 0o755, b"", b"data"), contents);
    malformed(Archive::package().symlink(&file, ""), "no proper target");
    malformed(Archive::package().pax(&[("linkpath", b"a\0b")]).symlink(&file, "x"), "no proper target");
    let twice = Archive::package().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("x", 0o644, b"");
    malformed(twice, "more than one extended header");
    malformed(
        Archive::package().pax(&[("path", b"a"), ("path", b"b")]).file("x", 0o644, b""),
        "say the same",
    );
    malformed(Archive::package().entry(b'g', b"g", 0, b"", b"10 path=a\n"), "global header");
    malformed(Archive::package().entry(b'x', b"x", 0, b"", b"10 path:a\n"), "malformed");
}

#[test]
fn a_wrong_header_checksum() {
    let archive = Archive::package();
    let offset = archive.0.len();
    let mut bytes = archive.file(&format!("{PREFIX}/x"), 0o644, b"").0;
    bytes[offset + 105] ^= 1;
    let (error, text) = refused(&Archive(bytes).layer());
    assert!(matches!(error, UnpackError::Malformed { offset: o, .. } if o == offset as u64), "{text}");
    assert!(text.contains("checksum"), "{text}");
}

#[test]
fn an_archive_cut_short_anywhere() {
    let whole = Archive::package()
        .file(&format!("{PREFIX}/.spack/binary_distribution"), 0o644, BUILD_INFO.as_bytes())
        .0;
    for length in (0..=whole.len()).step_by(128) {
        let (error, text) = refused(&gzip(&whole[..length]));
        assert!(matches!(error, UnpackError::Truncated { .. }), "{length}: {text}");
    }
    let dangling = Archive::package().pax(&[("path", b"a")]).raw(&[0; 1024]).compressed();
    assert!(matches!(refused(&dangling).0, UnpackError::Malformed { .. }));
}

#[test]
fn a_compressed_stream_cut_short_or_not_gzip() {
    let whole = Archive::package().layer();
    for length in [0, 1, 5, 20, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        let (error, text) = refused(&whole[..length]);
        let UnpackError::Read { source } = error else { panic!("{length}: {text}") };
        assert_eq!(source.kind(), io::ErrorKind::UnexpectedEof, "{length}: {source}");
    }
    let (error, _) = refused(b"<html><body>Access denied by proxy</body></html>");
    let UnpackError::Read { source } = error else { panic!("{error}") };
    assert!(source.to_string().contains("it is no layer"), "{source}");
    let mut garbage = whole.clone();
    garbage.extend(b"more");
    assert!(matches!(refused(&garbage).0, UnpackError::Read { .. }));
}

/// Gives some bytes, then an error instead of the end, as a stream does whose digest is wrong.
struct Mismatch<'a>(Cursor<&'a [u8]>);

impl Read for Mismatch<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::new(io::ErrorKind::InvalidData, "digest mismatch")),
            length => Ok(length),
        }
    }
}

#[test]
fn a_wrong_digest_is_reported_whatever_the_bytes_are() {
    let good = Archive::package().layer();
    let mut corrupt = good.clone();
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0x55;
    let cut = gzip(&Archive::package().0);
    let malformed = Archive::package().raw(&[b'?'; 512]).compressed();
    for layer in [&good[..], &corrupt, &cut, &malformed, b"not gzip at all", b""] {
        let place = Place::new();
        let error = place.unpack(Mismatch(Cursor::new(layer)), &OPTIONS).unwrap_err();
        let UnpackError::Read { source } = error else { panic!("{error}") };
        assert_eq!(source.to_string(), "digest mismatch");
        assert!(read_build_info(Mismatch(Cursor::new(layer)), &OPTIONS).is_err());
    }
}

#[test]
fn a_destination_that_is_no_empty_directory() {
    let layer = Archive::package().layer();
    let place = Place::new();
    let destination = place.destination();
    std::fs::write(destination.join("mine"), "mine").unwrap();
    let error = strata_layer::unpack::unpack(&layer[..], &destination, &OPTIONS).unwrap_err();
    assert!(matches!(error, UnpackError::NotEmpty { ref path } if *path == destination), "{error}");
    assert_eq!(std::fs::read(destination.join("mine")).unwrap(), b"mine");

    let missing = place.outside().join("missing");
    let error = strata_layer::unpack::unpack(&layer[..], &missing, &OPTIONS).unwrap_err();
    assert!(matches!(error, UnpackError::Io { ref path, .. } if *path == missing), "{error}");
    let error =
        strata_layer::unpack::unpack(&layer[..], &place.outside().join("victim"), &OPTIONS).unwrap_err();
    assert!(matches!(error, UnpackError::Io { .. }), "{error}");
    std::os::unix::fs::symlink("victims", place.outside().join("link")).unwrap();
    let error =
        strata_layer::unpack::unpack(&layer[..], &place.outside().join("link"), &OPTIONS).unwrap_err();
    assert!(matches!(error, UnpackError::Io { .. }), "a symbolic link is no directory: {error}");
}

#[test]
fn visiting_refuses_what_lies_outside_the_prefix() {
    let visit = |layer: &[u8], prefix: &str| {
        for_each_file(layer, prefix, &OPTIONS, |_, _, _| Ok::<_, io::Error>(())).unwrap_err()
    };
    let layer = Archive::package().layer();
    assert!(matches!(visit(&layer, "opt/pkg"), UnpackError::OutsidePrefix { .. }));
    assert!(matches!(visit(&layer, "opt"), UnpackError::OtherPrefix { .. }));
    for attack in [
        Archive::package().file("etc/passwd", 0o644, b""),
        Archive::package().directory("etc"),
        Archive::package().symlink("opt/x", "y"),
        Archive::package().hard_link(&format!("{PREFIX}/x"), "etc/passwd"),
    ] {
        assert!(matches!(visit(&attack.layer(), PREFIX), UnpackError::OutsidePrefix { .. }));
    }
    let (_, unpacked) = accepted(&layer);
    assert_eq!(unpacked.prefix_in_layer, PREFIX);
}

#[test]
fn directories_that_are_not_listed() {
    // Each name takes 1.5 KiB of the layer and 255 directories of the disk.
    let mut archive = Archive::package();
    for number in 0..20 {
        let name = format!("{PREFIX}/{number}/{}file", "d/".repeat(250));
        archive = archive.pax(&[("path", name.as_bytes())]).file("short", 0o644, b"");
    }
    let (error, text) = refused(&archive.layer());
    assert!(matches!(error, UnpackError::UnlistedDirectories { .. }), "{text}");
    assert!(text.contains("16/d/d"), "{text}");
}
