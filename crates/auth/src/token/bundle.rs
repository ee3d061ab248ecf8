//! The bundle of certificates: keys that are trusted by name, and anchors of chains.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter};

use super::files::{KeyFileProblem, Keys};
use super::validity::Validity;
use crate::jose::{KeyError, KeySet, PublicKey, certificate_kids};

/// Certificates of a token at most.
const MAX_CHAIN: usize = 10;
/// Certificates of a bundle at most.
const MAX_CERTIFICATES: usize = 1000;

/// A bundle that was read.
pub(super) struct Bundle {
    pub(super) keys: KeySet,
    anchors: Vec<Anchor>,
}

struct Anchor {
    certificate: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    validity: Validity,
    /// It may issue others: the library does not ask that of an anchor.
    issues: bool,
}

/// No usage of keys stands for tokens: certificates may have any, as in `distribution`.
struct AnyUsage;

impl Keys for Bundle {
    fn parse(bytes: &[u8]) -> Result<Self, KeyFileProblem> {
        let (mut keys, mut anchors) = (KeySet::default(), Vec::new());
        let certificates = CertificateDer::pem_slice_iter(bytes).take(MAX_CERTIFICATES);
        for (index, certificate) in certificates.enumerate() {
            let number = index + 1;
            let certificate = certificate.map_err(KeyFileProblem::Pem)?;
            let unreadable = KeyFileProblem::Certificate { number };
            let (Ok(anchor), Some(validity)) = (
                webpki::anchor_from_trusted_cert(&certificate),
                Validity::of(&certificate),
            ) else {
                return Err(unreadable);
            };
            let anchor = anchor.to_owned();
            let spki = webpki::spki_for_anchor(&anchor);
            match PublicKey::from_spki(&spki) {
                Ok(key) => {
                    let kids = certificate_kids(&key, &spki);
                    keys.insert(key, kids);
                }
                // It may still have issued others.
                Err(KeyError::Unsupported) => {}
                Err(problem) => {
                    return Err(KeyFileProblem::CertificateKey { number, problem });
                }
            }
            anchors.push(Anchor {
                issues: issues(&certificate, validity),
                certificate: certificate.clone().into_owned(),
                anchor,
                validity,
            });
        }
        if keys.is_empty() {
            return Err(KeyFileProblem::NoCertificate);
        }
        Ok(Self { keys, anchors })
    }

    fn count(&self) -> usize {
        self.keys.len()
    }
}

impl Bundle {
    /// The key of the first of these certificates (base64 of DER), where the others lead from it to
    /// the bundle, all of them are within their dates, and it is not itself an issuer's.
    pub(super) fn leaf_key(&self, chain: &[String], now: UnixTime) -> Option<PublicKey> {
        if chain.len() > MAX_CHAIN {
            return None;
        }
        let decode = |text: &String| BASE64_STANDARD.decode(text).map(CertificateDer::from).ok();
        let chain: Vec<CertificateDer<'static>> =
            chain.iter().map(decode).collect::<Option<_>>()?;
        let (leaf_der, intermediates) = chain.split_first()?;
        let leaf = EndEntityCert::try_from(leaf_der).ok()?;
        let valid = || {
            self.anchors
                .iter()
                .filter(|anchor| anchor.validity.contains(now))
        };
        // One that is itself configured need not be issued by anybody: only what it is is checked.
        let configured = valid().any(|anchor| anchor.certificate == *leaf_der);
        let anchors: Vec<_> = valid()
            .filter(|anchor| anchor.issues && !configured)
            .map(|anchor| anchor.anchor.clone())
            .collect();
        let verified = leaf.verify_for_usage(
            webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            intermediates,
            now,
            AnyUsage,
            None,
            None,
        );
        match verified {
            Ok(_) => {}
            Err(Error::UnknownIssuer) if configured => {}
            Err(_) => return None,
        }
        PublicKey::from_spki(&leaf.subject_public_key_info()).ok()
    }
}

/// Whether a certificate says of itself that it is an issuer's.
fn issues(certificate: &CertificateDer<'_>, validity: Validity) -> bool {
    let Ok(leaf) = EndEntityCert::try_from(certificate) else {
        return false;
    };
    // Without anchors this fails in any case: the question is why.
    let algorithms = webpki::ALL_VERIFICATION_ALGS;
    let time = validity.begin();
    let outcome = leaf.verify_for_usage(algorithms, &[], &[], time, AnyUsage, None, None);
    matches!(outcome, Err(Error::CaUsedAsEndEntity))
}

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _usages: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}
