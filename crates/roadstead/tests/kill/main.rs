//! The kill suite: clients push, move, delete, mount and resume while the process is killed at
//! every named point and at random times, again and again, a hundred times on each data directory.
//! After each start what was acknowledged is there, what was not is there whole or not at all, what
//! was deleted stays so, and no file lies about that no row names.
//!
//! `ROADSTEAD_KILL_CYCLES` says how many times, `ROADSTEAD_KILL_SEED` which choices are made.
//! Needs the points of `crates/failpoint`: `cargo test -p roadstead --features failpoints --test
//! kill`, or `cargo xtask kill`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test reports a broken expectation by panicking"
)]

#[path = "../harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness serves the black-box tests too"
)]
mod harness;

mod cycle;
mod disk;
mod model;
mod points;
mod random;
mod shared;
mod worker;

/// Clients at once.
pub(crate) const WORKERS: usize = 8;
