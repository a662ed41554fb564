//! What no program could do without: `bench-floor pack` reads files and compresses them, `bench-floor inflate` inflates
//! layers, both on all cores. No digests, no tar, nothing is written.

use super::Outcome;
use libdeflater::{CompressionLvl, Compressor, Decompressor};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use strata_layer::gzip::{BLOCK_SIZE, HEADER_SIZE, MEMBER_SIZE_SUBFIELD, TRAILER_SIZE};

/// The level of libdeflate that strata compresses with.
const LEVEL: i32 = 5;

/// Reads all regular files below the directories and compresses them in blocks.
#[allow(clippy::print_stdout)]
pub(crate) fn pack(directories: &[&str]) -> Outcome<()> {
    let mut files = Vec::new();
    for directory in directories {
        list(Path::new(directory), &mut files)?;
    }
    let next = AtomicUsize::new(0);
    let bytes = on_all_cores(|| compress_files(&files, &next))?;
    println!("{bytes}");
    Ok(())
}

/// Each is a part of a file of a block's length at most, so that a large file is shared by all threads.
fn list(directory: &Path, parts: &mut Vec<(PathBuf, u64)>) -> Outcome<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            list(&entry.path(), parts)?;
        } else if kind.is_file() {
            let blocks = entry.metadata()?.len().div_ceil(BLOCK_SIZE as u64);
            parts.extend((0..blocks).map(|block| (entry.path(), block * BLOCK_SIZE as u64)));
        }
    }
    Ok(())
}

fn compress_files(parts: &[(PathBuf, u64)], next: &AtomicUsize) -> Outcome<u64> {
    let mut compressor = Compressor::new(CompressionLvl::new(LEVEL).map_err(|_| "no such level")?);
    let mut block = Vec::with_capacity(2 * BLOCK_SIZE);
    let mut compressed = vec![0; compressor.gzip_compress_bound(BLOCK_SIZE)];
    let mut total = 0;
    let mut compress = |bytes: &[u8]| -> Outcome<()> {
        total += compressor.gzip_compress(bytes, &mut compressed)? as u64;
        Ok(())
    };
    while let Some((path, offset)) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
        let mut file = File::open(path)?;
        if *offset > 0 {
            std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(*offset))?;
        }
        file.take(BLOCK_SIZE as u64).read_to_end(&mut block)?;
        if block.len() >= BLOCK_SIZE {
            compress(&block[..BLOCK_SIZE])?;
            block.drain(..BLOCK_SIZE);
        }
    }
    compress(&block)?;
    Ok(total)
}

/// Inflates all members of the layers, which have to be strata's own.
#[allow(clippy::print_stdout)]
pub(crate) fn inflate(layers: &[&str]) -> Outcome<()> {
    let layers = layers.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
    let mut all = Vec::new();
    for layer in &layers {
        members(layer, &mut all)?;
    }
    let next = AtomicUsize::new(0);
    let bytes = on_all_cores(|| {
        let (mut inflater, mut block) = (Decompressor::new(), vec![0; BLOCK_SIZE]);
        let mut total = 0;
        while let Some(member) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            total += inflater.gzip_decompress(member, &mut block)? as u64;
        }
        Ok(total)
    })?;
    println!("{bytes}");
    Ok(())
}

/// The members of a stream of which each says how long it is.
fn members<'l>(mut stream: &'l [u8], members: &mut Vec<&'l [u8]>) -> Outcome<()> {
    while !stream.is_empty() {
        let field = stream.get(12..HEADER_SIZE).filter(|field| field[..2] == MEMBER_SIZE_SUBFIELD);
        let size = field.and_then(|field| field[4..8].try_into().ok()).map(u32::from_le_bytes);
        let size = size.ok_or("a layer that strata did not write")? as usize;
        if size < HEADER_SIZE + TRAILER_SIZE || size > stream.len() {
            return Err("a layer that is damaged".into());
        }
        let (member, rest) = stream.split_at(size);
        members.push(member);
        stream = rest;
    }
    Ok(())
}

/// The sum of what the work gives on each of the cores.
fn on_all_cores(work: impl Fn() -> Outcome<u64> + Sync) -> Outcome<u64> {
    let cores = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(&work)).collect();
        let mut sum = 0;
        for worker in workers {
            sum += worker.join().map_err(|_| "a thread of the floor failed")??;
        }
        Ok(sum)
    })
}
