//! Packing real and odd prefixes: the same layers as Spack's, the same bytes with any number of threads, errors that
//! name the file, and no more system calls than files warrant.

// clippy.toml allows these in tests, which does not cover the helper functions of an integration test.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::fs;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use strata_layer::BuildInfo;
use strata_layer::gzip::writer::CompressorPool;
use strata_layer::pack::{PackError, PackRequest, Packed, pack, write_tar};
use strata_testkit::golden;

#[path = "pack/entries.rs"]
mod entries;
#[path = "pack/golden_layers.rs"]
mod golden_layers;
#[path = "pack/system_calls.rs"]
mod system_calls;

fn pool(threads: usize) -> CompressorPool {
    CompressorPool::new(NonZeroUsize::new(threads).expect("a thread")).expect("threads")
}

fn request(prefix: &Path) -> PackRequest<'_> {
    PackRequest {
        prefix,
        build_info: BuildInfo { buildpath: "/opt/store".to_owned(), ..BuildInfo::default() },
        prefixes: vec![b"/opt/store".to_vec()],
    }
}

fn packed(prefix: &Path) -> (Packed, Vec<u8>) {
    let mut layer = Vec::new();
    let packed = pack(request(prefix), &pool(2), &mut layer).unwrap();
    (packed, layer)
}

#[test]
fn what_is_said_about_a_layer_is_what_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let prefix = temporary.path().join("pkg-1");
    fs::create_dir_all(prefix.join("lib")).unwrap();
    fs::write(prefix.join("lib/liba.so"), b"\x7fELF and more").unwrap();
    fs::write(prefix.join("setting"), "root = /opt/store/x\n").unwrap();
    symlink("/opt/store/y", prefix.join("link")).unwrap();
    let (packed, layer) = packed(&prefix);

    let tar = entries::inflate(&layer);
    assert_eq!(packed.size, layer.len() as u64);
    assert_eq!(packed.uncompressed_size, tar.len() as u64);
    assert_eq!(packed.digest, entries::sha256(&layer));
    assert_eq!(packed.diff_id, entries::sha256(&tar));
    assert_eq!(packed.entries, entries::of_tar(&tar).len() as u64);
    assert_eq!(packed.build_info.relocate_binaries, ["lib/liba.so"]);
    assert_eq!(packed.build_info.relocate_textfiles, ["setting"]);
    assert_eq!(packed.build_info.relocate_links, ["link"]);
    assert_eq!(entries::binary_distribution(&tar), packed.build_info.to_yaml());
    let mut plain = Vec::new();
    let contents = write_tar(request(&prefix), &mut plain).unwrap();
    assert!(plain == tar && contents.build_info == packed.build_info && contents.entries == packed.entries);
}

#[test]
fn spacks_own_directory_is_packed_but_not_scanned_and_its_old_file_replaced() {
    let temporary = tempfile::tempdir().unwrap();
    let prefix = temporary.path().join("pkg-1");
    fs::create_dir_all(prefix.join(".spack/archived")).unwrap();
    fs::create_dir_all(prefix.join("a")).unwrap();
    fs::write(prefix.join(".spack/binary_distribution"), "old, of /opt/store").unwrap();
    fs::write(prefix.join(".spack/archived/log"), "/opt/store").unwrap();
    fs::write(prefix.join(".spack/zz"), b"\x7fELF and more").unwrap();
    fs::write(prefix.join(".spackle"), "/opt/store").unwrap();
    // Spack leaves the file out by device and inode, so under any other name too.
    fs::hard_link(prefix.join(".spack/binary_distribution"), prefix.join("a/copy")).unwrap();
    fs::hard_link(prefix.join(".spack/binary_distribution"), prefix.join("0-first")).unwrap();
    let (packed, layer) = packed(&prefix);
    let tar = entries::inflate(&layer);
    let base = prefix.strip_prefix("/").unwrap().to_str().unwrap().to_owned();
    let names: Vec<String> = entries::of_tar(&tar)
        .into_iter()
        .filter_map(|entry| entry.name.strip_prefix(&base).map(ToOwned::to_owned))
        .collect();
    let expected = [
        "",
        "/.spackle",
        "/.spack",
        "/.spack/zz",
        "/.spack/archived",
        "/.spack/archived/log",
        "/a",
        "/.spack/binary_distribution",
    ];
    assert_eq!(names, expected);
    assert_eq!(packed.build_info.relocate_textfiles, [".spackle"]);
    assert_eq!(packed.build_info.relocate_binaries, [""; 0]);
}

