//! Small facts that are kept on this machine: written as a whole, or not at all.

use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// Writes `fact` as JSON to the file `name` in `directory`, which is made if need be.
pub(super) fn write(directory: &Path, name: &str, fact: &impl Serialize) -> io::Result<()> {
    std::fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    file.write_all(&serde_json::to_vec(fact)?)?;
    file.persist(directory.join(name))?;
    Ok(())
}
