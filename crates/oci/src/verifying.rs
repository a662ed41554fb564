//! [`VerifyingReader`]: a blob's bytes, none of which are trusted before its digest is.
//!
//! The check is not left to the end of the stream, because a reader of a tar stops where the archive ends: whoever
//! has been given all the bytes that the descriptor promises has been given verified ones.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::{Descriptor, Digest, ErrorKind};

/// How a blob's bytes turned out not to be the blob. Carried inside the [`io::Error`]s of a blob's reader; see
/// [`BlobError::of`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// More bytes than the descriptor says.
    #[error("{location}: blob {digest} is longer than the {size} bytes its descriptor says")]
    TooLong {
        /// The URL or file it was read from.
        location: String,
        /// The digest asked for.
        digest: Digest,
        /// The size that its descriptor says.
        size: u64,
    },
    /// Fewer bytes than the descriptor says.
    #[error("{location}: blob {digest} ends after {received} of {size} bytes")]
    TooShort {
        /// The URL or file it was read from.
        location: String,
        /// The digest asked for.
        digest: Digest,
        /// The size that its descriptor says.
        size: u64,
        /// How many bytes came.
        received: u64,
    },
    /// The right number of other bytes.
    #[error("{location}: the blob is corrupt: its digest is {actual}, not {digest}")]
    DigestMismatch {
        /// The URL or file it was read from.
        location: String,
        /// The digest asked for.
        digest: Digest,
        /// The digest of the bytes that came.
        actual: Digest,
    },
    /// The connection was lost before the end.
    #[error("{location}: the transfer of blob {digest} broke off after {received} bytes: {cause}")]
    Interrupted {
        /// The URL it was read from.
        location: String,
        /// The digest asked for.
        digest: Digest,
        /// How many bytes came.
        received: u64,
        /// The whole chain of causes.
        cause: String,
    },
}

impl BlobError {
    /// The blob error inside `error`, at any depth: readers stacked upon a blob's reader wrap its errors.
    pub fn of(error: &io::Error) -> Option<&Self> {
        let mut inner: &(dyn std::error::Error + 'static) = error.get_ref()?;
        loop {
            if let Some(found) = inner.downcast_ref::<Self>() {
                return Some(found);
            }
            inner = match inner.downcast_ref::<io::Error>() {
                Some(wrapped) => wrapped.get_ref()?,
                None => inner.source()?,
            };
        }
    }

    /// Whether the bytes were bad or the connection was.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Interrupted { .. } => ErrorKind::Unreachable,
            _ => ErrorKind::Corrupt,
        }
    }
}

