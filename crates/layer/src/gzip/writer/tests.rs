use std::io::{Read, Write};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::read::MultiGzDecoder;

use super::*;
use crate::gzip::{BLOCK_SIZE, HEADER_SIZE, TRAILER_SIZE};

fn pool(threads: usize) -> CompressorPool {
    CompressorPool::new(NonZeroUsize::new(threads).unwrap()).unwrap()
}

/// Bytes that compress a little, and no two blocks alike.
fn sample(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 58) as u8
    };
    (0..size).map(|_| next()).collect()
}

fn compress(pool: &CompressorPool, bytes: &[u8], piece: usize) -> Finished<Vec<u8>> {
    let mut writer = MemberWriter::new(pool, Vec::new());
    for piece in bytes.chunks(piece) {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

/// The members of a stream as their extra fields delimit them: offset and uncompressed size of each.
fn members(stream: &[u8]) -> Vec<(usize, u32)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < stream.len() {
        let header = &stream[at..at + HEADER_SIZE];
        assert_eq!(&header[..10], b"\x1f\x8b\x08\x04\0\0\0\0\0\xff");
        assert_eq!(&header[10..16], b"\x08\0ST\x04\0");
        let size = u32::from_le_bytes(header[16..20].try_into().unwrap()) as usize;
        let trailer = &stream[at + size - TRAILER_SIZE..at + size];
        found.push((at, u32::from_le_bytes(trailer[4..].try_into().unwrap())));
        at += size;
    }
    found
}

#[test]
fn the_bytes_depend_on_the_input_alone() {
    let input = sample(5 * BLOCK_SIZE + 12_345);
    let first = compress(&pool(1), &input, BLOCK_SIZE);
    assert_eq!(first.diff_id, <[u8; 32]>::from(Sha256::digest(&input)));
    assert_eq!(first.digest, <[u8; 32]>::from(Sha256::digest(&first.output)));
    assert_eq!((first.size, first.uncompressed_size), (first.output.len() as u64, input.len() as u64));
    for (threads, piece) in [(1, 777_777), (2, 1 << 22), (2, 4099), (7, 1_048_577), (7, 65_536)] {
        let other = compress(&pool(threads), &input, piece);
        assert!(other.output == first.output, "{threads} threads, {piece} bytes at once");
        assert_eq!((other.digest, other.diff_id), (first.digest, first.diff_id));
    }
}

#[test]
fn members_hold_a_block_each_say_their_size_and_inflate() {
    let shared = pool(2);
    for size in [0, 1, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1, 3 * BLOCK_SIZE] {
        let input = sample(size);
        let stream = compress(&shared, &input, 100_000).output;
        let sizes: Vec<u32> = members(&stream).into_iter().map(|(_, size)| size).collect();
        let mut expected: Vec<u32> = input.chunks(BLOCK_SIZE).map(|block| block.len() as u32).collect();
        if size == 0 {
            expected.push(0);
        }
        assert_eq!(sizes, expected);
        let mut inflated = Vec::new();
        MultiGzDecoder::new(&stream[..]).read_to_end(&mut inflated).unwrap();
        assert!(inflated == input, "{size}");
    }
}

#[test]
fn blocks_that_do_not_compress_fit_their_buffers() {
    let mut noise = vec![0; 2 * BLOCK_SIZE];
    let mut hash = [0; 32];
    for piece in noise.chunks_mut(32) {
        hash = Sha256::digest(hash).into();
        piece.copy_from_slice(&hash);
    }
    let stream = compress(&pool(2), &noise, BLOCK_SIZE).output;
    assert!(stream.len() > noise.len());
    let mut inflated = Vec::new();
    MultiGzDecoder::new(&stream[..]).read_to_end(&mut inflated).unwrap();
    assert!(inflated == noise);
}

#[test]
fn flushing_does_not_move_the_boundaries() {
    let shared = pool(2);
    let input = sample(2 * BLOCK_SIZE + 99);
    let mut writer = MemberWriter::new(&shared, Vec::new());
    for piece in input.chunks(300_000) {
        writer.write_all(piece).unwrap();
        writer.flush().unwrap();
    }
    assert!(writer.finish().unwrap().output == compress(&shared, &input, 4096).output);
}

/// Fails after so many bytes.
#[derive(Debug)]
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.checked_sub(bytes.len()) {
            Some(left) => self.0 = left,
            None => return Err(std::io::ErrorKind::StorageFull.into()),
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn errors_of_the_output_arrive_and_last() {
    let shared = pool(3);
    let input = sample(BLOCK_SIZE);
    let mut writer = MemberWriter::new(&shared, Full(BLOCK_SIZE));
    let error = (0..1000).find_map(|_| writer.write_all(&input).err()).expect("the output is full");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(writer.write(b"x").is_err());
    assert!(writer.flush().is_err());
    assert!(writer.finish().is_err(), "a stream with a hole is not finished");

    let mut writer = MemberWriter::new(&shared, Full(10));
    writer.write_all(b"small").unwrap();
    assert_eq!(writer.finish().unwrap_err().kind(), std::io::ErrorKind::StorageFull);
}

#[test]
fn a_stream_dropped_midway_and_a_panic_leave_the_pool_usable() {
    let shared = pool(2);
    let input = sample(4 * BLOCK_SIZE);
    let expected = compress(&shared, &input, BLOCK_SIZE).output;

    let mut dropped = MemberWriter::new(&shared, std::io::sink());
    dropped.write_all(&input).unwrap();
    drop(dropped);

    for _ in 0..8 {
        shared.run(0, Box::new(|_| std::panic::resume_unwind(Box::new("a defect"))));
    }
    let (reply, lost) = crossbeam_channel::bounded::<Result<Member, CompressError>>(1);
    shared.run(
        0,
        Box::new(move |_| {
            let _reply = reply;
            std::panic::resume_unwind(Box::new("a defect"));
        }),
    );
    assert!(lost.recv().is_err(), "whoever waits for the block learns that it is lost");
    assert!(compress(&shared, &input, BLOCK_SIZE).output == expected);
}

#[test]
fn a_lost_block_is_an_error_of_its_stream() {
    let shared = pool(1);
    let mut writer = MemberWriter::new(&shared, Vec::new());
    let (_, lost) = crossbeam_channel::bounded(1);
    writer.in_flight.push_back(lost);
    let error = writer.flush().unwrap_err();
    assert!(
        matches!(error.get_ref().and_then(|e| e.downcast_ref()), Some(CompressError::WorkerLost)),
        "{error}"
    );
}

#[test]
fn streams_that_share_a_pool_do_not_mix() {
    let shared = pool(2);
    let inputs: Vec<Vec<u8>> = (1..=4).map(|n| sample(n * BLOCK_SIZE + n)).collect();
    let alone: Vec<Vec<u8>> = inputs.iter().map(|input| compress(&shared, input, 65_536).output).collect();
    std::thread::scope(|scope| {
        let shared = &shared;
        let running: Vec<_> =
            inputs.iter().map(|input| scope.spawn(move || compress(shared, input, 65_536).output)).collect();
        for (stream, expected) in running.into_iter().zip(&alone) {
            assert!(stream.join().unwrap() == *expected);
        }
    });
}

/// Notes the most blocks that a stream had in flight when it wrote.
struct Slow<'a>(&'a AtomicUsize);

impl Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_more_than_the_bound_is_in_flight() {
    let shared = pool(3);
    let written = AtomicUsize::new(0);
    let mut writer = MemberWriter::new(&shared, Slow(&written));
    let block = vec![0; BLOCK_SIZE];
    for _ in 0..40 {
        writer.write_all(&block).unwrap();
        assert!(writer.in_flight.len() <= 7);
        assert!(writer.in_flight.len() + writer.spare.len() <= 8, "buffers are used again");
    }
    writer.finish().unwrap();
    assert_eq!(written.into_inner(), 40);
}
