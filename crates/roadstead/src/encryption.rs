//! TLS from the settings: at the start, and when they change.

use std::sync::Arc;

use anyhow::Context as _;
use roadstead_metadata::Meta;
use roadstead_server::{Acme, AcmeDirectory, AcmeSettings, AcmeStore, Identity, Tls, TlsSettings};

use crate::certificates::Certificates;
use crate::config::{self, LetsEncrypt, Settings};

/// How TLS is spoken, if it is, and who orders the certificates for it, if anybody.
///
/// # Errors
/// Files that cannot be read or do not belong together, and a store that cannot be used.
pub(crate) async fn start(
    settings: &Settings,
    metadata: Meta,
) -> anyhow::Result<Option<(Tls, Option<Arc<Acme>>)>> {
    let Some(tls) = &settings.http.tls else {
        return Ok(None);
    };
    let acme = match &tls.identity {
        config::Identity::Files { .. } => None,
        config::Identity::LetsEncrypt(letsencrypt) => Some(acme(letsencrypt, metadata).await?),
    };
    let told = tls_settings(settings, acme.clone()).context(NEEDS_RESTART)?;
    Ok(Some((Tls::load(told)?, acme)))
}

/// Makes ready what these settings say of TLS, for a server that speaks it already.
///
/// # Errors
/// Files that cannot be read or do not belong together, and what only a restart can change.
pub(crate) fn change(tls: &Tls, settings: &Settings) -> anyhow::Result<Box<dyn FnOnce() + Send>> {
    let told = tls_settings(settings, tls.acme()).context(NEEDS_RESTART)?;
    Ok(tls.prepare(told)?)
}

const NEEDS_RESTART: &str =
    "http.tls: a change to clear text, or between files and letsencrypt, needs a restart";

/// What TLS is told, if the settings have TLS with certificates from files, or from `acme` where
/// that is there.
fn tls_settings(settings: &Settings, acme: Option<Arc<Acme>>) -> Option<TlsSettings> {
    let tls = settings.http.tls.as_ref()?;
    let identity = match (&tls.identity, acme) {
        (config::Identity::Files { certificate, key }, None) => Identity::Files {
            certificate: certificate.clone(),
            key: key.clone(),
        },
        (config::Identity::LetsEncrypt(_), Some(acme)) => Identity::Acme(acme),
        _ => return None,
    };
    Some(TlsSettings {
        identity,
        minimum: tls.minimum,
        cipher_suites: tls.cipher_suites.clone(),
        client_auth: tls.client_auth.clone(),
        http2: settings.http.http2,
    })
}

/// Certificates from an ACME server, those of before at once.
async fn acme(letsencrypt: &LetsEncrypt, metadata: Meta) -> anyhow::Result<Arc<Acme>> {
    let unusable = || match &letsencrypt.store {
        Some(path) => format!(
            "cannot use the directory for certificates {}",
            path.display()
        ),
        None => "cannot keep certificates in the metadata store".to_owned(),
    };
    let store: Arc<dyn AcmeStore> = match &letsencrypt.store {
        Some(path) => Arc::new(AcmeDirectory::open(path).with_context(unusable)?),
        None => Arc::new(Certificates(metadata)),
    };
    let settings = AcmeSettings {
        directory: letsencrypt.directory.clone(),
        authorities: letsencrypt.authorities.clone(),
        email: letsencrypt.email.clone(),
        hosts: letsencrypt.hosts.clone(),
        over_http: letsencrypt.listen.is_some(),
    };
    let acme = Acme::new(settings, store);
    acme.prepare().await.with_context(unusable)?;
    Ok(acme)
}
