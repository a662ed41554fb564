//! What registries out there do that the specifications do not say: one test for each, named after its number.
//!
//! The registry is our own; what is odd about others is done by the layer of faults in front of it, or by the token
//! server. `docs/transport.md` has the list, with those that a client can do nothing about.

mod answers;
mod challenges;
mod credential_flow;
mod downloads;
mod limits;
mod listing;
mod manifests;
mod rights;
mod uploads;
