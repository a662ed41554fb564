//! Layers that are odd but legal, and what exactly comes out of them.

use std::io::{self, Read};
use std::path::Path;
use std::process::Command;

use sha2::{Digest, Sha256};
use strata_layer::unpack::{
    Limits, UnpackError, UnpackOptions, for_each_file, leading_directories, read_build_info,
};

use crate::support::{Archive, BUILD_INFO, OPTIONS, PREFIX, Place, accepted, gzip, header, walk};

#[test]
fn files_links_modes_and_counts() {
    let archive = Archive::package()
        .file(&format!("{PREFIX}/odd-mode"), 0o611, b"x")
        .file(&format!("{PREFIX}/private"), 0o700, b"xy")
        .file(&format!("{PREFIX}/sticky"), 0o1755, b"")
        .hard_link(&format!("{PREFIX}/lib/tool-again"), &format!("./{PREFIX}/bin/tool"))
        .symlink(&format!("{PREFIX}/abs"), "/nowhere/../at all//")
        .symlink(&format!("{PREFIX}/dangling"), "../../../../..")
        .entry(b'5', format!("{PREFIX}/shared").as_bytes(), 0o2700, b"", b"");
    let (place, unpacked) = accepted(&archive.layer());
    assert_eq!(unpacked.prefix_in_layer, PREFIX);
    assert_eq!(unpacked.build_info.buildpath, "/opt");
    assert_eq!((unpacked.files, unpacked.bytes), (6, 10 + 7 + 1 + 2 + BUILD_INFO.len() as u64));
    let tree = walk(&place.destination());
    let names: Vec<&str> = tree.keys().map(|path| path.to_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            ".spack",
            ".spack/binary_distribution",
            "abs",
            "bin",
            "bin/tool",
            "dangling",
            "lib",
            "lib/libx",
            "lib/tool-again",
            "odd-mode",
            "private",
            "shared",
            "sticky"
        ]
    );
    let mode = |name: &str| tree[Path::new(name)].mode;
    for name in [".spack", "bin", "lib", "shared", "bin/tool", "private", "sticky"] {
        assert_eq!(mode(name), 0o755, "{name}");
    }
    for name in [".spack/binary_distribution", "lib/libx", "odd-mode"] {
        assert_eq!(mode(name), 0o644, "{name}");
    }
    assert_eq!(tree[Path::new("bin/tool")].inode, tree[Path::new("lib/tool-again")].inode);
    assert_eq!(tree[Path::new("abs")].link.as_deref(), Some(Path::new("/nowhere/../at all//")));
    assert_eq!(tree[Path::new("dangling")].link.as_deref(), Some(Path::new("../../../../..")));
}

#[test]
fn the_diff_id_is_of_the_whole_stream() {
    let name = format!("{PREFIX}/.spack/binary_distribution");
    let mut plain = Archive::package().file(&name, 0o644, BUILD_INFO.as_bytes()).raw(&[0; 1024]).0;
    // What follows the end of the archive is nobody's business, but it is in the digest.
    plain.extend([b'?'; 9_000]);
    let (_, unpacked) = accepted(&gzip(&plain));
    assert_eq!(unpacked.diff_id, <[u8; 32]>::from(Sha256::digest(&plain)));
}

#[test]
fn entries_may_follow_the_build_info() {
    let name = format!("{PREFIX}/.spack/binary_distribution");
    let archive = Archive::default().file(&name, 0o644, BUILD_INFO.as_bytes()).file(
        &format!("{PREFIX}/bin/late"),
        0o755,
        b"late",
    );
    let (place, unpacked) = accepted(&archive.ended());
    assert_eq!(unpacked.prefix_in_layer, PREFIX);
    assert_eq!(std::fs::read(place.destination().join("bin/late")).unwrap(), b"late");
}

