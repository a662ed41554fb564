//! How many instructions the hot paths take, counted by callgrind, and how many they may take.
//!
//! `benches/run` counts them, and fails if one takes more than its limit: [`LAST_COUNTED`] and a tenth. `benches/run --bless`
//! writes what it counts into that table; say in the commit why a count became larger.
//!
//! Unlike times, counts are the same on a busy machine. They depend on the compiler, the profile, the C library and the
//! versions of dependencies, which the tenth is for, and on the instruction set: what chooses its code by what the processor
//! can do (libdeflate, memchr, aho-corasick, SHA-256, the C library) sees the processor that valgrind makes up, which has
//! AVX2 if the real one has it, and never AVX-512 or SHA instructions. So the limits hold on any x86-64 machine with AVX2.
//!
//! Inputs are made outside of what is counted, and are the same each time. Only the thread that calls is counted, but for
//! [`member_compression`], where others do the work: that counts the whole process, making its input included.

// The macros make items that are public, and end the process.
#![allow(missing_docs, clippy::exit)]

mod inputs;

use gungraun::{Callgrind, EntryPoint, EventKind, LibraryBenchmarkConfig};
use gungraun::{library_benchmark, library_benchmark_group, main};
use inputs::{CompressionInput, Kept, Package};
use std::hint::black_box;
use std::io::{self, Write};
use strata_layer::gzip::writer::{CompressorPool, Finished, MemberWriter};
use strata_layer::pack::{TarContents, write_tar};
use strata_layer::relocate::{PrefixMap, replace_c_strings, replace_text};
use strata_spec::{AbstractSpec, Catalog, Version};

/// What each took when it was last counted. `benches/run --bless` writes this.
const LAST_COUNTED: &[(&str, u64)] = &[
    ("tar_writing", 6_635_150),
    ("prefix_scan", 12_841_708),
    ("member_compression", 232_807_302),
    ("text_relocation", 8_905_077),
    ("c_string_relocation", 670_149),
    ("version_comparison", 307_535),
    ("spec_parsing", 1_370_189),
    ("index_load", 83_900_258),
    ("kept_index_load", 320_786),
];

/// Lets `name` take a tenth more than when it was last counted.
fn limited(name: &str, callgrind: &mut Callgrind) -> LibraryBenchmarkConfig {
    let (_, last) =
        LAST_COUNTED.iter().find(|(benchmark, _)| *benchmark == name).expect("it is in the table");
    let callgrind = callgrind.hard_limits([(EventKind::Ir, last + last / 10)]);
    LibraryBenchmarkConfig::default().tool(callgrind).clone()
}

fn caller(name: &str) -> LibraryBenchmarkConfig {
    limited(name, &mut Callgrind::default())
}

fn whole_process(name: &str) -> LibraryBenchmarkConfig {
    limited(name, Callgrind::default().entry_point(EntryPoint::None))
}

#[library_benchmark(config = caller("tar_writing"), setup = inputs::many_small_files)]
#[bench::of_many_small_files()]
fn tar_writing(package: Package) -> (Package, TarContents) {
    let contents = write_tar(package.request(), io::sink()).expect("the package can be read");
    (package, contents)
}

#[library_benchmark(config = caller("prefix_scan"), setup = inputs::large_texts)]
#[bench::of_texts_that_nearly_match()]
fn prefix_scan(package: Package) -> (Package, TarContents) {
    let contents = write_tar(package.request(), io::sink()).expect("the package can be read");
    (package, contents)
}

#[library_benchmark(config = whole_process("member_compression"), setup = inputs::to_compress)]
#[bench::of_two_members()]
fn member_compression(input: CompressionInput) -> Finished<io::Sink> {
    let pool = CompressorPool::new(std::num::NonZeroUsize::MIN).expect("a thread can be had");
    let mut writer = MemberWriter::new(&pool, io::sink());
    writer.write_all(&input.0).expect("a sink takes everything");
    writer.finish().expect("a sink takes everything")
}

#[library_benchmark(config = caller("text_relocation"), setup = inputs::text_to_relocate)]
#[bench::of_a_text_with_many_prefixes()]
fn text_relocation((map, text): (PrefixMap, Vec<u8>)) -> (PrefixMap, Vec<u8>, Option<Vec<u8>>) {
    let replaced = replace_text(black_box(&map), black_box(&text));
    (map, text, replaced)
}

#[library_benchmark(config = caller("c_string_relocation"), setup = inputs::binary_to_relocate)]
#[bench::of_a_binary_with_some_prefixes()]
fn c_string_relocation((map, mut bytes): (PrefixMap, Vec<u8>)) -> (PrefixMap, Vec<u8>) {
    let found = replace_c_strings(black_box(&map), &mut bytes).expect("shorter prefixes fit");
    assert!(found, "the binary has prefixes");
    (map, bytes)
}

#[library_benchmark(config = caller("version_comparison"), setup = inputs::versions)]
#[bench::of_all_pairs()]
fn version_comparison(versions: Vec<Version>) -> (Vec<Version>, usize) {
    let pairs = versions.iter().flat_map(|left| versions.iter().map(move |right| (left, right)));
    let older = pairs.filter(|(left, right)| black_box(left) < black_box(right)).count();
    (versions, older)
}

#[library_benchmark(config = caller("spec_parsing"), setup = inputs::spec_texts)]
#[bench::of_all_sigils()]
fn spec_parsing(texts: Vec<&'static str>) -> Vec<AbstractSpec> {
    texts.iter().map(|text| text.parse().expect("it is a spec")).collect()
}

#[library_benchmark(config = caller("index_load"), setup = inputs::index_json)]
#[bench::of_two_thousand_specs()]
fn index_load(json: String) -> Catalog {
    let (catalog, skipped) = Catalog::parse(json).expect("it is an index");
    assert!(skipped.is_empty(), "all of it is understood: {skipped:?}");
    catalog
}

#[library_benchmark(config = caller("kept_index_load"), setup = inputs::kept_index)]
#[bench::of_two_thousand_specs()]
fn kept_index_load(kept: Kept) -> Catalog {
    Catalog::open(kept.tables, Box::new(kept.document)).expect("it is as it was written")
}

library_benchmark_group!(
    name = hot_paths,
    benchmarks = [
        tar_writing,
        prefix_scan,
        member_compression,
        text_relocation,
        c_string_relocation,
        version_comparison,
        spec_parsing,
        index_load,
        kept_index_load,
    ]
);

main!(library_benchmark_groups = hot_paths);
