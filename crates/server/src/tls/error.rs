//! Why TLS cannot be spoken.

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;
use rustls::server::VerifierBuilderError;

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read the {what} in {path}")]
    Read {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file holds no PEM, or not of this kind.
    #[error("cannot read the {what} in {path}")]
    Pem {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: pem::Error,
    },
    /// A file is longer than such a file can be.
    #[error("{path} is larger than 1 MiB, which no file with a {what} is")]
    TooLarge {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// The file has no certificate.
    #[error("there is no certificate in {path}")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// They do not belong together, or cannot be used.
    #[error("the certificate in {certificate} and the key in {key} cannot be used together")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// A certificate authority for clients cannot be used.
    #[error("a certificate in {path} cannot be used as a certificate authority for clients")]
    ClientCa {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// The certificate authorities for clients cannot be used together.
    #[error("client certificates cannot be verified")]
    ClientVerifier(#[source] VerifierBuilderError),
    /// Versions and cipher suites leave nothing to agree on.
    #[error("no connection is possible with these versions and cipher suites")]
    Nothing(#[source] rustls::Error),
}
