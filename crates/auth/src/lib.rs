//! Who somebody is, and what they may do.
//!
//! The crate turns the value of an `Authorization` header into a [`Principal`], and a principal's
//! wish into a [`Grant`](roadstead_oci::Grant) or a [`Refusal`]. It knows no HTTP status, no route
//! and no storage; nobody else may make a grant.
//!
//! Read `authenticate.rs` first, which puts the parts together, then `policy.rs`, where every
//! decision is made.

mod accepted;
mod account_name;
mod api_key;
mod authenticate;
mod basic;
mod challenge;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hash;
mod htpasswd;
mod ldap;
mod policy;
mod principal;
mod secret;
mod user_file;
mod verify;

pub use account_name::{AccountNameError, check_group, check_robot_name, check_user_name};
pub use api_key::{API_KEY_PREFIX, ApiKey, ApiKeyError};
pub use authenticate::Authoriser;
pub use basic::BasicError;
pub use error::{Reason, Refusal};
pub use hash::{NewHashError, hash_password};
pub use ldap::{Groups as LdapGroups, Ldap, LdapError, LdapIdentity, LdapSettings};
pub use principal::Principal;
pub use secret::Secret;
pub use user_file::{FileProblem, HtpasswdError};
