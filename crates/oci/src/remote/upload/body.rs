//! [`Content`]: the bytes of a blob to be sent, and [`Part`]: some of them on their way.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::try_unfold;
use reqwest::Body;

use crate::remote::progress::Progress;
use crate::remote::request::StreamBody;
use crate::{BlobError, BlobKind, BlobSource, Descriptor, Digest, Error, VerifyingReader};

/// How much of a file is read at once. More is not faster, less costs more changes of threads.
const CHUNK: usize = 512 << 10;

/// The bytes of a blob.
#[derive(Clone)]
pub(super) enum Content {
    Bytes(Bytes),
    File(Arc<Path>),
}

impl Content {
    /// Of what is to be put. What cannot be read should not begin an upload.
    pub(super) fn of(source: &BlobSource) -> Result<Self, Error> {
        match &source.kind {
            BlobKind::Bytes(bytes) => {
                let received = bytes.len() as u64;
                let (digest, size, location) = (source.digest, source.size, "bytes in memory".to_string());
                match received.cmp(&size) {
                    std::cmp::Ordering::Less => {
                        Err(BlobError::TooShort { location, digest, size, received }.into())
                    }
                    std::cmp::Ordering::Greater => Err(BlobError::TooLong { location, digest, size }.into()),
                    std::cmp::Ordering::Equal => Ok(Self::Bytes(Bytes::copy_from_slice(bytes))),
                }
            }
            BlobKind::File(path) => {
                File::open(path).map_err(Error::io("read", path))?;
                Ok(Self::File(Arc::from(path.as_path())))
            }
        }
    }

    /// Reads everything, and refuses it if it is not the blob any more, as which it was to be put.
    pub(super) async fn verify(&self, digest: Digest, size: u64) -> Result<(), Error> {
        let content = self.clone();
        let verifying = tokio::task::spawn_blocking(move || match &content {
            Self::Bytes(bytes) => read_through(&**bytes, "bytes in memory", digest, size),
            Self::File(path) => {
                let file = File::open(path).map_err(Error::io("read", path))?;
                // Of a file that has become longer, only the beginning is sent.
                read_through(file.take(size), &path.display().to_string(), digest, size)
            }
        });
        verifying.await.unwrap_or_else(|error| Err(Error::Client { cause: error.to_string() }))
    }

    /// The `length` bytes from `from` on, which must be within the blob.
    pub(super) fn part(&self, from: u64, length: u64) -> Part {
        Part { content: self.clone(), from, length, wanted: Arc::new(()) }
    }
}

/// Consecutive bytes of a blob, as the body of a request. Each time it is sent the file is opened anew.
pub(super) struct Part {
    content: Content,
    from: u64,
    length: u64,
    /// Gone with the request. The connection would go on sending what a registry refused in between.
    wanted: Arc<()>,
}

impl StreamBody for Part {
    fn length(&self) -> u64 {
        self.length
    }

    fn open(&self) -> (Body, Arc<Progress>) {
        let progress = Arc::new(Progress::new(self.length));
        (Body::wrap_stream(self.stream(Arc::clone(&progress))), progress)
    }
}

impl Part {
    fn stream(&self, progress: Arc<Progress>) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
        let source = match &self.content {
            Content::Bytes(bytes) => {
                // Memory cannot be shorter than it was: `Content::of` has compared.
                let from = usize::try_from(self.from).map_or(bytes.len(), |from| from.min(bytes.len()));
                Source::Bytes(bytes.slice(from..))
            }
            Content::File(path) => Source::File(OpenFile {
                path: Arc::clone(path),
                from: self.from,
                file: None,
                buffer: BytesMut::new(),
            }),
        };
        let reading = Reading { source, left: self.length, wanted: Arc::downgrade(&self.wanted), progress };
        try_unfold(reading, |mut reading| async move {
            if reading.left == 0 {
                return Ok(None);
            }
            let chunk = reading.next().await?;
            reading.left -= chunk.len() as u64;
            // Whoever asks for a chunk has sent the one before; and nobody asks again after the last.
            reading.progress.advance(reading.left == 0);
            Ok(Some((chunk, reading)))
        })
    }
}

/// A body that is being sent.
struct Reading {
    source: Source,
    left: u64,
    wanted: Weak<()>,
    progress: Arc<Progress>,
}

enum Source {
    Bytes(Bytes),
    File(OpenFile),
}

