//! The authorities whose certificates are believed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// Where authorities come from.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    /// These alone.
    pub(super) only: Option<PathBuf>,
    /// These besides the system's, where there is no `only`.
    pub(super) besides: Option<PathBuf>,
}

/// Why outgoing connections cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum RootsError {
    /// A file of authorities cannot be read.
    #[error("cannot read the certificates in {path}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        problem: pem::Error,
    },
    /// A file of authorities has something else in it.
    #[error("{path} has no certificate that can be used", path = path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Nobody is trusted.
    #[error(
        "the system has no trusted certificates (install ca-certificates, or name a file in \
         access.egress.ca, or with --ca)"
    )]
    NoSystem,
    /// The TLS library cannot do what it always can.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
}

impl Roots {
    /// Reads all files anew. Blocks.
    pub(super) fn load(&self) -> Result<Arc<ClientConfig>, RootsError> {
        let mut store = RootCertStore::empty();
        match &self.only {
            Some(path) => add(&mut store, path)?,
            None => {
                let system = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(system.certs);
                for problem in system.errors {
                    tracing::debug!("some certificates of the system cannot be read: {problem}");
                }
                if let Some(path) = &self.besides {
                    add(&mut store, path)?;
                }
                if store.is_empty() {
                    return Err(RootsError::NoSystem);
                }
            }
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(RootsError::Tls)?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}

fn add(store: &mut RootCertStore, path: &Path) -> Result<(), RootsError> {
    let failed = |problem| RootsError::File {
        path: path.to_owned(),
        problem,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(failed)?;
    let (added, _unusable) = store.add_parsable_certificates(certificates);
    if added == 0 {
        let path = path.to_owned();
        return Err(RootsError::NoCertificate { path });
    }
    Ok(())
}
