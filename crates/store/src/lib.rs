//! Spack install trees: database, locks, layout, padding, sbang, manifests.
