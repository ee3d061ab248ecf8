//! ACME (RFC 8555): certificates that are ordered and renewed by the registry itself.
//!
//! Replicas share a store (`store.rs`), by which one of them orders at a time, each can answer what
//! the ACME server asks (`challenge.rs`), and all present what came of it (`certificates.rs`).
//! `renewal.rs` decides when to order, `order.rs` does.

mod certificates;
pub(crate) mod challenge;
mod client;
mod directory;
mod host;
mod http;
mod lease;
mod order;
mod records;
mod renewal;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;
use uuid::Uuid;

pub use directory::AcmeDirectory;
pub use host::{AcmeHost, NotAHost};
pub use store::{AcmeStore, AcmeStoreError, Stored};

use certificates::Certificates;

/// What is ordered, where, and by whom.
#[derive(Debug, Clone)]
pub struct AcmeSettings {
    /// The ACME server's directory, an https URL.
    pub directory: String,
    /// PEM file with the authorities that the ACME server's own certificate may be of; without it
    /// those that browsers trust.
    pub authorities: Option<PathBuf>,
    /// Where the ACME server's operator may write to.
    pub email: Option<String>,
    /// The names that certificates are ordered for, one for each. No other name gets one.
    pub hosts: Vec<AcmeHost>,
    /// Whether the names are proved over plain HTTP (HTTP-01) in place of TLS (TLS-ALPN-01).
    pub over_http: bool,
}

/// Certificates from an ACME server.
pub struct Acme {
    settings: AcmeSettings,
    store: Arc<dyn AcmeStore>,
    certificates: Arc<Certificates>,
    /// Who this process is among the replicas.
    replica: Uuid,
    /// Why a host's certificate is missing or will be, by its name.
    problems: Mutex<BTreeMap<AcmeHost, String>>,
    /// Challenges that are looked up at a time: strangers can ask for any number.
    lookups: Semaphore,
}

/// Challenges that are looked up at a time.
const LOOKUPS_MAX: usize = 4;

impl Acme {
    /// Prepares for these hosts; [`Acme::run`] does the work.
    #[must_use]
    pub fn new(settings: AcmeSettings, store: Arc<dyn AcmeStore>) -> Arc<Self> {
        let first = settings.hosts.first().cloned();
        Arc::new(Self {
            settings,
            store,
            certificates: Arc::new(Certificates::new(first)),
            replica: Uuid::new_v4(),
            problems: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS_MAX),
        })
    }

    /// What stands in the way of certificates, in words for an operator.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        let problems = self.problems.lock();
        let problems = problems.unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = problems.values().cloned().collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }

    pub(crate) fn certificates(&self) -> Arc<Certificates> {
        Arc::clone(&self.certificates)
    }

    /// Keeps what stands in the way of a host's certificate; tells whether that is new.
    fn set_problem(&self, host: &AcmeHost, problem: Option<String>) -> bool {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match &problem {
            Some(problem) => problems.insert(host.clone(), problem.clone()),
            None => problems.remove(host),
        };
        before != problem
    }
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
