use std::io::{self, Cursor, Read, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;

/// A member as strata writes it, by hand so that the reader is tested against the format, not the writer.
fn tagged(plain: &[u8]) -> Vec<u8> {
    let mut tool = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(6).unwrap());
    let mut deflated = vec![0; tool.deflate_compress_bound(plain.len())];
    let length = tool.deflate_compress(plain, &mut deflated).unwrap();
    let mut member = vec![0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'S', b'T', 4, 0];
    member.extend(((20 + length + 8) as u32).to_le_bytes());
    member.extend(&deflated[..length]);
    member.extend(libdeflater::crc32(plain).to_le_bytes());
    member.extend((plain.len() as u32).to_le_bytes());
    member
}

fn foreign(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn plain(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // Half the values, so that it compresses.
            (state >> 60) as u8 * 17
        })
        .collect()
}

fn inflate(compressed: &[u8], threads: usize) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    InflateReader::new(compressed, threads).read_to_end(&mut out)?;
    Ok(out)
}

fn error(compressed: &[u8], threads: usize) -> (io::ErrorKind, GzipError) {
    let error = inflate(compressed, threads).unwrap_err();
    (error.kind(), *error.into_inner().expect("typed").downcast::<GzipError>().expect("a GzipError"))
}

const ALL_THREADS: [usize; 4] = [0, 1, 2, 7];

#[test]
fn members_come_out_in_order_whatever_the_threads() {
    let blocks: Vec<Vec<u8>> =
        (0..40).map(|n| plain(n, if n % 7 == 0 { 0 } else { 1 << (n % 21) })).collect();
    let compressed: Vec<u8> = blocks.iter().flat_map(|block| tagged(block)).collect();
    for threads in ALL_THREADS {
        assert!(inflate(&compressed, threads).unwrap() == blocks.concat(), "{threads} threads");
    }
}

#[test]
fn kinds_of_members_may_be_mixed() {
    let (a, b, c) = (plain(1, 900_000), plain(2, 3_000_000), plain(3, 10));
    let compressed = [tagged(&a), tagged(&c), foreign(&b), foreign(&c), tagged(&a), foreign(&[])].concat();
    let expected = [&a[..], &c, &b, &c, &a].concat();
    for threads in ALL_THREADS {
        assert!(inflate(&compressed, threads).unwrap() == expected, "{threads} threads");
    }
}

#[test]
fn a_full_block_that_does_not_compress_is_still_read_whole() {
    let mut block = vec![0; crate::gzip::BLOCK_SIZE];
    let mut state = 1u64;
    for byte in &mut block {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state as u8;
    }
    let member = tagged(&block);
    assert!(member.len() > block.len());
    let mut source = Source::new(&member[..]);
    assert!(SizedMember::peek(&mut source).unwrap().is_some());
    assert!(inflate(&member, 2).unwrap() == block);
}

#[test]
fn zero_padding_is_tolerated_and_nothing_else_is() {
    let member = tagged(b"abc");
    for end in [&member, &foreign(b"abc")] {
        for threads in ALL_THREADS {
            let zeros = [&end[..], &[0; 300_000]].concat();
            assert_eq!(inflate(&zeros, threads).unwrap(), b"abc");
            let garbage = [&zeros[..], b"x"].concat();
            let offset = zeros.len() as u64;
            assert!(
                matches!(error(&garbage, threads).1, GzipError::TrailingGarbage { offset: o } if o == offset)
            );
            let garbage = [&end[..], b"PK"].concat();
            let offset = end.len() as u64;
            assert!(
                matches!(error(&garbage, threads).1, GzipError::TrailingGarbage { offset: o } if o == offset)
            );
        }
    }
}

#[test]
fn what_is_not_gzip_is_named() {
    assert!(matches!(error(b"", 2), (io::ErrorKind::UnexpectedEof, GzipError::Empty)));
    assert!(matches!(error(b"\x1f", 2), (io::ErrorKind::UnexpectedEof, GzipError::Truncated { offset: 1 })));
    let (kind, html) = error(b"<!DOCTYPE html>", 2);
    assert_eq!(kind, io::ErrorKind::InvalidData);
    assert!(matches!(html, GzipError::NotGzip { ref start } if start == b"<!DOCTYP"));
    assert!(matches!(error(&[0; 512], 2).1, GzipError::NotGzip { .. }));
}

#[test]
fn every_truncation_is_an_error() {
    let (first, second) = (tagged(&plain(1, 5_000)), foreign(&plain(2, 5_000)));
    for (order, boundary) in
        [([&first[..], &second].concat(), first.len()), ([&second[..], &first].concat(), second.len())]
    {
        for length in (0..order.len()).step_by(7).filter(|length| *length != boundary) {
            for threads in [1, 2] {
                let (kind, error) = error(&order[..length], threads);
                assert_eq!(kind, io::ErrorKind::UnexpectedEof, "{length}: {error}");
            }
        }
    }
}

