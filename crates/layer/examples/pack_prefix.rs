//! Packs one prefix and throws the layer away: what the system call and time measurements run.
//!
//! `pack_prefix PREFIX THREADS`

use std::num::NonZeroUsize;
use std::path::Path;

use strata_layer::BuildInfo;
use strata_layer::gzip::writer::CompressorPool;
use strata_layer::pack::{PackRequest, pack};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, prefix, threads] = arguments.as_slice() else {
        return Err("usage: pack_prefix PREFIX THREADS".into());
    };
    let pool = CompressorPool::new(threads.parse::<NonZeroUsize>()?)?;
    let root = Path::new(prefix).parent().ok_or("the root is no prefix")?;
    let request = PackRequest {
        prefix: Path::new(prefix),
        build_info: BuildInfo { buildpath: root.display().to_string(), ..BuildInfo::default() },
        prefixes: vec![prefix.clone().into_bytes(), root.display().to_string().into_bytes()],
    };
    pack(request, &pool, std::fs::File::create("/dev/null")?)?;
    Ok(())
}
