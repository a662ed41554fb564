//! Memory stays bounded however large a package is, packed or merged. Alone in its process, whose high-water mark it reads.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use strata_layer::BuildInfo;
use strata_layer::gzip::writer::CompressorPool;
use strata_layer::merge::merge;
use strata_layer::pack::{PackRequest, pack};
use strata_layer::unpack::{Limits, UnpackOptions};
use strata_testkit::golden;

/// The most memory this process ever had resident, in KiB; nothing where there is no `/proc`.
fn high_water_mark() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[test]
fn a_gigabyte_takes_less_than_64_mebibytes() {
    let temporary = tempfile::tempdir().expect("a directory");
    // More threads than blocks may be in flight, each of which has packed something already, so that what is measured
    // is what one large pack adds.
    let pool = CompressorPool::new(NonZeroUsize::new(32).expect("not 0")).expect("threads");
    let request = |prefix: &Path, output: &mut (dyn io::Write + Send)| {
        let prefix = prefix.to_owned();
        let packed = pack(
            PackRequest {
                prefix: &prefix,
                build_info: BuildInfo::default(),
                prefixes: vec![b"/nowhere".to_vec()],
            },
            &pool,
            output,
        );
        packed.expect("packed")
    };
    let small = temporary.path().join("small");
    fs::create_dir(&small).expect("a directory");
    request(&small, &mut io::sink());
    let large = temporary.path().join("large");
    fs::create_dir(&large).expect("a directory");
    fs::File::create(large.join("sparse")).and_then(|file| file.set_len(1 << 30)).expect("a sparse file");

    let Some(before) = high_water_mark() else {
        return golden::skipped("a_gigabyte_takes_less_than_64_mebibytes", "there is no /proc/self/status");
    };
    let packed = request(&large, &mut io::sink());
    let after = high_water_mark().expect("it was there before");
    assert!(packed.uncompressed_size > 1 << 30);
    let grown = (after - before) >> 10;
    println!("{grown} MiB more");
    assert!(grown < 64, "{grown} MiB more");

    // Merging keeps blocks on their way in and on their way out, and no more of a layer.
    let layer = temporary.path().join("layer");
    request(&large, &mut fs::File::create(&layer).expect("a file"));
    let options = UnpackOptions { limits: Limits { uncompressed: 2 << 30 }, threads: 8 };
    let merged =
        merge([(fs::File::open(&layer).expect("the layer"), packed.diff_id)], &options, &pool, io::sink());
    assert_eq!(merged.expect("merged").diff_id, packed.diff_id);
    let grown = (high_water_mark().expect("it was there before") - before) >> 10;
    println!("{grown} MiB more after merging");
    assert!(grown < 256, "{grown} MiB more after merging");
}
