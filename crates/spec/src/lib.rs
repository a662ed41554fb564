//! Spack specs as pure data: versions, DAGs, hashes, formatting, database records.
