//! A store of any number of packages, files and bytes, to see how cost grows. Nothing in it runs.

use super::{SampleStore, external, padded};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::Path;

/// One in so many files names its own prefix, as headers and scripts do, and has to be relocated.
const NAMES_PREFIX: usize = 20;
/// Files of one directory.
const IN_DIRECTORY: usize = 100;

/// How much there is of everything in a store that [`SampleStore::build_shaped`] makes.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Packages, at least one.
    pub packages: usize,
    /// Files of all packages together, besides the specs that Spack leaves in prefixes.
    pub files: usize,
    /// Bytes of these files together.
    pub bytes: u64,
}

impl SampleStore {
    /// The name of the package that needs all others of a store with a shape.
    pub const SHAPED: &'static str = "shaped";

    /// Makes a store of that shape under `unpadded_root`, padded to `padded_length` bytes if that is longer. Files are as
    /// large as each other, give or take a byte; they compress to about a third and are not the same. `shaped` needs all
    /// other packages, `part-…`.
    ///
    /// # Errors
    /// Wherever the disk refuses.
    pub fn build_shaped(unpadded_root: &Path, padded_length: usize, shape: Shape) -> io::Result<Self> {
        let root = padded(unpadded_root, padded_length);
        fs::create_dir_all(root.join(".spack-db"))?;
        let mut store = Self { unpadded_root: unpadded_root.to_owned(), root, packages: Vec::new() };
        let glibc = external("glibc", "2.36");
        let mut filler = Filler::new();
        let mut parts: Vec<Value> = Vec::new();
        for at in 0..shape.packages.max(1) {
            let is_last = at + 1 >= shape.packages;
            let name = if is_last { Self::SHAPED.to_owned() } else { format!("part-{at:05}") };
            let needed = parts.iter().filter(|_| is_last).map(|part| (part, &["link"][..]));
            let dependencies: Vec<(&Value, &[&str])> =
                std::iter::once((&glibc, &["link"][..])).chain(needed).collect();
            let node = store.node(&name, "1.0", &dependencies);
            let prefix = store.prefix(&node)?;
            let share = Share { shape, at };
            share.write(&prefix, &mut filler)?;
            parts.push(node);
        }
        store.write_database(&[&glibc], Self::SHAPED)?;
        store.write_sbang()?;
        Ok(store)
    }
}

/// What one package has of the whole.
struct Share {
    shape: Shape,
    at: usize,
}

impl Share {
    fn write(&self, prefix: &Path, filler: &mut Filler) -> io::Result<()> {
        let packages = self.shape.packages.max(1);
        // Of n things in all, the package at i has those from ni/p to n(i+1)/p.
        let files = self.shape.files * self.at / packages..self.shape.files * (self.at + 1) / packages;
        for (number, file) in files.enumerate() {
            let directory = prefix.join(format!("share/{:04}", number / IN_DIRECTORY));
            if number.is_multiple_of(IN_DIRECTORY) {
                fs::create_dir_all(&directory)?;
            }
            let size = self.bytes_before(file + 1) - self.bytes_before(file);
            let mut bytes = filler.bytes(usize::try_from(size).unwrap_or(usize::MAX));
            let line = format!("{}\n", prefix.display());
            if number.is_multiple_of(NAMES_PREFIX) && bytes.len() >= line.len() {
                bytes[..line.len()].copy_from_slice(line.as_bytes());
            }
            fs::write(directory.join(format!("{number:06}.txt")), bytes)?;
        }
        Ok(())
    }

    /// The bytes of the first files, as many as that.
    fn bytes_before(&self, files: usize) -> u64 {
        let total = u128::from(self.shape.bytes) * files as u128 / self.shape.files.max(1) as u128;
        u64::try_from(total).unwrap_or(u64::MAX)
    }
}

/// Makes text that compresses to about a third: lines of hexadecimal digits with a common beginning.
struct Filler {
    state: u64,
}

impl Filler {
    fn new() -> Self {
        Self { state: 0x9e37_79b9_7f4a_7c15 }
    }

    fn bytes(&mut self, size: usize) -> Vec<u8> {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut bytes = Vec::with_capacity(size + 40);
        while bytes.len() < size {
            bytes.extend_from_slice(b"    entry = 0x");
            // xorshift64
            self.state ^= self.state << 13;
            self.state ^= self.state >> 7;
            self.state ^= self.state << 17;
            bytes.extend((0..16).map(|digit| DIGITS[(self.state >> (4 * digit)) as usize & 15]));
            bytes.push(b'\n');
        }
        bytes.truncate(size);
        bytes
    }
}
