//! Spack configuration files: mirrors, read and edited in place.
