//! From settings and files to what rustls is told.

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;

use super::error::TlsError;
use super::{Identity, InForce, TlsSettings, client_auth, files, suites};

/// Reads the files and puts them together.
///
/// # Errors
/// [`TlsError`].
pub(super) fn build(settings: &TlsSettings) -> Result<InForce, TlsError> {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: suites::allowed(&settings.cipher_suites),
        ..aws_lc_rs::default_provider()
    });
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(settings.minimum.and_newer())
        .map_err(TlsError::Nothing)?;
    let builder = match &settings.client_auth {
        Some(asked) => builder.with_client_cert_verifier(client_auth::verifier(asked, &provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut config = match &settings.identity {
        Identity::Files { certificate, key } => {
            let chain = files::certificates(certificate, "certificate")?;
            let secret = files::key(key)?;
            builder
                .with_single_cert(chain, secret)
                .map_err(|source| TlsError::Unusable {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    source,
                })?
        }
        Identity::Acme(acme) => builder.with_cert_resolver(acme.certificates()),
    };
    config.alpn_protocols = match settings.http2 {
        true => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        false => vec![b"http/1.1".to_vec()],
    };
    if settings.client_auth.is_some() {
        // A session that is resumed brings its certificate along without anybody looking at it
        // again, be it expired.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    let asked = settings.client_auth.as_ref();
    Ok(InForce {
        config: Arc::new(config),
        verifies: asked.is_some_and(|asked| asked.mode.verifies()),
    })
}
