//! What the benchmarks are given: made up, the same each time, and shaped like what packages and indexes hold.

use std::fmt::Write;
use std::fs;
use strata_layer::BuildInfo;
use strata_layer::gzip::BLOCK_SIZE;
use strata_layer::pack::PackRequest;
use strata_layer::relocate::PrefixMap;
use strata_spec::catalog::{HEADER_LENGTH, lengths};
use strata_spec::{Catalog, Version};
use tempfile::TempDir;

/// Where the made-up packages were built; 64 bytes, and as every install prefix it ends in a hash.
const STORE: &str = "/opt/spack/opt/spack/__spack_path_placeholder__/linux-x86_64_v3/";

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Numbers without a pattern.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn hash(&mut self) -> String {
        (0..32).map(|_| char::from(BASE32[(self.next() & 31) as usize])).collect()
    }
}

fn prefixes(count: usize) -> Vec<String> {
    let mut numbers = Numbers(1);
    (0..count).map(|at| format!("{STORE}package-{at}-1.{at}-{}", numbers.hash())).collect()
}

/// A prefix on disk, and what to look for in it.
pub(crate) struct Package {
    directory: TempDir,
    prefixes: Vec<Vec<u8>>,
}

impl Package {
    pub(crate) fn request(&self) -> PackRequest<'_> {
        PackRequest {
            prefix: self.directory.path(),
            build_info: BuildInfo::default(),
            prefixes: self.prefixes.clone(),
        }
    }
}

/// A thousand files of up to a kilobyte in forty directories, and nothing to look for.
pub(crate) fn many_small_files() -> Package {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut numbers = Numbers(2);
    for number in 0..40 {
        let inside = directory.path().join(format!("share/directory-{number}"));
        fs::create_dir_all(&inside).expect("a directory can be made");
        for file in 0..25 {
            let content = "content\n".repeat((numbers.next() & 127) as usize);
            fs::write(inside.join(format!("file-{file}.txt")), content).expect("a file can be written");
        }
    }
    Package { directory, prefixes: Vec::new() }
}

/// Four texts of a megabyte each, of which every line has a path that begins as the prefixes of fifty packages do.
pub(crate) fn large_texts() -> Package {
    let directory = tempfile::tempdir().expect("a directory can be made");
    for number in 0..4 {
        let text = lines(1 << 20, &[format!("{STORE}other-{number}")]);
        fs::write(directory.path().join(format!("text-{number}")), text).expect("a file can be written");
    }
    let prefixes = prefixes(50).into_iter().map(String::into_bytes).collect();
    Package { directory, prefixes }
}

/// Lines of words, each with one of the paths, `size` bytes or a little more of them.
fn lines(size: usize, paths: &[String]) -> Vec<u8> {
    const WORDS: [&str; 8] =
        ["prefix", "= libdir ", "; if test", "-L", "export ", "the quick", "#define ", "\t"];
    let mut numbers = Numbers(3);
    let mut text = String::with_capacity(size + 512);
    while text.len() < size {
        for _ in 0..8 {
            text.push_str(WORDS[(numbers.next() & 7) as usize]);
            text.push(' ');
        }
        text.push_str(&paths[numbers.next() as usize % paths.len()]);
        text.push_str("/lib\n");
    }
    text.into_bytes()
}

/// What fills a member of a layer and half of another one.
pub(crate) struct CompressionInput(pub(crate) Vec<u8>);

/// Bytes that compress to about a third. Making them counts, so they are cheap: words of a long row, one by one.
pub(crate) fn to_compress() -> CompressionInput {
    const SIZE: usize = BLOCK_SIZE + BLOCK_SIZE / 2;
    let mut numbers = Numbers(4);
    let words: Vec<u64> = (0..512).map(|_| numbers.next() << 20).collect();
    let mut bytes = Vec::with_capacity(SIZE);
    while bytes.len() < SIZE {
        bytes.extend_from_slice(&words[(numbers.next() & 511) as usize].to_le_bytes());
    }
    CompressionInput(bytes)
}

fn map() -> PrefixMap {
    let pairs = prefixes(20).into_iter().map(|old| {
        let new = old.replace("/opt/spack/opt/spack/__spack_path_placeholder__/", "/home/me/store/");
        (old, new)
    });
    PrefixMap::new(pairs).expect("they are absolute paths")
}

/// A megabyte of lines, each with a prefix.
pub(crate) fn text_to_relocate() -> (PrefixMap, Vec<u8>) {
    (map(), lines(1 << 20, &prefixes(20)))
}

