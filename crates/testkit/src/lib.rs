//! What the tests of every crate share: the golden data that real Spack produced, a sample store compiled on the
//! spot, registries on loopback (our own behind a layer of faults, and real ones), container engines and base images for
//! them, a token server and certificates.
//! Development only; nothing here ships.

pub mod base_image;
pub mod certificates;
pub mod docker_registry;
pub mod engine;
pub mod faults;
pub mod golden;
pub mod passwords;
pub mod registry;
pub mod sample_store;
pub mod server;
pub mod storage;
pub mod token_server;
