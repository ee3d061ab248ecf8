//! Who somebody is, and what they may do.
//!
//! The crate turns what a request shows of who asks into a [`Principal`], and a principal's wish
//! into a [`Grant`](roadstead_oci::Grant) or a [`Refusal`]. It knows no HTTP status, no route and no
//! storage of content; nobody else may make a grant.
//!
//! Read `authoriser.rs` first, which puts the parts together, then `policy.rs`, where every decision
//! is made, and `token_server.rs` with `issuer.rs`, which make and read our own tokens.

mod accepted;
mod account_name;
mod api_key;
mod authenticators;
mod authoriser;
mod backoff;
mod basic;
mod certificate;
mod challenge;
mod device;
mod error;
mod external;
mod fetch;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hash;
mod htpasswd;
mod http_value;
mod issuer;
mod jose;
mod ldap;
mod network;
mod oidc;
mod policy;
mod principal;
mod registry_login;
mod scope;
mod secret;
mod setup;
mod token;
mod token_server;
mod user_file;
mod verify;
mod watched;

pub use account_name::{AccountNameError, check_group, check_robot_name, check_user_name};
pub use api_key::{API_KEY_PREFIX, ApiKey, ApiKeyError};
pub use authoriser::{Authoriser, Granted, Presented};
pub use backoff::{Attempt, LoginBackoff};
pub use basic::{BasicError, claimed_user};
pub use certificate::{CertificateError, ClientCertificate};
pub use challenge::{BearerError, Origin};
pub use device::{DeviceClient, DeviceCode, DeviceError};
pub use error::{Reason, Refusal};
pub use external::External;
pub use fetch::{
    Allowed, EgressSettings, FetchError, HttpUrl, HttpsUrl, InvalidAllowed, InvalidUrl, RootsError,
};
pub use hash::{HashError, NewHashError, hash_password};
pub use http_value::{is_token, parameter_value};
pub use issuer::{IssueError, IssuerSettings, SigningKeyError, TokenRefused};
pub use jose::{Algorithm, BrokenKey, JoseError, JwksError, KeyError, LoadError, UnknownAlgorithm};
pub use ldap::{Groups as LdapGroups, Ldap, LdapError, LdapIdentity, LdapSettings};
pub use network::{AddressBlock, Network, NetworkError};
pub use oidc::{Discovery, OidcError, OidcIdentity, OidcIssuer, OidcIssuers, OidcSettings};
pub use policy::{
    Circumstances, Decision, Effect, Explanation, Policy, PolicySettings, Preset, Question,
    RuleError, RuleSettings,
};
pub use principal::{Kind, Principal};
pub use registry_login::{LoginError, RegistryLogin, Transport};
pub use scope::Scope;
pub use secret::Secret;
pub use setup::{Setup, SetupError};
pub use token::{
    AccessRecord, KeyFileProblem, TokenError, TokenSettings, TokenSetupError, TokenVerifier,
    VerifiedToken,
};
pub use token_server::{TokenAnswer, TokenGrant, TokenRequest};
pub use user_file::{FileProblem, HtpasswdError};
pub use watched::ReadProblem;
