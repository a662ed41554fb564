//! What the tests of every crate share: the golden data that real Spack produced, a sample store compiled on
//! the spot, and real registries on loopback. Development only; nothing here ships.

pub mod docker_registry;
pub mod golden;
pub mod sample_store;
