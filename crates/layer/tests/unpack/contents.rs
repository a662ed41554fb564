//! Layers that anybody may have made: what is in them.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use strata_layer::compression::{Compression, Decompressed};
use strata_layer::contents::{EntryKind, for_each_entry};

use crate::support::{Archive, Complaining, gzip, header};

/// An entry as text, and what was in it.
type Shown = (String, String, Vec<u8>);

fn shown(layer: impl Read) -> io::Result<Vec<Shown>> {
    let mut found = Vec::new();
    for_each_entry(layer, |name, kind, body| {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let what = match kind {
            EntryKind::Directory => "directory".to_owned(),
            EntryKind::File { size } => format!("file of {size}"),
            EntryKind::Symlink(target) => format!("symlink to {}", text(target)),
            EntryKind::HardLink(target) => format!("hard link to {}", text(target)),
            EntryKind::Other => "other".to_owned(),
        };
        let mut content = Vec::new();
        if matches!(kind, EntryKind::File { .. }) {
            body.read_to_end(&mut content)?;
        }
        found.push((text(name), what, content));
        Ok::<_, io::Error>(ControlFlow::Continue(()))
    })?;
    Ok(found)
}

fn names(layer: impl Read) -> io::Result<Vec<(String, String)>> {
    Ok(shown(layer)?.into_iter().map(|(name, what, _)| (name, what)).collect())
}

fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 3).unwrap()
}

/// The same tar in all the ways in which a layer comes.
fn compressed(tar: &[u8]) -> Vec<(&'static str, Compression, Vec<u8>)> {
    let members = tar.chunks(700).flat_map(gzip).collect();
    let frames = tar.chunks(5000).flat_map(zstd).collect();
    // As zstd:chunked and seekable archives have them.
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3], &zstd(tar)[..]].concat();
    vec![
        ("plain", Compression::None, tar.to_vec()),
        ("gzip", Compression::Gzip, gzip(tar)),
        ("gzip of many members", Compression::Gzip, members),
        ("zstd", Compression::Zstd, zstd(tar)),
        ("zstd of many frames", Compression::Zstd, frames),
        ("zstd after a frame to skip", Compression::Zstd, skippable),
    ]
}