#[test]
fn a_package_within_the_package_does_not_confuse() {
    let inner = format!("{PREFIX}/share/mirror/{PREFIX}/.spack/binary_distribution");
    let decoy = format!("{PREFIX}/share/not.spack/binary_distribution");
    for archive in [
        Archive::package().pax(&[("path", inner.as_bytes())]).file("x", 0o644, b"{inner: true}"),
        Archive::package().file(&decoy, 0o644, b"decoy"),
    ] {
        let (place, unpacked) = accepted(&archive.clone().layer());
        assert_eq!(unpacked.prefix_in_layer, PREFIX);
        assert_eq!(unpacked.build_info.buildpath, "/opt");
        assert!(place.destination().join("share").is_dir());
        // The other order.
        let name = format!("{PREFIX}/.spack/binary_distribution");
        let first = Archive::default().file(&name, 0o644, BUILD_INFO.as_bytes()).raw(&archive.0);
        assert_eq!(accepted(&first.ended()).1.prefix_in_layer, PREFIX);
    }
}

#[test]
fn old_layouts_without_parents() {
    let name = "pkg-1.0-abc";
    let archive = Archive::default()
        .file(&format!("{name}/deep/er/file"), 0o644, b"x")
        .directory(&format!("{name}/deep"))
        .directory(&format!("{name}/deep/"))
        .directory("./")
        .hard_link(&format!("{name}/link"), &format!("{name}/deep/er/file"))
        .file(&format!("{name}/.spack/binary_distribution"), 0o644, BUILD_INFO.as_bytes());
    let (place, unpacked) = accepted(&archive.ended());
    assert_eq!(unpacked.prefix_in_layer, name);
    let tree = walk(&place.destination());
    assert_eq!(tree[Path::new("link")].inode, tree[Path::new("deep/er/file")].inode);
    assert_eq!(tree[Path::new("deep/er")].mode, 0o755);

    let dotted = Archive::default()
        .directory("./")
        .directory("./pkg/")
        .file("./pkg/a", 0o644, b"a")
        .hard_link("./pkg/b", "./pkg/a")
        .file("./pkg/.spack/binary_distribution", 0o644, BUILD_INFO.as_bytes());
    assert_eq!(accepted(&dotted.ended()).1.prefix_in_layer, "pkg");

    // Before POSIX: a directory is a file with a slash, and there is no magic.
    let mut v7 = tar::Header::new_old();
    v7.as_old_mut().name[..4].copy_from_slice(b"pkg/");
    v7.set_mode(0o755);
    v7.set_size(0);
    v7.set_cksum();
    let v7 = Archive::default().raw(v7.as_bytes()).entry(
        0,
        b"pkg/.spack/binary_distribution",
        0o644,
        b"",
        BUILD_INFO.as_bytes(),
    );
    assert_eq!(accepted(&v7.ended()).1.prefix_in_layer, "pkg");
}

#[test]
fn a_package_may_have_our_own_names_in_it() {
    let archive = Archive::package()
        .file(&format!("{PREFIX}/.strata-unpack"), 0o644, b"x")
        .directory(&format!("{PREFIX}/.strata-unpack+"))
        .file(&format!("{PREFIX}/opt"), 0o644, b"like a parent")
        .file(&format!("{PREFIX}/probe"), 0o644, b"probe");
    let (place, _) = accepted(&archive.layer());
    let tree = walk(&place.destination());
    assert_eq!(tree[Path::new(".strata-unpack")].kind, "file");
    assert_eq!(tree[Path::new(".strata-unpack+")].kind, "dir");
    assert_eq!(tree[Path::new("opt")].size, 13);
    assert!(!tree.contains_key(Path::new(".strata-unpack++")));
}