impl Reading {
    /// The next chunk: never empty, never more than what is left.
    async fn next(&mut self) -> io::Result<Bytes> {
        if self.wanted.strong_count() == 0 {
            return Err(io::Error::other("the registry has answered before the end"));
        }
        let most = usize::try_from(self.left).map_or(CHUNK, |left| left.min(CHUNK));
        let outcome = match &mut self.source {
            Source::Bytes(bytes) if bytes.is_empty() => return Err(ends_early()),
            Source::Bytes(bytes) => return Ok(bytes.split_to(most.min(bytes.len()))),
            Source::File(file) => {
                let mut taken = file.take();
                // Disks are slower than networks may be, and a thread of the runtime must not wait for them.
                let read = tokio::task::spawn_blocking(move || {
                    let outcome = taken.read(most);
                    (taken, outcome)
                });
                match read.await {
                    Ok((opened, outcome)) => {
                        *file = opened;
                        outcome
                    }
                    Err(error) => Err(io::Error::other(error)),
                }
            }
        };
        outcome.map_err(|cause| {
            let message = cause.to_string();
            if let Source::File(OpenFile { path, .. }) = &self.source {
                self.progress.fail(Error::Io { action: "read", path: path.to_path_buf(), cause });
            }
            io::Error::other(message)
        })
    }
}

/// A file that is read from a place on.
struct OpenFile {
    path: Arc<Path>,
    from: u64,
    file: Option<File>,
    /// Used again once the connection is done with the chunk before.
    buffer: BytesMut,
}

impl OpenFile {
    /// What can go to another thread, while the path stays.
    fn take(&mut self) -> Self {
        Self {
            path: Arc::clone(&self.path),
            from: self.from,
            file: self.file.take(),
            buffer: std::mem::take(&mut self.buffer),
        }
    }

    fn read(&mut self, most: usize) -> io::Result<Bytes> {
        let file = match &mut self.file {
            Some(file) => file,
            none => {
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(self.from))?;
                none.insert(file)
            }
        };
        self.buffer.resize(most, 0);
        let mut filled = 0;
        while filled < most {
            match file.read(&mut self.buffer[filled..]) {
                Ok(0) => return Err(ends_early()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.buffer.split().freeze())
    }
}

/// Reads everything that should be the blob `digest`; its errors name `location`.
fn read_through(reader: impl Read, location: &str, digest: Digest, size: u64) -> Result<(), Error> {
    let descriptor = Descriptor::new("", digest, size);
    let mut verifying = BufReader::with_capacity(CHUNK, VerifyingReader::new(reader, location, &descriptor));
    io::copy(&mut verifying, &mut io::sink()).map(drop).map_err(|error| Error::from_read(error, location))
}

fn ends_early() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was")
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;
    use crate::remote::http::block_on;

    fn collected(part: &Part) -> io::Result<Vec<u8>> {
        let stream = part.stream(Arc::new(Progress::new(part.length)));
        let chunks: Vec<_> = block_on(stream.collect()).unwrap();
        Ok(chunks.into_iter().collect::<io::Result<Vec<_>>>()?.concat())
    }

    #[test]
    fn a_part_is_what_it_should_be_wherever_it_is_from_and_each_time() {
        let content: Vec<u8> = (0..2_000_000u32).map(|number| (number % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &content).unwrap();
        let size = content.len() as u64;
        for source in
            [BlobSource::bytes(content.clone()), BlobSource::file(file.path(), Digest::of(&content), size)]
        {
            let whole = Content::of(&source).unwrap();
            for (from, length) in [(0, size), (0, 0), (1, 1), (700_001, 1_200_000), (size - 3, 3), (size, 0)]
            {
                let part = whole.part(from, length);
                let range = usize::try_from(from).unwrap()..usize::try_from(from + length).unwrap();
                for _ in 0..2 {
                    assert!(collected(&part).unwrap() == content[range.clone()], "{range:?}");
                }
            }
        }
    }

    #[test]
    fn a_file_that_is_too_short_and_memory_that_does_not_fit_are_errors() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), b"short").unwrap();
        let whole = Content::of(&BlobSource::file(file.path(), Digest::of(b"short"), 10)).unwrap();
        assert_eq!(collected(&whole.part(0, 5)).unwrap(), b"short");
        assert!(collected(&whole.part(0, 10)).unwrap_err().to_string().contains("shorter"));
        for size in [4, 6] {
            let source = BlobSource { size, ..BlobSource::bytes(b"bytes".to_vec()) };
            assert!(Content::of(&source).is_err());
        }
    }

    #[test]
    fn nothing_more_is_read_once_the_request_is_over() {
        let part = Content::of(&BlobSource::bytes(vec![0; 2 * CHUNK])).unwrap().part(0, 2 * CHUNK as u64);
        let mut stream = Box::pin(part.stream(Arc::new(Progress::new(part.length))));
        assert_eq!(block_on(stream.next()).unwrap().unwrap().unwrap().len(), CHUNK);
        drop(part);
        assert!(block_on(stream.next()).unwrap().unwrap().is_err());
    }
}