/// A megabyte like machine code, with a prefix in a C string every four kilobytes.
pub(crate) fn binary_to_relocate() -> (PrefixMap, Vec<u8>) {
    let mut numbers = Numbers(5);
    let prefixes = prefixes(20);
    let mut bytes = Vec::new();
    for page in 0..256 {
        bytes.extend((0..4096).map(|_| numbers.next() as u8));
        bytes.extend_from_slice(prefixes[page % prefixes.len()].as_bytes());
        bytes.extend_from_slice(b"/share/locale\0");
    }
    (map(), bytes)
}

/// Versions of all kinds.
pub(crate) fn versions() -> Vec<Version> {
    let mut numbers = Numbers(6);
    let released =
        (0..48).map(|_| format!("{}.{}.{}", numbers.next() % 4, numbers.next() % 9, numbers.next() % 30));
    let mut texts: Vec<String> = released.collect();
    texts.extend(
        ["develop", "main", "1.2-rc1", "1.2.3beta2", "2024a", "9e", "git.main=1.2"].map(str::to_owned),
    );
    texts.iter().map(|text| text.parse().expect("it is a version")).collect()
}

/// Specs as people write them, with everything there is to write.
pub(crate) fn spec_texts() -> Vec<&'static str> {
    const SPECS: [&str; 12] = [
        "zlib",
        "zlib@1.2.13",
        "hdf5@1.12:1.14,develop +mpi~cxx api=v110",
        "openmpi@4: fabrics=ucx,verbs schedulers=slurm %gcc@12.2",
        "hdf5 ^openmpi@4.1.5 ^zlib-ng@2:",
        "python@3.11.4+optimizations~debug arch=linux-debian12-x86_64_v3",
        "trilinos cflags=\"-O3 -g\" cxxflags==-fPIC target=zen2:",
        "mpileaks@=1.0 %[virtuals=c,cxx] gcc@13 ^[virtuals=mpi deptypes=build,link] mpich",
        "builtin.cmake@3.27:3 os=ubuntu22.04 ~ownlibs build_type=Release",
        "/abcdefghijklmnopqrstuvwxyz234567",
        "py-numpy@1.24:1 ^openblas threads=openmp ^python@:3.11",
        "llvm@17 +clang targets:=x86,nvptx",
    ];
    SPECS.repeat(10)
}

/// The JSON of an index of two thousand specs: each with parameters of one of thirty kinds, and up to four dependencies.
pub(crate) fn index_json() -> String {
    const SPECS: usize = 2000;
    let mut numbers = Numbers(7);
    let hashes: Vec<String> = (0..SPECS).map(|_| numbers.hash()).collect();
    let mut json = String::from(r#"{"database":{"version":"8","installs":{"#);
    for (at, hash) in hashes.iter().enumerate() {
        let kind = numbers.next() % 30;
        let mut edges = String::new();
        for edge in 0..at.min(4) {
            let to = numbers.next() as usize % at;
            let comma = if edge == 0 { "" } else { "," };
            let hash = &hashes[to];
            write!(
                edges,
                r#"{comma}{{"name":"package-{to}","hash":"{hash}","parameters":{{"deptypes":["build","link"],"virtuals":[]}}}}"#
            )
            .expect("a string takes everything");
        }
        let comma = if at == 0 { "" } else { "," };
        write!(
            json,
            r#"{comma}"{hash}":{{"spec":{{"name":"package-{at}","version":"1.{kind}.{at}","arch":{{"platform":"linux","platform_os":"debian12","target":{{"name":"x86_64_v3","vendor":"generic","features":[],"generation":3,"parents":["x86_64_v2"]}}}},"namespace":"builtin","parameters":{{"build_system":"autotools","shared":true,"level":"{kind}","cflags":[],"cppflags":[],"cxxflags":[],"fflags":[],"ldflags":[],"ldlibs":[]}},"package_hash":"{hash}{hash}====","dependencies":[{edges}],"annotations":{{"original_specfile_version":5}},"hash":"{hash}"}},"ref_count":0,"in_buildcache":true}}"#
        )
        .expect("a string takes everything");
    }
    json.push_str("}}}");
    json
}

/// Both parts of an index that was kept.
pub(crate) struct Kept {
    pub(crate) tables: Vec<u8>,
    pub(crate) document: String,
}

/// What is kept of [`index_json`].
pub(crate) fn kept_index() -> Kept {
    let (catalog, _) = Catalog::parse(index_json()).expect("it is an index");
    let mut tables = Vec::new();
    catalog.write(&mut tables).expect("memory takes everything");
    let (length, _) = lengths(&tables[..HEADER_LENGTH]).expect("it was written just now");
    let document = tables.split_off(usize::try_from(length).expect("it is in memory"));
    Kept { tables, document: String::from_utf8(document).expect("it is JSON") }
}
