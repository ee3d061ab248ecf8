//! The parts of the registry that take a new configuration while they serve.

use std::sync::Arc;

use roadstead_auth::Authoriser;
use roadstead_server::{Audit, Perimeter, Tls};
use tokio::runtime::Handle;

use crate::config::Settings;
use crate::logging::Levels;
use crate::reload::{Change, Part};
use crate::{encryption, wire};

impl Part for Levels {
    fn name(&self) -> &'static str {
        "log"
    }

    fn keys(&self) -> &'static [&'static str] {
        &["log.level", "log.accesslog"]
    }

    fn prepare(&self, settings: &Settings) -> anyhow::Result<Change> {
        let (levels, log) = (self.clone(), settings.log.clone());
        Ok(Box::new(move || levels.change(&log)))
    }
}

/// Trusted proxies and limits of requests.
pub(crate) struct AtPerimeter(pub(crate) Arc<Perimeter>);

impl Part for AtPerimeter {
    fn name(&self) -> &'static str {
        "perimeter"
    }

    fn keys(&self) -> &'static [&'static str] {
        &["http.proxies", "http.ratelimits"]
    }

    fn prepare(&self, settings: &Settings) -> anyhow::Result<Change> {
        let perimeter = Arc::clone(&self.0);
        let proxies = wire::proxies(&settings.http.proxies);
        let rates = wire::rates(&settings.http.rate_limits);
        Ok(Box::new(move || {
            perimeter.trust(proxies);
            perimeter.limit(&rates);
        }))
    }
}

/// The rules of access.
pub(crate) struct Access(pub(crate) Arc<Authoriser>);

impl Part for Access {
    fn name(&self) -> &'static str {
        "access"
    }

    fn keys(&self) -> &'static [&'static str] {
        &["access.preset", "access.groups", "access.rules"]
    }

    fn prepare(&self, settings: &Settings) -> anyhow::Result<Change> {
        let (authoriser, policy) = (Arc::clone(&self.0), wire::policy(settings)?);
        Ok(Box::new(move || authoriser.set_policy(policy)))
    }
}

/// Certificates, versions, cipher suites and the authorities of clients.
pub(crate) struct Encryption(pub(crate) Tls);

impl Part for Encryption {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn keys(&self) -> &'static [&'static str] {
        &[
            "http.tls.certificate",
            "http.tls.key",
            "http.tls.minimumtls",
            "http.tls.ciphersuites",
            "http.tls.clientcas",
            "http.tls.clientauth",
        ]
    }

    fn prepare(&self, settings: &Settings) -> anyhow::Result<Change> {
        encryption::change(&self.0, settings)
    }

    /// Files are watched by themselves; after a signal they are looked at once.
    fn look_now(&self) {
        Handle::current().block_on(self.0.reload());
    }

    fn problem(&self) -> Option<String> {
        self.0.problem()?;
        let said = "certificates as they are now cannot be used or could not be ordered, and those \
                    of before stay in force; the registry's log says why";
        Some(said.to_owned())
    }
}

/// The file of users.
pub(crate) struct Users(pub(crate) Arc<Authoriser>);

impl Part for Users {
    fn name(&self) -> &'static str {
        "htpasswd"
    }

    fn look(&self) {
        self.0.look();
    }

    fn problem(&self) -> Option<String> {
        let problem = self.0.problem()?;
        Some(format!(
            "the file of users as it is now cannot be used ({problem}), and those of before stay"
        ))
    }
}

/// The audit log.
pub(crate) struct Recorded(pub(crate) Arc<Audit>);

impl Part for Recorded {
    fn name(&self) -> &'static str {
        "audit"
    }

    fn problem(&self) -> Option<String> {
        let problem = self.0.problem()?;
        Some(format!("the audit log cannot be written to ({problem})"))
    }
}