/// What a base image may have, as far as the system lets us make it; true if there is a device.
fn make_root(root: &Path) -> bool {
    let deep = root.join("usr/share").join("d".repeat(120)).join("e".repeat(120));
    std::fs::create_dir_all(&deep).unwrap();
    std::fs::write(deep.join("f".repeat(90)), "deep").unwrap();
    std::fs::write(root.join("usr/share/é"), "accent").unwrap();
    symlink("usr/lib", root.join("lib")).unwrap();
    symlink(format!("/{}", "t".repeat(160)), root.join("usr/long-link")).unwrap();
    std::fs::create_dir(root.join("usr/lib")).unwrap();
    let libc: Vec<u8> = (0..300_000u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(root.join("usr/lib/libc.so.6"), libc).unwrap();
    std::fs::hard_link(root.join("usr/lib/libc.so.6"), root.join("usr/libc")).unwrap();
    std::fs::write(root.join("usr/su"), "su").unwrap();
    std::fs::set_permissions(root.join("usr/su"), PermissionsExt::from_mode(0o6755)).unwrap();
    std::fs::write(root.join("usr/.wh.gone"), "").unwrap();
    std::fs::write(root.join("usr/.wh..wh..opq"), "").unwrap();
    let mut holes = std::fs::File::create(root.join("usr/holes")).unwrap();
    for number in 0..20u64 {
        io::Seek::seek(&mut holes, io::SeekFrom::Start(number << 17)).unwrap();
        holes.write_all(&[1; 4096]).unwrap();
    }
    holes.set_len(4 << 20).unwrap();
    Command::new("mkfifo").arg(root.join("usr/fifo")).status().unwrap();
    Command::new("mknod").arg(root.join("usr/null")).args(["c", "1", "3"]).output().unwrap().status.success()
}

#[test]
fn all_that_gnu_tar_writes_is_read_however_it_is_compressed() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("root");
    std::fs::create_dir(&root).unwrap();
    let device = make_root(&root);
    let tar = |arguments: &[&str]| {
        let output = Command::new("tar")
            .args(arguments)
            .args(["--sort=name", "-cf", "-"])
            .arg("-C")
            .arg(&root)
            .arg(".")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let [d, e, f] = [("d", 120), ("e", 120), ("f", 90)].map(|(letter, count)| letter.repeat(count));
    let libc = std::fs::read(root.join("usr/lib/libc.so.6")).unwrap();
    let expected = |sparse: bool| {
        let mut expected = vec![
            (String::new(), "directory".to_owned()),
            ("lib".into(), "symlink to usr/lib".into()),
            ("usr".into(), "directory".into()),
            ("usr/.wh..wh..opq".into(), "file of 0".into()),
            ("usr/.wh.gone".into(), "file of 0".into()),
            ("usr/fifo".into(), "other".into()),
            ("usr/holes".into(), if sparse { "other".to_owned() } else { format!("file of {}", 4 << 20) }),
            ("usr/lib".into(), "directory".into()),
            ("usr/lib/libc.so.6".into(), "file of 300000".into()),
            ("usr/libc".into(), "hard link to usr/lib/libc.so.6".into()),
            ("usr/long-link".into(), format!("symlink to /{}", "t".repeat(160))),
            ("usr/null".into(), "other".into()),
            ("usr/share".into(), "directory".into()),
            (format!("usr/share/{d}"), "directory".into()),
            (format!("usr/share/{d}/{e}"), "directory".into()),
            (format!("usr/share/{d}/{e}/{f}"), "file of 4".into()),
            ("usr/share/é".into(), "file of 6".into()),
            ("usr/su".into(), "file of 2".into()),
        ];
        expected.retain(|(name, _)| device || name != "usr/null");
        expected
    };
    // Not every file system keeps holes.
    let has_holes = root.join("usr/holes").metadata().unwrap().blocks() * 512 < 4 << 20;
    for (arguments, sparse) in [
        (&["--format=gnu"][..], false),
        (&["--format=posix"], false),
        (&["--format=gnu", "--transform=s,^\\./,/,"], false),
        (&["--format=gnu", "--sparse"], true),
        (&["--format=posix", "--sparse", "--sparse-version=0.0"], true),
        (&["--format=posix", "--sparse", "--sparse-version=0.1"], true),
        (&["--format=posix", "--sparse", "--sparse-version=1.0"], true),
    ] {
        let plain = tar(arguments);
        for (how, compression, layer) in compressed(&plain) {
            if sparse && how.contains("many") {
                continue;
            }
            let found = shown(&layer[..]).unwrap_or_else(|error| panic!("{arguments:?} {how}: {error}"));
            let mut names: Vec<(String, String)> =
                found.iter().map(|(name, what, _)| (name.clone(), what.clone())).collect();
            if arguments.len() == 2 && !sparse {
                // The transformation is for links too, which are not of this test.
                names.iter_mut().for_each(|(_, what)| *what = what.replace("to /usr", "to usr"));
            }
            assert_eq!(names, expected(sparse && has_holes), "{arguments:?} {how}");
            let content = |name: &str| &found.iter().find(|(found, ..)| found == name).unwrap().2;
            assert!(*content("usr/lib/libc.so.6") == libc && content("usr/su") == b"su");
            let mut reader = Decompressed::new(&layer[..], 2).unwrap();
            assert_eq!(reader.compression(), compression, "{how}");
            let mut again = Vec::new();
            reader.read_to_end(&mut again).unwrap();
            assert!(again == plain, "{how}");
        }
    }
}

#[test]
fn a_name_is_taken_from_the_root_and_the_last_word_on_it_counts() {
    let layer = Archive::default()
        .file("../../etc/passwd", 0o644, b"x")
        .directory("/")
        .hard_link("/a", "./etc//passwd")
        .entry(b'L', b"././@LongLink", 0, b"", b"first\0")
        .entry(b'L', b"././@LongLink", 0, b"", b"second\0\0\0")
        .pax(&[("path", b"third")])
        .file("fourth", 0o644, b"")
        .pax(&[("path", b"")])
        .file("fifth", 0o644, b"")
        .entry(b'g', b"global", 0, b"", b"14 path=ninth\n")
        .file("sixth", 0o644, b"")
        .entry(0, b"old/", 0o755, b"", b"")
        .entry(b'7', b"contiguous", 0o644, b"", b"c")
        .entry(b'Z', b"unknown", 0o644, b"", b"contents of the unknown");
    let expected = [
        ("etc/passwd", "file of 1"),
        ("", "directory"),
        ("a", "hard link to etc/passwd"),
        ("third", "file of 0"),
        ("fifth", "file of 0"),
        ("sixth", "file of 0"),
        ("old", "directory"),
        ("contiguous", "file of 1"),
        ("unknown", "other"),
    ]
    .map(|(name, what)| (name.to_owned(), what.to_owned()));
    assert_eq!(names(&layer.ended()[..]).unwrap(), expected);
}

#[test]
fn a_link_has_no_contents_whatever_its_size_says() {
    let link = header(b'1', b"link", 0o644, b"file", 5000);
    let layer = Archive::default().file("file", 0o644, b"x").raw(link.as_bytes()).file("next", 0o644, b"");
    let found: Vec<String> = names(&layer.ended()[..]).unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, ["file", "link", "next"]);
}

