//! Who somebody is, and what they may do.
//!
//! The crate turns the value of an `Authorization` header into a [`Principal`], and a principal's
//! wish into a [`Grant`](roadstead_oci::Grant) or a [`Refusal`]. It knows no HTTP status, no route
//! and no storage; nobody else may make a grant.
//!
//! Read `authenticate.rs` first, which puts the parts together, then `policy.rs`, where every
//! decision is made.

mod accepted;
mod authenticate;
mod basic;
mod challenge;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod htpasswd;
mod policy;
mod principal;
mod secret;
mod user_file;
mod verify;
mod watched;

pub use authenticate::Authoriser;
pub use basic::BasicError;
pub use error::{Reason, Refusal};
pub use principal::Principal;
pub use user_file::{FileProblem, HtpasswdError};
pub use watched::ReadProblem;