#[test]
fn names_that_only_extended_headers_can_hold() {
    let long = format!("{PREFIX}/{}/{}", "d".repeat(255), "é".repeat(120));
    let target = "t".repeat(3_000);
    let newline = format!("{PREFIX}/with\nnewline=and 12 path=x\n");
    let raw: &[u8] = b"opt/pkg-1.0-abc/\xff\xfe raw";
    let archive = Archive::package()
        .pax(&[("path", long.as_bytes()), ("mtime", b"1.5")])
        .file("short", 0o644, b"long")
        .pax(&[("linkpath", long.as_bytes())])
        .hard_link(&format!("{PREFIX}/link"), "short")
        .pax(&[("path", newline.as_bytes())])
        .file("short", 0o644, b"newline")
        .pax(&[("hdrcharset", b"BINARY"), ("path", raw)])
        .file("short", 0o644, b"raw")
        .entry(b'K', b"././@LongLink", 0, b"", format!("{target}\0").as_bytes())
        .entry(b'L', b"././@LongLink", 0, b"", format!("{PREFIX}/{}\0", "g".repeat(200)).as_bytes())
        .symlink("short", "short")
        .entry(b'g', b"global", 0, b"", b"13 comment=x\n");
    let (place, _) = accepted(&archive.layer());
    let tree = walk(&place.destination());
    let below = |name: &str| Path::new(name.strip_prefix(PREFIX).unwrap().trim_start_matches('/')).to_owned();
    assert_eq!(tree[&below(&long)].inode, tree[Path::new("link")].inode);
    assert_eq!(tree[&below(&newline)].size, 7);
    assert_eq!(tree[Path::new(&"g".repeat(200))].link.as_deref(), Some(Path::new(&target)));
    assert_eq!(tree.values().filter(|found| found.kind == "file" && found.size == 3).count(), 1);
}

#[test]
fn a_pax_size_counts_and_the_headers_does_not() {
    let name = format!("{PREFIX}/big");
    let archive =
        Archive::package().pax(&[("size", b"600")]).file(&name, 0o644, b"").raw(&[b'x'; 600]).raw(&[0; 424]);
    let (place, _) = accepted(&archive.layer());
    assert_eq!(std::fs::read(place.destination().join("big")).unwrap(), [b'x'; 600]);
}

#[test]
fn a_file_larger_than_any_buffer() {
    let content: Vec<u8> = (0..5_000_011u32).flat_map(|n| (n / 7).to_le_bytes()).collect();
    let archive = Archive::package().file(&format!("{PREFIX}/big"), 0o644, &content);
    let (place, unpacked) = accepted(&archive.layer());
    assert!(std::fs::read(place.destination().join("big")).unwrap() == content);
    assert!(unpacked.bytes > 20_000_000);
}

#[test]
fn visiting_shows_every_file_and_writes_nothing() {
    let layer = Archive::package()
        .hard_link(&format!("{PREFIX}/link"), &format!("{PREFIX}/bin/tool"))
        .symlink(&format!("{PREFIX}/symlink"), "x")
        .layer();
    let info = read_build_info(&layer[..], &OPTIONS).unwrap();
    let mut seen = Vec::new();
    let visited = for_each_file(&layer[..], &info.prefix_in_layer, &OPTIONS, |path, size, content| {
        let mut bytes = Vec::new();
        // Of one file only a part is read.
        let limit = if path.starts_with("lib") { 2 } else { u64::MAX };
        content.take(limit).read_to_end(&mut bytes)?;
        seen.push((path.to_str().unwrap().to_owned(), size, bytes));
        Ok::<_, io::Error>(())
    });
    assert_eq!(visited.unwrap(), info);
    assert_eq!(
        seen,
        [
            ("bin/tool".to_owned(), 10, b"#!/bin/sh\n".to_vec()),
            ("lib/libx".to_owned(), 7, b"li".to_vec()),
            (
                ".spack/binary_distribution".to_owned(),
                BUILD_INFO.len() as u64,
                BUILD_INFO.as_bytes().to_vec()
            ),
        ]
    );
    let (_, unpacked) = accepted(&layer);
    assert_eq!(unpacked, info);

    let stopped = for_each_file(&layer[..], PREFIX, &OPTIONS, |_, _, _| Err("enough")).unwrap_err();
    assert!(matches!(stopped, UnpackError::Visitor { ref source, .. } if source.to_string() == "enough"));
    assert!(stopped.to_string().contains("bin/tool"), "{stopped}");
}

#[test]
fn the_limit_for_a_layer() {
    assert_eq!(Limits::for_layer(0), Limits { uncompressed: 1 << 30 });
    assert_eq!(Limits::for_layer(100 << 20), Limits { uncompressed: 20_000 << 20 });
    assert_eq!(Limits::for_layer(u64::MAX), Limits { uncompressed: u64::MAX });
    let layer = Archive::package().layer();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&layer[..]).read_to_end(&mut plain).unwrap();
    let exactly = UnpackOptions { limits: Limits { uncompressed: plain.len() as u64 }, threads: 1 };
    assert!(Place::new().unpack(&layer[..], &exactly).is_ok());
    let less = UnpackOptions { limits: Limits { uncompressed: plain.len() as u64 - 1 }, threads: 1 };
    assert!(matches!(Place::new().unpack(&layer[..], &less), Err(UnpackError::TooLarge { .. })));
}

