//! The name of a tree of files.

use sha1::{Digest, Sha1};

/// What a description of all that a view is made of is called: the SHA-1 of the text in base32, small letters.
pub fn content_hash(description: &str) -> String {
    data_encoding::BASE32_NOPAD.encode(&Sha1::digest(description.as_bytes())).to_lowercase()
}
