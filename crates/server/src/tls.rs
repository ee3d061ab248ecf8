//! TLS: what a server presents, what it takes, and how both change while it serves.
//!
//! A connection takes the configuration that is in force when its ClientHello has come
//! (`handshake.rs`), so that files which are read again (`reload.rs`) are for new connections and
//! those that are open go on.

mod client_auth;
mod config;
mod error;
mod files;
mod handshake;
mod reload;
mod suites;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

pub use client_auth::{ClientAuth, ClientAuthMode};
pub use error::TlsError;
pub(crate) use handshake::{Holder, Secured};
pub use suites::{CipherSuite, UnknownCipherSuite};

use files::Stamps;

use crate::acme::Acme;

/// The oldest version that is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

impl TlsVersion {
    fn and_newer(self) -> &'static [&'static rustls::SupportedProtocolVersion] {
        static ALL: [&rustls::SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls12 => &ALL,
            Self::Tls13 => &ALL[..1],
        }
    }
}

/// What a server shows that it is who it says.
#[derive(Debug, Clone)]
pub enum Identity {
    /// A certificate and its key, in files that are read again when they change.
    Files {
        /// PEM file: the certificate, then its issuers.
        certificate: PathBuf,
        /// PEM file with the private key.
        key: PathBuf,
    },
    /// Certificates that an ACME server issues.
    Acme(Arc<Acme>),
}

/// What TLS is told at start.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// What the server shows that it is who it says.
    pub identity: Identity,
    /// The oldest version that is taken.
    pub minimum: TlsVersion,
    /// What may be agreed on; of a version with none here everything may be, except that TLS 1.2
    /// is not taken where only suites of TLS 1.3 are named.
    pub cipher_suites: Vec<CipherSuite>,
    /// Whether clients are asked for certificates, and what becomes of them.
    pub client_auth: Option<ClientAuth>,
    /// Whether HTTP/2 is offered.
    pub http2: bool,
}

/// What a server needs to speak TLS. Clones share what is in force.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    settings: ArcSwap<TlsSettings>,
    in_force: ArcSwap<InForce>,
    /// Files as they were when they were last read. Held by whoever changes one of the two above.
    stamps: Mutex<Stamps>,
    /// Why the files as they are now are not in force.
    problem: Mutex<Option<String>>,
    /// One reading at a time.
    reading: tokio::sync::Mutex<()>,
}

/// What a connection is served by.
struct InForce {
    config: Arc<ServerConfig>,
    /// Whether a client that shows a certificate is known by it.
    verifies: bool,
}

impl Tls {
    /// Reads all files. Blocks for as long as the disk needs.
    ///
    /// # Errors
    /// [`TlsError`]: nothing is served in clear text instead.
    pub fn load(settings: TlsSettings) -> Result<Self, TlsError> {
        let stamps = Stamps::of(&settings);
        let in_force = config::build(&settings)?;
        Ok(Self {
            shared: Arc::new(Shared {
                settings: ArcSwap::from_pointee(settings),
                in_force: ArcSwap::from_pointee(in_force),
                stamps: Mutex::new(stamps),
                problem: Mutex::default(),
                reading: tokio::sync::Mutex::default(),
            }),
        })
    }

    /// Who orders the certificates, where they are an ACME server's.
    #[must_use]
    pub fn acme(&self) -> Option<Arc<Acme>> {
        match &self.shared.settings.load().identity {
            Identity::Files { .. } => None,
            Identity::Acme(acme) => Some(Arc::clone(acme)),
        }
    }

    /// Why what is in force is not what the files say, in words for an operator; it names files.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let problem = self.shared.problem.lock();
        let of_files = problem.unwrap_or_else(PoisonError::into_inner).clone();
        let of_acme = self.acme().and_then(|acme| acme.problem());
        let problems: Vec<String> = of_files.into_iter().chain(of_acme).collect();
        (!problems.is_empty()).then(|| problems.join("; "))
    }
}