#[test]
fn one_inode_is_packed_and_listed_once() {
    let temporary = tempfile::tempdir().unwrap();
    let prefix = temporary.path().join("pkg-1");
    fs::create_dir_all(prefix.join("bin")).unwrap();
    fs::write(prefix.join("bin/b"), "path = /opt/store").unwrap();
    for name in ["bin/c", "a", "z"] {
        fs::hard_link(prefix.join("bin/b"), prefix.join(name)).unwrap();
    }
    let (packed, layer) = packed(&prefix);
    assert_eq!(packed.build_info.relocate_textfiles, ["a"]);
    let links: Vec<(String, Option<String>)> = entries::of_tar(&entries::inflate(&layer))
        .into_iter()
        .filter(|entry| entry.kind == "hardlink")
        .map(|entry| (entry.name, entry.link))
        .collect();
    let name = |relative: &str| prefix.join(relative).to_str().unwrap()[1..].to_owned();
    let expected = ["z", "bin/b", "bin/c"].map(|link| (name(link), Some(name("a"))));
    assert_eq!(links, expected);
}

#[test]
fn a_prefix_is_an_absolute_directory() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "").unwrap();
    let shared = pool(1);
    let fail = |prefix: &Path| pack(request(prefix), &shared, io::sink()).expect_err("no such prefix");
    for prefix in ["relative/path", "/", "", "/opt/../etc"] {
        assert!(matches!(fail(Path::new(prefix)), PackError::PrefixPath { .. }), "{prefix}");
    }
    for prefix in [file.clone(), temporary.path().join("missing")] {
        let error = fail(&prefix);
        assert!(
            matches!(&error, PackError::PrefixMissing { prefix: named, .. } if *named == prefix),
            "{error}"
        );
    }
}

#[test]
fn the_way_a_prefix_is_written_does_not_matter() {
    let temporary = tempfile::tempdir().unwrap();
    let prefix = temporary.path().join("pkg-1");
    fs::create_dir(&prefix).unwrap();
    fs::write(prefix.join("f"), "x").unwrap();
    let odd = PathBuf::from(format!("{}/.//pkg-1/", temporary.path().display()));
    assert_eq!(packed(&odd).0.diff_id, packed(&prefix).0.diff_id);
}

/// An output that does something to the prefix once `name` goes by, that is, between the header of that entry and what
/// follows.
struct Meanwhile<F> {
    name: &'static [u8],
    action: Option<F>,
}

impl<F: FnOnce()> Write for Meanwhile<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.windows(self.name.len()).any(|window| window == self.name)
            && let Some(action) = self.action.take()
        {
            action();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn pack_while(prefix: &Path, name: &'static [u8], action: impl FnOnce()) -> PackError {
    write_tar(request(prefix), Meanwhile { name, action: Some(action) }).expect_err("the prefix changed")
}

#[test]
fn a_prefix_that_changes_meanwhile_is_an_error_that_names_the_file() {
    let temporary = tempfile::tempdir().unwrap();
    let prefix = temporary.path().join("pkg-1");
    fs::create_dir_all(prefix.join("sub")).unwrap();
    let shrinking = prefix.join("shrinking");
    let later = prefix.join("sub/later");
    let restore = || {
        drop(fs::remove_file(&later));
        fs::write(&shrinking, vec![b'x'; 3 << 20]).unwrap();
        fs::write(&later, "later").unwrap();
    };

    restore();
    let error = pack_while(&prefix, b"shrinking", || {
        fs::File::options().write(true).open(&shrinking).unwrap().set_len(5).unwrap();
    });
    assert!(
        matches!(&error, PackError::Shrunk { path, expected, read: 5 }
            if *path == shrinking && *expected == 3 << 20),
        "{error}"
    );

    let read_error_at = |error: PackError, place: &Path| {
        assert!(matches!(&error, PackError::Read { path, .. } if path == place), "{error}");
    };
    restore();
    read_error_at(
        pack_while(&prefix, b"shrinking", || fs::remove_dir_all(prefix.join("sub")).unwrap()),
        &prefix.join("sub"),
    );
    fs::create_dir(prefix.join("sub")).unwrap();
    // The first entries of `sub` are in hand when its own header goes by: replace a file after that.
    restore();
    read_error_at(pack_while(&prefix, b"pkg-1/sub/", || fs::remove_file(&later).unwrap()), &later);
    restore();
    let become_link = || {
        fs::remove_file(&later).unwrap();
        symlink("/etc/passwd", &later).unwrap();
    };
    read_error_at(pack_while(&prefix, b"pkg-1/sub/", become_link), &later);
    restore();
    let become_pipe = || {
        fs::remove_file(&later).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, &later, fifo, rustix::fs::Mode::RWXU, 0).unwrap();
    };
    let error = pack_while(&prefix, b"pkg-1/sub/", become_pipe);
    assert!(matches!(&error, PackError::NotRegular { path } if *path == later), "{error}");
}

#[test]
fn a_full_disk_is_reported_and_the_pool_survives() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("large"), vec![b'x'; 9 << 20]).unwrap();
    let shared = pool(2);
    let error = pack(request(temporary.path()), &shared, Full).expect_err("full");
    let PackError::Output { prefix, source } = error else { panic!("{error}") };
    assert_eq!((prefix.as_path(), source.kind()), (temporary.path(), io::ErrorKind::StorageFull));
    assert!(pack(request(temporary.path()), &shared, io::sink()).is_ok());
}