#[test]
fn the_visitor_may_stop_and_leave_contents_unread() {
    let files = |archive: Archive, number: u32| archive.file(&format!("f{number}"), 0o644, &[7; 100_000]);
    let layer = (0..50).fold(Archive::default(), files);
    // Nothing after the middle is looked at, so nothing is wrong with it.
    let mut tar = layer.0;
    tar.truncate(30 * 100_864);
    tar.extend_from_slice(&[b'x'; 5000]);
    for (_, _, bytes) in compressed(&tar) {
        let mut seen = 0;
        let result = for_each_entry(&bytes[..], |_, _, body| {
            let mut first = [0; 3];
            body.read_exact(&mut first)?;
            seen += 1;
            Ok::<_, io::Error>(if seen == 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        });
        assert_eq!((result.unwrap(), seen), ((), 20));
        let result = for_each_entry(&bytes[..], |_, _, _| Err(io::Error::other("mine")));
        assert_eq!(result.unwrap_err().to_string(), "mine");
    }
}

#[test]
fn a_missing_end_is_forgiven_and_a_cut_is_not() {
    let tar = Archive::default().file("a", 0o644, &[7; 600]).file("b", 0o644, b"x").0;
    assert_eq!(names(&tar[..]).unwrap().len(), 2);
    assert_eq!(names(&gzip(&tar)[..]).unwrap().len(), 2);
    assert_eq!(names(&[][..]).unwrap().len(), 0, "a layer without anything");
    assert_eq!(names(&[0; 1024][..]).unwrap().len(), 0);
    for length in (1..tar.len()).filter(|length| ![512 + 1024].contains(length)) {
        let error = names(&tar[..length]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length}: {error}");
    }
    for (how, _, layer) in compressed(&tar).into_iter().skip(1) {
        // Between two members or frames it is as whole as a tar that has no end.
        for length in (4..layer.len())
            .filter(|length| !how.contains("many") && (*length != 11 || !how.contains("skip")))
        {
            assert!(names(&layer[..length]).is_err(), "{how} cut to {length} bytes");
        }
    }
}

#[test]
fn what_is_no_layer_is_told() {
    for layer in
        [&b"{\"schemaVersion\":2}"[..], &[b'x'; 2000], b"BZh91AY&SY", &[0xfd, b'7', b'z', b'X', b'Z', 0]]
    {
        let padded = [layer, &[b'.'; 1000]].concat();
        let error = names(&padded[..]).unwrap_err();
        assert!(error.to_string().contains("neither a tar, nor compressed"), "{error}");
    }
    let mut damaged = Archive::default().file("a", 0o644, b"x").file("b", 0o644, b"x").0;
    damaged[1024] = b'c';
    let error = names(&damaged[..]).unwrap_err().to_string();
    assert_eq!(error, "the tar is malformed: its checksum is wrong, in the header at byte 1024");
}

#[test]
fn nothing_makes_it_hold_much_in_memory() {
    let large = |flag: u8| {
        let header = header(flag, b"extension", 0, b"", 1 << 33);
        Archive::default().raw(header.as_bytes()).raw(&[b'x'; 4096]).compressed()
    };
    for flag in [b'x', b'L', b'K'] {
        let error = names(&large(flag)[..]).unwrap_err().to_string();
        assert!(error.contains("8589934592 bytes, and 1048576 are allowed"), "{error}");
    }
    // A frame that says it takes a window of 2 GiB to read it.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(31).unwrap();
    encoder.long_distance_matching(true).unwrap();
    encoder.write_all(&Archive::default().file("a", 0o644, &[3; 1 << 20]).0).unwrap();
    assert!(names(&encoder.finish().unwrap()[..]).is_err());

    // Zeros without end take time, and nothing else; after the end, or as a file.
    let zeros = vec![0; 4 << 20];
    let bomb: Vec<u8> = gzip(&zeros).repeat(64);
    assert_eq!(names(&bomb[..]).unwrap().len(), 0);
    let file = gzip(header(b'0', b"zeros", 0o644, b"", (4 << 20) * 64).as_bytes());
    let mut sizes = Vec::new();
    let layer = [file, bomb].concat();
    for_each_entry(&layer[..], |_, kind, _| {
        sizes.push(kind.clone());
        Ok::<_, io::Error>(ControlFlow::Continue(()))
    })
    .unwrap();
    assert_eq!(sizes, [EntryKind::File { size: 256 << 20 }]);
}

#[test]
fn the_layer_is_read_to_its_end_even_if_it_makes_no_sense() {
    let tar = Archive::default().file("a", 0o644, &[7; 9000]).raw(&[0; 1024]).0;
    let mut broken = tar.clone();
    broken[0] ^= 0xff;
    let many = [&broken[..], &[b'x'; 400_000]].concat();
    for tar in [tar, broken, many] {
        for (how, _, layer) in compressed(&tar) {
            let error = names(Complaining(&layer[..])).unwrap_err();
            assert_eq!(error.to_string(), "the digest is wrong", "{how}");
        }
    }
    let mut layer = gzip(&[b'x'; 100_000]);
    layer[20] ^= 0xff;
    assert_eq!(names(Complaining(&layer[..])).unwrap_err().to_string(), "the digest is wrong");
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, places in prop::collection::vec((0usize..4096, any::<u8>()), 0..8)) {
        let _ = names(&bytes[..]);
        let mut tar = Archive::default()
            .pax(&[("path", b"p"), ("size", b"700")])
            .file("a", 0o644, &[7; 700])
            .entry(b'S', b"sparse", 0o644, b"", &[1; 600])
            .symlink("l", "t").0;
        for (place, byte) in places {
            let length = tar.len();
            tar[place % length] = byte;
        }
        for (_, _, layer) in compressed(&tar) {
            let _ = names(&layer[..]);
        }
        let mut layer = zstd(&tar);
        let length = layer.len();
        layer[length / 2] ^= 1;
        let _ = names(&layer[..]);
    }
}
