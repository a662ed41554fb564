//! Memory stays bounded however large a package is. Alone in its process, whose high-water mark it reads.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;

use strata_layer::BuildInfo;
use strata_layer::gzip::writer::CompressorPool;
use strata_layer::pack::{PackRequest, pack};
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
    let request = |prefix: &Path| {
        let prefix = prefix.to_owned();
        let packed = pack(
            PackRequest {
                prefix: &prefix,
                build_info: BuildInfo::default(),
                prefixes: vec![b"/nowhere".to_vec()],
            },
            &pool,
            io::sink(),
        );
        packed.expect("packed")
    };
    let small = temporary.path().join("small");
    fs::create_dir(&small).expect("a directory");
    request(&small);
    let large = temporary.path().join("large");
    fs::create_dir(&large).expect("a directory");
    fs::File::create(large.join("sparse")).and_then(|file| file.set_len(1 << 30)).expect("a sparse file");

    let Some(before) = high_water_mark() else {
        return golden::skipped("a_gigabyte_takes_less_than_64_mebibytes", "there is no /proc/self/status");
    };
    let packed = request(&large);
    let after = high_water_mark().expect("it was there before");
    assert!(packed.uncompressed_size > 1 << 30);
    let grown = (after - before) >> 10;
    println!("{grown} MiB more");
    assert!(grown < 64, "{grown} MiB more");
}
