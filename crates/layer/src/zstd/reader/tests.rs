use std::io::Write;
use std::num::NonZeroUsize;

use proptest::prelude::*;

use super::pool::MAX_SPARE;
use super::*;
use crate::compression::Method;
use crate::gzip::writer::{CompressorPool, MemberWriter};
use crate::zstd::BLOCK_SIZE;

/// Bytes that compress a little, and no two blocks alike.
fn sample(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 58) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// Bytes that do not compress.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..size).map(|_| next()).collect()
}

/// As strata writes it.
fn written(plain: &[u8], level: u8, threads: usize, piece: usize) -> Vec<u8> {
    let threads = NonZeroUsize::new(threads).unwrap();
    let pool = CompressorPool::with_method(threads, Method::Zstd { level }).unwrap();
    let mut writer = MemberWriter::new(&pool, Vec::new());
    plain.chunks(piece).for_each(|piece| writer.write_all(piece).unwrap());
    let finished = writer.finish().unwrap();
    assert_eq!(finished.size, finished.output.len() as u64);
    finished.output
}

fn skippable(content: &[u8]) -> Vec<u8> {
    [&[0x53, 0x2a, 0x4d, 0x18][..], &(content.len() as u32).to_le_bytes(), content].concat()
}

fn read(stream: &[u8], threads: usize) -> Result<Vec<u8>, String> {
    let mut reader = FrameReader::new(stream, threads);
    let mut plain = Vec::new();
    loop {
        match reader.next_block() {
            Ok(Some(block)) => {
                assert!(!block.is_empty());
                plain.extend_from_slice(&block);
            }
            Ok(None) => return Ok(plain),
            Err(error) => {
                let inner = error.get_ref().is_some_and(|inner| inner.is::<ZstdError>());
                assert!(inner, "{error:?}");
                let again = reader.next_block().unwrap_err();
                assert_eq!(again.to_string(), "decompressing stopped earlier");
                return Err(error.to_string());
            }
        }
    }
}

#[test]
fn the_bytes_depend_on_the_input_alone_and_are_read_again() {
    let input = sample(3 * BLOCK_SIZE + 12_345);
    for level in [1, 3, 19] {
        let first = written(&input, level, 1, BLOCK_SIZE);
        assert!(first.len() < input.len());
        for (threads, piece) in [(2, 777_777), (5, 1 << 23)] {
            assert!(written(&input, level, threads, piece) == first, "level {level}, {threads} threads");
        }
        assert!(zstd::decode_all(&first[..]).unwrap() == input, "by zstd itself");
        for threads in [0, 1, 2, 7] {
            assert!(read(&first, threads).unwrap() == input, "{threads} threads");
        }
        // Four frames, each of which says what is in it.
        let sizes = |stream: &[u8]| {
            let mut source = Source::new(stream);
            let mut sizes = Vec::new();
            while let Next::Frame(header) = frame::next(&mut source, true).unwrap() {
                sizes.push(header.content.unwrap());
                let length = frame::length(&mut source, &header, MAX_LENGTH).unwrap().unwrap();
                source.consume(length);
            }
            sizes
        };
        assert_eq!(sizes(&first), [BLOCK_SIZE as u64, BLOCK_SIZE as u64, BLOCK_SIZE as u64, 12_345]);
    }
    assert!(written(&input, 1, 2, 4096) != written(&input, 19, 2, 4096));
    for empty in [written(b"", 3, 1, 1), Vec::new(), skippable(b"x")] {
        assert_eq!(read(&empty, 2), Ok(Vec::new()));
    }
    assert_eq!(written(b"", 3, 1, 1).len(), 13, "one empty frame");
}

#[test]
fn frames_of_others_are_streamed_and_mixed_with_ours() {
    let input = sample(9 << 20);
    let single = zstd::encode_all(&input[..], 3).unwrap();
    let ours = written(&input[..3 << 20], 3, 2, 1 << 20);
    let whole = zstd::bulk::compress(&input, 1).unwrap();
    let zeros = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    for threads in [1, 3] {
        for (plain, stream) in [(&input[..], &single), (&input, &whole)] {
            assert!(read(stream, threads).unwrap() == plain);
        }
        let mixed = [&skippable(b"")[..], &ours, &single, &skippable(&input[..200_000]), &ours].concat();
        let expected = [&input[..3 << 20], &input, &input[..3 << 20]].concat();
        assert!(read(&mixed, threads).unwrap() == expected);
        assert_eq!(read(&zeros, threads).unwrap().len(), 64 << 20);
    }
}

