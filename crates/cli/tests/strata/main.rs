//! The strata command from the outside: real stores, real caches, real registries, and what can go wrong.

#![allow(clippy::unwrap_used)]

mod bad_caches;
mod bad_input;
mod bad_stores;
mod bad_surroundings;
mod buildcache;
mod cache;
mod commands;
mod credentials;
mod doctor;
mod find;
mod golden_install;
mod golden_push;
mod hostile_layers;
mod image_build;
mod image_index;
mod image_inspect;
mod journal;
mod kill;
mod login;
mod push_images;
mod reference;
mod resolve;
mod secrets;
mod serve;
mod support;
mod uploads;