/// Runs an ignored test of this binary in a shell that says `setting` before: umask and limits are a
/// process's.
fn in_shell(setting: &str, test: &str) {
    let exe = std::env::current_exe().unwrap();
    let script = format!("{setting}; exec \"$0\" --exact --ignored \"$1\"");
    let output = Command::new("sh").args(["-c", &script]).arg(exe).arg(test).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn modes_do_not_depend_on_the_umask() {
    for umask in ["0000", "0022", "0077", "0777"] {
        // The directory for temporary files is made before, for with 0777 nothing can be made in one.
        in_shell(&format!("umask {umask}"), "legal::modes_are_exact_child");
    }
}

#[test]
#[ignore = "run by modes_do_not_depend_on_the_umask"]
fn modes_are_exact_child() {
    use std::os::unix::fs::PermissionsExt;
    let destination = tempfile::tempdir().unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(destination.path(), mode).unwrap();
    strata_layer::unpack::unpack(&Archive::package().layer()[..], destination.path(), &OPTIONS).unwrap();
    for (path, found) in walk(destination.path()) {
        let expected = if found.kind == "dir" || path.ends_with("tool") { 0o755 } else { 0o644 };
        assert_eq!(found.mode, expected, "{}", path.display());
    }
}

#[test]
fn a_write_that_fails_names_the_file() {
    in_shell("trap '' XFSZ; ulimit -f 8", "legal::a_write_fails_child");
}

#[test]
#[ignore = "run by a_write_that_fails_names_the_file, with a limit on the size of files"]
fn a_write_fails_child() {
    let place = Place::new();
    let layer = Archive::package().file(&format!("{PREFIX}/big"), 0o644, &[7; 1 << 20]).layer();
    let error = place.unpack(&layer[..], &OPTIONS).unwrap_err();
    let UnpackError::Io { path, source } = error else { panic!("{error}") };
    assert_eq!(source.kind(), io::ErrorKind::FileTooLarge, "{source}");
    assert!(path.starts_with(place.destination()) && path.ends_with("big"), "{}", path.display());
}

#[test]
fn many_directories_need_few_descriptors() {
    in_shell("ulimit -n 100", "legal::many_directories_child");
}

#[test]
#[ignore = "run by many_directories_need_few_descriptors, with a limit on the number of open files"]
fn many_directories_child() {
    let archive = (0..3000).fold(Archive::package(), |archive, number| {
        let directory = format!("{PREFIX}/d{number}");
        archive.directory(&directory).file(&format!("{directory}/file"), 0o644, b"one")
    });
    let (_, unpacked) = accepted(&archive.layer());
    assert_eq!(unpacked.files, 3003);
}

#[test]
fn the_first_directories_tell_the_prefix() {
    let names = |layer: &[u8]| leading_directories(layer).unwrap();
    let layer = Archive::package().layer();
    assert_eq!(names(&layer), ["opt", PREFIX, &format!("{PREFIX}/bin")]);
    assert_eq!(names(&Archive::default().file("first", 0o644, b"").directory("opt").ended()), [""; 0]);
    assert_eq!(names(&Archive::default().directory("./opt/").ended()), ["opt"]);
    // How large the first file is does not matter, nor whether it is there.
    let file = header(b'0', format!("{PREFIX}/big").as_bytes(), 0o644, b"", 1 << 40);
    let cut = Archive::default().directory("opt").directory(PREFIX).raw(file.as_bytes());
    assert_eq!(names(&cut.compressed()), ["opt", PREFIX]);
    // However many there are, few are looked at.
    let many = (0..2000).fold(Archive::default(), |archive, number| archive.directory(&format!("d{number}")));
    assert_eq!(names(&many.ended()).len(), 1024);
    let cut = Archive::default().directory("opt").compressed();
    assert!(matches!(leading_directories(&cut[..]), Err(UnpackError::Truncated { offset: 512 })));
}