#[test]
fn a_stream_cut_anywhere_is_told() {
    let tail = b"the last words".repeat(40);
    let small = zstd::bulk::compress(&tail, 3).unwrap();
    let streamed = zstd::encode_all(&tail[..], 3).unwrap();
    let whole = [&small[..], &skippable(b"skipped"), &streamed].concat();
    let second = small.len();
    let third = second + 15;
    for threads in [1, 2] {
        for length in 1..whole.len() {
            let result = read(&whole[..length], threads);
            if length == second || length == third {
                assert_eq!(result.as_ref(), Ok(&tail));
            } else {
                let expected =
                    format!("the zstd stream is cut short: it ends at byte {length}, within a frame");
                assert_eq!(result, Err(expected), "{length} of {}", whole.len());
            }
        }
    }
}

#[test]
fn what_follows_and_what_is_none_is_told_with_its_place() {
    let frame = zstd::bulk::compress(b"content", 3).unwrap();
    let at = frame.len();
    for garbage in [&b"garbage"[..], &[0; 100], &[0x1f, 0x8b, 8, 0, 0], b"x"] {
        let error = read(&[&frame[..], garbage].concat(), 2).unwrap_err();
        assert_eq!(error, format!("the last zstd frame is followed by something else, at byte {at}"));
    }
    assert_eq!(
        read(b"no frame", 2).unwrap_err(),
        "not a zstd stream: it starts with the bytes [6e, 6f, 20, 66, 72, 61, 6d, 65]"
    );
}

#[test]
fn a_frame_that_lies_or_is_damaged_is_told() {
    let plain = sample(100_000);
    let good = zstd::bulk::compress(&plain, 3).unwrap();
    // A window, and four bytes that say the length of the content.
    assert_eq!(good[4], 0xa0);
    for (at, what) in [(5, "a little more"), (7, "64 KiB more")] {
        for threads in [1, 2] {
            let mut lying = good.clone();
            lying[at] = lying[at].wrapping_add(1);
            let error = read(&[&skippable(b"12345")[..], &lying].concat(), threads).unwrap_err();
            assert!(error.starts_with("the zstd frame at byte 13 is corrupt: "), "{what}: {error}");
        }
    }
    // Far more, and it is streamed.
    let mut lying = good.clone();
    lying[8] = 1;
    let error = read(&lying, 2).unwrap_err();
    assert!(error.starts_with("the zstd frame at byte 0 is corrupt: "), "{error}");

    let mut damaged = written(&plain, 3, 1, 4096);
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    let error = read(&damaged, 2).unwrap_err();
    assert!(error.contains("byte 0 is corrupt") && error.contains("checksum"), "{error}");

    let mut reserved = good;
    reserved[4] |= 8;
    let error = read(&reserved, 2).unwrap_err();
    assert_eq!(error, "the zstd frame at byte 0 is corrupt: a reserved bit of its header is set");
}

#[test]
fn windows_and_dictionaries_are_refused_by_the_header() {
    let frame = |descriptor: u8, rest: &[u8]| {
        [&[0x28, 0xb5, 0x2f, 0xfd, descriptor], rest, &[1, 0, 0], &[0; 20]].concat()
    };
    // 2^27 bytes are allowed, and an eighth more are not.
    assert_eq!(read(&frame(0, &[17 << 3])[..9], 1), Ok(Vec::new()));
    for (byte, window) in [(17 << 3 | 1, 150_994_944_u64), (18 << 3, 1 << 28), (255, 15 << 38)] {
        assert_eq!(
            read(&frame(0, &[byte]), 2).unwrap_err(),
            format!("the zstd frame at byte 0 needs a window of {window} bytes, and 134217728 are allowed")
        );
    }
    // A single segment needs as much as there is in it.
    let error = read(&frame(0xe0, &(1u64 << 40).to_le_bytes()), 2).unwrap_err();
    assert!(error.contains("needs a window of 1099511627776 bytes"), "{error}");
    for (descriptor, rest) in [(1, &[0, 7][..]), (2, &[0, 7, 0]), (3, &[0, 7, 0, 0, 0])] {
        let error = read(&frame(descriptor, rest), 2).unwrap_err();
        assert_eq!(error, "the zstd frame at byte 0 needs the dictionary 7, and layers have none");
    }
    let mut training: Vec<Vec<u8>> = Vec::new();
    training.resize_with(200, || sample(300));
    let dictionary = zstd::dict::from_samples(&training, 4096);
    let dictionary = dictionary.unwrap_or_else(|_| sample(4096));
    let mut compressor = zstd::bulk::Compressor::with_dictionary(3, &dictionary).unwrap();
    let frame = compressor.compress(&sample(1000)).unwrap();
    assert!(read(&frame, 2).is_err());
}

