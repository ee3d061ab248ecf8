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
mod device;
mod error;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod htpasswd;
mod jose;
mod oidc;
mod policy;
mod principal;
mod secret;
mod token;
mod user_file;
mod verify;
mod watched;

pub use authenticate::Authoriser;
pub use basic::BasicError;
pub use device::{DeviceClient, DeviceCode, DeviceError};
pub use error::{Reason, Refusal};
pub use fetch::{
    Allowed, EgressSettings, FetchError, HttpsUrl, InvalidAllowed, InvalidUrl, RootsError,
};
pub use jose::{Algorithm, BrokenKey, JoseError, JwksError, KeyError, LoadError, UnknownAlgorithm};
pub use oidc::{Discovery, OidcError, OidcIdentity, OidcIssuer, OidcIssuers, OidcSettings};
pub use principal::Principal;
pub use token::{
    AccessRecord, KeyFileProblem, TokenError, TokenSettings, TokenSetupError, TokenVerifier,
    VerifiedToken,
};
pub use user_file::{FileProblem, HtpasswdError};
pub use watched::ReadProblem;
