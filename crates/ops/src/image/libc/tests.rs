//! Trees of the kinds that distributions have.

#![allow(clippy::unwrap_used)]

use super::*;

enum Item<'a> {
    File(&'a str, &'a [u8]),
    Link(&'a str, &'a str),
    Hard(&'a str, &'a str),
    Directory(&'a str),
}
use Item::{Directory, File, Hard, Link};

fn layer(items: &[Item<'_>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for item in items {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o755);
        header.set_size(0);
        match item {
            File(name, content) => {
                header.set_size(content.len() as u64);
                archive.append_data(&mut header, name, *content).unwrap();
            }
            Link(name, target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, name, target).unwrap();
            }
            Hard(name, target) => {
                header.set_entry_type(tar::EntryType::Link);
                archive.append_link(&mut header, name, target).unwrap();
            }
            Directory(name) => {
                header.set_entry_type(tar::EntryType::Directory);
                archive.append_data(&mut header, name, &b""[..]).unwrap();
            }
        }
    }
    archive.into_inner().unwrap()
}

/// What is found in layers, the lowest first, and how many of them were read.
fn found(layers: &[&[Item<'_>]]) -> (Option<String>, usize) {
    let mut tree = Tree::new("amd64");
    for (read, items) in layers.iter().rev().enumerate() {
        tree.add(layer(items).as_slice()).unwrap();
        if let Some(libc) = tree.of_loader() {
            return (Some(libc.to_string()), read + 1);
        }
    }
    (tree.of_library().map(|libc| libc.to_string()), layers.len())
}

fn elf(machine: u8, version: &str) -> Vec<u8> {
    let mut content = b"\x7fELF\x02\x01\x01".to_vec();
    content.resize(18, 0);
    content.extend([machine, 0]);
    content.extend(format!("\0GNU C Library (GNU libc) stable release version {version}.\n").into_bytes());
    content
}

const LIBRARY: &str = "usr/lib/x86_64-linux-gnu/libc.so.6";
const LOADER: &str = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";

#[test]
fn the_loader_leads_there_through_links_of_any_layer() {
    let (new, old, other) = (elf(62, "2.36"), elf(62, "2.28"), elf(3, "2.17"));
    let debian: &[Item<'_>] = &[
        Directory("usr/"),
        Link("lib", "usr/lib"),
        Link("lib64", "usr/lib64"),
        Link("usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"),
        File(LOADER, &new),
        File(LIBRARY, &new),
    ];
    assert_eq!(found(&[debian]), (Some("glibc 2.36".into()), 1));
    // Before 2.33 the loader does not say which it is, and both are links.
    let buster: &[Item<'_>] = &[
        Link("lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-2.28.so"),
        File("lib/x86_64-linux-gnu/ld-2.28.so", b"\x7fELF"),
        File("lib/x86_64-linux-gnu/libc-2.28.so", &old),
        Link("lib/x86_64-linux-gnu/libc.so.6", "libc-2.28.so"),
        File("lib/i386-linux-gnu/libc.so.6", &other),
        File("lib/i386-linux-gnu/ld-linux.so.2", &other),
    ];
    assert_eq!(found(&[buster]).0.as_deref(), Some("glibc 2.28"));
    // An upgrade in a layer of its own, which is all that has to be read.
    assert_eq!(found(&[buster, debian]), (Some("glibc 2.36".into()), 1));
    assert_eq!(found(&[debian, &[File("etc/motd", b"")]]), (Some("glibc 2.36".into()), 2));
    let nix: &[Item<'_>] = &[
        Link("lib64/ld-linux-x86-64.so.2", "/nix/store/x-glibc-2.38/lib/ld-linux-x86-64.so.2"),
        File("nix/store/x-glibc-2.38/lib/ld-linux-x86-64.so.2", &elf(62, "2.38")),
    ];
    assert_eq!(found(&[nix]).0.as_deref(), Some("glibc 2.38"));
    let hard: &[Item<'_>] =
        &[File("opt/libc-2.31.so", &elf(62, "2.31")), Hard("lib64/libc.so.6", "opt/libc-2.31.so")];
    assert_eq!(found(&[hard]).0.as_deref(), Some("glibc 2.31"));
}

#[test]
fn what_upper_layers_hide_is_not_there() {
    let new = elf(62, "2.36");
    let base: &[Item<'_>] = &[File(LIBRARY, &new), File(LOADER, &new)];
    for (hiding, expected) in [
        (vec![File("usr/lib/x86_64-linux-gnu/.wh..wh..opq", b"")], None),
        (vec![File("usr/lib/.wh.x86_64-linux-gnu", b"")], None),
        (vec![File(".wh.usr", b"")], None),
        (vec![File(LIBRARY, b"none"), File(LOADER, b"none")], None),
        (vec![File("usr/lib/x86_64-linux-gnu/.wh.ld-linux-x86-64.so.2", b"")], Some("glibc 2.36")),
        (vec![File(".wh..wh..opq", b"")], None),
        (vec![File("usr/lib/.wh.other", b"")], Some("glibc 2.36")),
    ] {
        assert_eq!(found(&[base, &hiding]).0.as_deref(), expected);
        // A layer hides nothing that is in it.
        let both: Vec<Item<'_>> = hiding.into_iter().chain([File(LIBRARY, &new)]).collect();
        if !matches!(both[0], File(LIBRARY, _)) {
            assert!(found(&[&both]).0.is_some());
        }
    }
}

#[test]
fn libraries_of_others_and_links_in_circles_are_none() {
    let (arm, conda) = (elf(183, "2.36"), elf(62, "2.17"));
    for items in [
        vec![File("lib64/libc.so.6", arm.as_slice())],
        vec![File("opt/conda/x86_64-conda-linux-gnu/sysroot/lib64/libc.so.6", conda.as_slice())],
        vec![Link("lib64/libc.so.6", "libc-2.so"), Link("lib64/libc-2.so", "libc.so.6")],
        vec![Link("lib64/ld-linux-x86-64.so.2", "../../../../nowhere")],
        vec![File("lib64/libc.so.6", b"/* GNU ld script */ GROUP ( /lib64/libc.so.6 )")],
        vec![],
    ] {
        assert_eq!(found(&[&items]).0, None);
    }
}

#[test]
fn musl_tells_its_version_if_there_is_but_one_that_it_can_be() {
    let content = |versions: &str| {
        format!("\x7fELF\0musl libc (x86_64)\nVersion %s\nDynamic Program Loader\n\0{versions}\0")
            .into_bytes()
    };
    let one = content("1.2.4\x001.2.4");
    let alpine: &[Item<'_>] =
        &[File("lib/ld-musl-x86_64.so.1", &one), Link("lib/libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1")];
    assert_eq!(found(&[alpine]).0.as_deref(), Some("musl 1.2.4"));
    let version = |content: &[u8]| musl(content).map(|libc| libc.version);
    for whole in ["1.2.5-git-12-gabcdef0", "1.2.4_git20230717"] {
        assert_eq!(version(&content(whole)).as_deref(), Some(whole));
    }
    for unclear in ["1.2.4\x001.1.1", "", "10.2.3", "1.2", "1.2.3.4", "1.2.x"] {
        assert_eq!(version(&content(unclear)).as_deref(), Some(""), "{unclear}");
    }
    assert_eq!(version(b"1.2.4"), None);
}
