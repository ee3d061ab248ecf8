//! The certificates that are in force, by the name that a client asks for.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use x509_cert::der::{self, Decode as _};

use super::host::AcmeHost;
use super::records::Issued;

/// Certificates by name. Where a client names nobody, as one that has only an address does, it
/// gets the first host's.
pub(crate) struct Certificates {
    first: Option<AcmeHost>,
    by_host: ArcSwap<HashMap<AcmeHost, Arc<CertifiedKey>>>,
}

/// A certificate that can be presented, and when it holds.
#[derive(Clone)]
pub(super) struct Certified {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

/// Why what was issued cannot be presented.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotCertified {
    #[error("it is no PEM")]
    Pem(#[from] pem::Error),
    #[error("there is no certificate in it")]
    Empty,
    #[error("the certificate cannot be read")]
    Certificate(#[from] der::Error),
    #[error("the certificate is for other names, or its key is another one's")]
    Unfit(#[from] rustls::Error),
    #[error("the host has no name for TLS")]
    Name(#[from] rustls::pki_types::InvalidDnsNameError),
}

impl Certificates {
    pub(super) fn new(first: Option<AcmeHost>) -> Self {
        Self {
            first,
            by_host: ArcSwap::default(),
        }
    }

    /// Presents this one from now on.
    pub(super) fn put(&self, host: &AcmeHost, certified: &Certified) {
        self.by_host.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(host.clone(), Arc::clone(&certified.key));
            all
        });
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let named = hello.server_name().map(str::parse::<AcmeHost>);
        let host = match &named {
            Some(host) => host.as_ref().ok()?,
            None => self.first.as_ref()?,
        };
        self.by_host.load().get(host).cloned()
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl Certified {
    /// Reads what was issued for a host, and checks that it is for this host and that the two
    /// belong together.
    pub(super) fn read(issued: &Issued, host: &AcmeHost) -> Result<Self, NotCertified> {
        let chain = CertificateDer::pem_slice_iter(issued.chain.as_bytes())
            .collect::<Result<Vec<_>, _>>()?;
        let leaf = chain.first().ok_or(NotCertified::Empty)?;
        let name = ServerName::try_from(host.as_str())?;
        rustls::client::verify_server_name(&ParsedCertificate::try_from(leaf)?, &name)?;
        let parsed = x509_cert::Certificate::from_der(leaf)?;
        let validity = parsed.tbs_certificate().validity();
        let (not_before, not_after) = (validity.not_before, validity.not_after);
        let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes())?;
        let key = CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider())?;
        Ok(Self {
            key: Arc::new(key),
            not_before: not_before.to_system_time(),
            not_after: not_after.to_system_time(),
        })
    }

    /// When the next one is to be ordered: after two thirds of its life, and a little later for
    /// some replicas than for others. `late` is from 0 to 1.
    pub(super) fn renewal(&self, late: f64) -> SystemTime {
        let life = self.not_after.duration_since(self.not_before);
        let life = life.unwrap_or_default();
        self.not_before + life * 2 / 3 + life.mul_f64(late.clamp(0.0, 1.0) / 20.0)
    }
}

#[cfg(test)]
mod tests;
