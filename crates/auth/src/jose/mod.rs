//! Signed tokens (RFC 7515, 7517, 7518, 7519): taking them apart, and the keys that verify them.
//!
//! What a token says of itself never brings a key: it only names one of those that were configured.
//! Everything is bounded before it is parsed, and a signature is checked before a claim is read.
//! Encrypted tokens, `none` and shared secrets do not exist here.

mod algorithm;
mod compact;
pub(crate) mod der;
mod jwk;
mod key;
mod keyset;
mod remote;
#[cfg(test)]
pub(crate) mod signer;
mod thumbprint;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub(crate) use compact::Compact;
pub use compact::JoseError;
pub(crate) use jwk::parse_jwks;
pub use jwk::{BrokenKey, JwksError};
pub use key::KeyError;
pub(crate) use key::PublicKey;
pub(crate) use keyset::KeySet;
pub use remote::LoadError;
pub(crate) use remote::{Document, Load, RemoteKeys};
pub(crate) use thumbprint::{certificate_kids, thumbprint};