#[test]
fn corruption_of_data_checksum_or_length_is_found() {
    let member = tagged(&plain(1, 100_000));
    for threads in [1, 3] {
        for position in [30, 200, member.len() - 8, member.len() - 4] {
            let mut bad = member.clone();
            bad[position] ^= 0x10;
            assert!(
                matches!(error(&bad, threads), (io::ErrorKind::InvalidData, GzipError::Corrupt { .. })),
                "byte {position}"
            );
        }
    }
    let mut bad = [member.clone(), member].concat();
    let second = bad.len() / 2;
    *bad.last_mut().unwrap() ^= 1;
    let (_, error) = error(&bad, 2);
    assert!(matches!(error, GzipError::Corrupt { .. }), "{error}");
    assert!(error.to_string().contains(&second.to_string()) || error.to_string().contains("byte"), "{error}");
}

#[test]
fn a_lying_length_is_an_error_or_falls_back_to_streaming() {
    let block = plain(1, 50_000);
    let honest = tagged(&block);
    let lying = |length: u32| {
        let mut member = honest.clone();
        member[16..20].copy_from_slice(&length.to_le_bytes());
        member.extend(tagged(b"next"));
        member
    };
    let expected = [&block[..], b"next"].concat();
    // Out of range, or more than there is: not ours, and an ordinary gzip reader sees nothing wrong.
    for length in [0, 1, 29, 3 << 20, 5 << 20, u32::MAX, 1 << 20] {
        for threads in [1, 2] {
            assert!(inflate(&lying(length), threads).unwrap() == expected, "{length}");
        }
    }
    // In range: either the checksum tells, or the length in what passes for a trailer is absurd and it
    // streams.
    for length in [30, 100, honest.len() as u32 - 1, honest.len() as u32 + 1, honest.len() as u32 + 32] {
        for threads in [1, 2] {
            match inflate(&lying(length), threads) {
                Ok(out) => assert!(out == expected, "{length}"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}: {error}"),
            }
        }
    }
}

#[test]
fn a_member_that_claims_more_than_a_block_streams() {
    let block = plain(1, crate::gzip::BLOCK_SIZE + 1);
    assert!(inflate(&tagged(&block), 2).unwrap() == block);
}

/// Gives some bytes, then an error instead of the end, as a stream does whose digest is wrong.
struct Refusing<'a>(Cursor<&'a [u8]>);

impl Read for Refusing<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::Error::new(io::ErrorKind::PermissionDenied, "digest mismatch")),
            length => Ok(length),
        }
    }
}

#[test]
fn an_error_of_the_compressed_stream_arrives_unchanged() {
    for compressed in [tagged(b"abc"), foreign(b"abc"), foreign(b"abc")[..9].to_vec(), vec![0x1f], vec![]] {
        for threads in ALL_THREADS {
            let mut reader = InflateReader::new(Refusing(Cursor::new(&compressed)), threads);
            let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
            assert_eq!(error.to_string(), "digest mismatch");
            let again = reader.read(&mut [0]).unwrap_err();
            assert!(again.to_string().contains("stopped earlier"), "{again}");
        }
    }
}

#[test]
fn draining_lets_the_compressed_stream_speak() {
    let mut bad = tagged(&plain(1, 100_000));
    bad[40] ^= 1;
    bad.extend(foreign(b"more"));
    for threads in [1, 2] {
        let mut reader = InflateReader::new(Refusing(Cursor::new(&bad)), threads);
        let mut out = Vec::new();
        let error = reader.read_to_end(&mut out).unwrap_err();
        // With work done ahead the end of the stream may be met first.
        if error.kind() != io::ErrorKind::PermissionDenied {
            assert_eq!(reader.drain_compressed().unwrap_err().to_string(), "digest mismatch");
        }
    }
}

#[test]
fn a_reader_dropped_midway_ends_its_threads() {
    let compressed: Vec<u8> = (0..30).flat_map(|n| tagged(&plain(n, 300_000))).collect();
    let mut reader = InflateReader::new(&compressed[..], 4);
    reader.read_exact(&mut [0; 10]).unwrap();
    drop(reader);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), start in 0usize..17) {
        let header = [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'S', b'T', 4, 0];
        let _ = inflate(&[&header[..start], &bytes].concat(), 2);
        let _ = inflate(&bytes, 1);
    }

    #[test]
    fn a_changed_byte_never_gives_other_bytes(
        position in 0usize..10_000,
        value in any::<u8>(),
        threads in 1usize..3,
    ) {
        let expected = plain(5, 20_000);
        let mut compressed = [tagged(&expected[..9_000]), foreign(&expected[9_000..])].concat();
        let position = position % compressed.len();
        compressed[position] = value;
        if let Ok(out) = inflate(&compressed, threads) {
            prop_assert!(out == expected);
        }
    }
}