impl From<BlobError> for io::Error {
    fn from(error: BlobError) -> Self {
        let kind = match error {
            BlobError::TooShort { .. } | BlobError::Interrupted { .. } => io::ErrorKind::UnexpectedEof,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

/// Hands on what `inner` yields, and refuses it if it is not the blob that was asked for.
///
/// The last bytes are handed on only after the digest of all of them was found right and `inner` was found to end
/// there. Every read after a failure fails in the same way.
pub struct VerifyingReader<R> {
    inner: R,
    location: String,
    digest: Digest,
    size: u64,
    received: u64,
    hasher: Sha256,
    outcome: Option<Result<(), BlobError>>,
}

impl<R: Read> VerifyingReader<R> {
    /// Reads the blob that `descriptor` names from `inner`, which errors call `location` (a URL or a file).
    pub fn new(inner: R, location: impl Into<String>, descriptor: &Descriptor) -> Self {
        Self {
            inner,
            location: location.into(),
            digest: descriptor.digest,
            size: descriptor.size,
            received: 0,
            hasher: Sha256::new(),
            outcome: None,
        }
    }

    /// Takes the stream for ended or complete, and decides.
    fn judge(&mut self) -> Result<(), BlobError> {
        let location = self.location.clone();
        let (digest, size, received) = (self.digest, self.size, self.received);
        if received < size {
            return Err(BlobError::TooShort { location, digest, size, received });
        }
        // A failure here must stick, whatever it is: the last bytes were taken from `inner` and not handed on.
        let more = read_one(&mut self.inner).map_err(|error| match BlobError::of(&error) {
            Some(known) => known.clone(),
            None => {
                let cause = error.to_string();
                BlobError::Interrupted { location: location.clone(), digest, received, cause }
            }
        });
        if received > size || more? {
            return Err(BlobError::TooLong { location, digest, size });
        }
        let actual = Digest::from_sha256(std::mem::take(&mut self.hasher).finalize().into());
        if actual != digest {
            return Err(BlobError::DigestMismatch { location, digest, actual });
        }
        Ok(())
    }
}

/// Whether `reader` has another byte.
fn read_one(reader: &mut impl Read) -> io::Result<bool> {
    loop {
        match reader.read(&mut [0]) {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(outcome) = &self.outcome {
            outcome.clone()?;
            return Ok(0);
        }
        if buffer.is_empty() {
            return Ok(0);
        }
        // An empty blob is complete before anything came.
        let count = if self.size == 0 { 0 } else { self.inner.read(buffer)? };
        self.received += count as u64;
        self.hasher.update(&buffer[..count]);
        if count == 0 || self.received >= self.size {
            let outcome = self.judge();
            self.outcome = Some(outcome.clone());
            outcome?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Yields at most `step` bytes at a time, as a network does.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(self.1).min(buffer.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn read(content: &[u8], descriptor: &Descriptor, step: usize) -> (Vec<u8>, Option<BlobError>) {
        let mut reader = VerifyingReader::new(Trickle(content, step), "there", descriptor);
        let mut bytes = Vec::new();
        match reader.read_to_end(&mut bytes) {
            Ok(_) => (bytes, None),
            Err(error) => {
                let again = reader.read(&mut [0; 8]).unwrap_err();
                assert_eq!(BlobError::of(&again), BlobError::of(&error), "it fails in the same way again");
                (bytes, Some(BlobError::of(&error).expect("typed").clone()))
            }
        }
    }

    #[test]
    fn a_short_blob_says_how_much_came() {
        let (bytes, error) = read(b"abc", &Descriptor::of("m", b"abcdef"), 2);
        assert_eq!(bytes, b"abc");
        assert!(matches!(error, Some(BlobError::TooShort { received: 3, size: 6, .. })), "{error:?}");
    }

    #[test]
    fn a_long_blob_fails_before_its_last_bytes_are_given_out() {
        for (content, step) in [(&b"abcdefg"[..], 100), (b"abcdefg", 1), (b"abcdefghijkl", 6)] {
            let (bytes, error) = read(content, &Descriptor::of("m", b"abcdef"), step);
            assert!(bytes.len() < 6, "{bytes:?}");
            assert!(matches!(error, Some(BlobError::TooLong { size: 6, .. })), "{error:?}");
        }
    }

    #[test]
    fn a_corrupt_blob_fails_even_for_a_reader_that_never_asks_for_the_end() {
        let descriptor = Descriptor::of("m", b"abcdef");
        let mut reader = VerifyingReader::new(&b"abcdeX"[..], "there", &descriptor);
        let error = reader.read_exact(&mut [0; 6]).unwrap_err();
        let found = BlobError::of(&error).expect("typed");
        assert!(matches!(found, BlobError::DigestMismatch { .. }), "{found}");
        assert!(found.to_string().starts_with("there: "), "{found}");
        assert!(found.to_string().contains(&descriptor.digest.to_string()), "{found}");
    }

    #[test]
    fn an_empty_blob_is_verified_too() {
        assert_eq!(read(b"", &Descriptor::of("m", b""), 1), (Vec::new(), None));
        let not_empty = Descriptor::new("m", Digest::of(b"x"), 0);
        assert!(matches!(read(b"", &not_empty, 1).1, Some(BlobError::DigestMismatch { .. })));
        assert!(matches!(read(b"x", &Descriptor::of("m", b""), 1).1, Some(BlobError::TooLong { .. })));
    }

    #[test]
    fn an_error_is_found_however_deep_it_is_wrapped() {
        let error = BlobError::TooLong { location: "l".into(), digest: Digest::of(b""), size: 0 };
        let wrapped = io::Error::other(io::Error::other(io::Error::from(error.clone())));
        assert_eq!(BlobError::of(&wrapped), Some(&error));
        assert_eq!(BlobError::of(&io::Error::other("unrelated")), None);
    }

    proptest! {
        #[test]
        fn only_the_very_bytes_pass(content: Vec<u8>, other: Vec<u8>, step in 1usize..40) {
            let descriptor = Descriptor::of("m", &content);
            prop_assert_eq!(read(&content, &descriptor, step), (content.clone(), None));
            let (bytes, error) = read(&other, &descriptor, step);
            prop_assert_eq!(error.is_none(), other == content);
            prop_assert!(bytes.len() < content.len().max(1) || other == content);
        }
    }
}
