//! Certificates of clients: whether they are asked for, and who vouches for them.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};

use super::error::TlsError;
use super::files;

/// What is asked of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// PEM files with the certificate authorities of clients.
    pub authorities: Vec<PathBuf>,
    /// Whether a client needs a certificate, and whether it has to be one of theirs.
    pub mode: ClientAuthMode,
}

/// Whether a client needs a certificate, and whether it has to be a known authority's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuthMode {
    /// Asked for; whatever comes is taken, and is nobody's identity.
    Request,
    /// Needed; whatever comes is taken, and is nobody's identity.
    RequireAny,
    /// Asked for; one that comes is verified.
    VerifyIfGiven,
    /// Needed, and verified.
    RequireAndVerify,
}

impl ClientAuthMode {
    /// Whether a certificate of a client that was let in is one of a known authority.
    #[must_use]
    pub fn verifies(self) -> bool {
        matches!(self, Self::VerifyIfGiven | Self::RequireAndVerify)
    }
}

/// Reads the authorities, and makes of them what decides about certificates.
pub(super) fn verifier(
    asked: &ClientAuth,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in &asked.authorities {
        for certificate in files::certificates(path, "certificate authority for clients")? {
            roots
                .add(certificate)
                .map_err(|source| TlsError::ClientCa {
                    path: path.clone(),
                    source,
                })?;
        }
    }
    if !asked.mode.verifies() {
        return Ok(Arc::new(Unverified {
            hints: roots.subjects(),
            needed: asked.mode == ClientAuthMode::RequireAny,
            provider: Arc::clone(provider),
        }));
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match asked.mode {
        ClientAuthMode::VerifyIfGiven => builder.allow_unauthenticated(),
        _ => builder,
    };
    let verifier = builder.build().map_err(TlsError::ClientVerifier)?;
    Ok(verifier)
}

/// Takes every certificate whose key the client has. What it says is not to be believed.
#[derive(Debug)]
struct Unverified {
    hints: Vec<DistinguishedName>,
    needed: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientCertVerifier for Unverified {
    fn client_auth_mandatory(&self) -> bool {
        self.needed
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.hints
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