#[test]
fn what_is_held_is_bounded_whatever_frames_say() {
    // Each says that it has 4 MiB, which is true, and is a few hundred bytes.
    let frame = zstd::bulk::compress(&vec![7; MAX_CONTENT as usize], 1).unwrap();
    let stream = frame.repeat(64);
    let mut reader = FrameReader::new(&stream[..], 64);
    let mut total = 0;
    while let Some(block) = reader.next_block().unwrap() {
        total += block.len() as u64;
        assert!(reader.held <= MAX_HELD, "{}", reader.held);
        assert!(reader.in_flight.len() <= MAX_IN_FLIGHT);
    }
    assert_eq!((total, reader.held), (64 * MAX_CONTENT, 0));
}

#[test]
fn buffers_of_large_frames_do_not_pile_up() {
    // Each round grows another few of the buffers that small frames brought into use.
    let large = zstd::bulk::compress(&noise(MAX_CONTENT as usize), 1).unwrap();
    assert!(large.len() > MAX_CONTENT as usize);
    let small = zstd::bulk::compress(b"small", 1).unwrap();
    let round = [&small.repeat(MAX_IN_FLIGHT - 1)[..], &large].concat();
    let stream = round.repeat(8);
    let mut reader = FrameReader::new(&stream[..], 64);
    let mut total = 0;
    while let Some(block) = reader.next_block().unwrap() {
        total += block.len() as u64;
        let spare = reader.pool.as_ref().unwrap().spare_bytes();
        assert!(spare <= MAX_SPARE && reader.held <= MAX_HELD, "{spare}, {}", reader.held);
    }
    assert_eq!(total, 8 * (MAX_CONTENT + 5 * (MAX_IN_FLIGHT as u64 - 1)));
}

#[test]
fn a_streamed_block_takes_no_more_memory_than_its_bytes() {
    let stream =
        [zstd::encode_all(&b"few"[..], 1).unwrap(), zstd::encode_all(&b"bytes"[..], 1).unwrap()].concat();
    let mut reader = FrameReader::new(&stream[..], 1);
    for expected in [&b"few"[..], b"bytes"] {
        let block = reader.next_block().unwrap().unwrap();
        assert_eq!(block, expected);
        let block = block.try_into_mut().unwrap();
        assert!(block.capacity() < 64, "{}", block.capacity());
    }
    assert!(reader.next_block().unwrap().is_none());
}

#[test]
fn frames_that_are_streamed_are_told_apart() {
    let good = zstd::encode_all(&sample(1000)[..], 3).unwrap();
    let mut damaged = good.clone();
    // The last block of the frame becomes one of the type that there is not.
    damaged[6] |= 6;
    let stream = [&good[..], &good, &damaged].concat();
    let error = read(&stream, 2).unwrap_err();
    assert!(error.starts_with(&format!("the zstd frame at byte {} is corrupt: ", 2 * good.len())), "{error}");
}

#[test]
fn want_of_memory_is_not_taken_for_damage() {
    let error = ZstdError::of_code(NO_MEMORY, 5);
    assert_eq!(get_error_name(NO_MEMORY), "Allocation error : not enough memory");
    assert_eq!(error.to_string(), "there is no memory to decompress the zstd frame at byte 5");
    assert_eq!(error.into_io().kind(), io::ErrorKind::OutOfMemory);
}

/// Frames without anything in them, and others to be skipped, again and again and without an end.
struct Endless {
    round: Vec<u8>,
    at: usize,
    left: usize,
}

impl Read for Endless {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other("that is all that the manifest promised"));
        }
        let length = into.len().min(self.round.len() - self.at).min(self.left);
        into[..length].copy_from_slice(&self.round[self.at..self.at + length]);
        self.at = (self.at + length) % self.round.len();
        self.left -= length;
        Ok(length)
    }
}

#[test]
fn frames_with_nothing_in_them_hold_nothing() {
    let empty = zstd::bulk::compress(b"", 1).unwrap();
    let streamed = zstd::encode_all(&b""[..], 1).unwrap();
    // A window of 128 MiB, and nothing in it.
    let wide = [0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0];
    let round = [&skippable(b"nothing")[..], &empty, &skippable(b""), &streamed, &wide].concat();
    let mut reader = FrameReader::new(Endless { round, at: 0, left: 200_000 }, 4);
    let error = reader.next_block().unwrap_err();
    assert_eq!(error.to_string(), "that is all that the manifest promised");
    assert!(reader.held < 1 << 20 && reader.in_flight.len() <= MAX_IN_FLIGHT);
    // The longest that there can be, of which little is there.
    let mut long = skippable(b"");
    long[4..].fill(0xff);
    long.extend([0; 1000]);
    assert_eq!(
        read(&long, 2),
        Err("the zstd stream is cut short: it ends at byte 1008, within a frame".to_owned())
    );
}

/// Gives some bytes, then an error instead of the end.
struct Complaining<'a>(&'a [u8]);

impl Read for Complaining<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::other("the digest is wrong")),
            length => Ok(length),
        }
    }
}

#[test]
fn errors_of_the_stream_arrive_unchanged() {
    for stream in [written(&sample(5000), 3, 1, 100), zstd::encode_all(&sample(5000)[..], 3).unwrap()] {
        let mut reader = FrameReader::new(Complaining(&stream), 2);
        let error = loop {
            match reader.next_block() {
                Ok(block) => assert!(block.is_some(), "the end comes after the error"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.to_string(), "the digest is wrong");
        let mut cut = FrameReader::new(Complaining(&stream[..20]), 2);
        assert_eq!(cut.next_block().unwrap_err().to_string(), "the digest is wrong");
    }
    let mut reader = FrameReader::new(Complaining(b"nonsense, and a lot of it"), 2);
    assert!(reader.next_block().unwrap_err().to_string().starts_with("not a zstd stream"));
    assert_eq!(reader.drain_compressed().unwrap_err().to_string(), "the digest is wrong");
}

proptest! {
    #[test]
    fn whatever_is_cut_and_mixed_is_read_again(
        pieces in prop::collection::vec((any::<Vec<u8>>(), 0u8..4, 1usize..50), 1..8),
        threads in 0usize..4,
    ) {
        let (mut stream, mut expected) = (Vec::new(), Vec::new());
        for (bytes, kind, times) in pieces {
            let content = bytes.repeat(times);
            match kind {
                0 => stream.extend(skippable(&content)),
                1 => stream.extend(zstd::encode_all(&content[..], 1).unwrap()),
                2 => stream.extend(zstd::bulk::compress(&content, 5).unwrap()),
                _ => stream.extend(written(&content, 3, 1, 1000)),
            }
            expected.extend(if kind == 0 { Vec::new() } else { content });
        }
        prop_assert_eq!(read(&stream, threads), Ok(expected));
    }

    #[test]
    fn no_bytes_panic(
        mut bytes: Vec<u8>,
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        descriptor: u8,
    ) {
        let _ = read(&bytes, 2);
        bytes.splice(0..0, [0x28, 0xb5, 0x2f, 0xfd, descriptor]);
        let _ = read(&bytes, 1);
        let mut stream = [zstd::bulk::compress(&bytes, 1).unwrap(), zstd::encode_all(&bytes[..], 3).unwrap()].concat();
        for (place, byte) in places {
            let at = place.index(stream.len());
            stream[at] = byte;
        }
        let _ = read(&stream, 2);
    }
}
