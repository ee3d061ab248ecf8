//! The certificate of a client: whom it names, in the forms that rules can be made of.
//!
//! Nothing here verifies: what is read is the leaf of a chain that TLS has found to lead to a known
//! authority. A name is taken as it stands or the certificate is refused; nothing is repaired.

use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use x509_cert::Certificate;
use x509_cert::der::asn1::{Ia5String, ObjectIdentifier};
use x509_cert::der::oid::db::rfc4519;
use x509_cert::der::{self, Decode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{DirectoryString, GeneralName};

/// Whom a verified client certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject as RFC 4514 writes it, most specific part first; empty where there is none.
    pub subject: String,
    /// The subject's common name, where it has exactly one.
    pub common_name: Option<String>,
    /// DNS names among the alternative names, in their order.
    pub dns_names: Vec<String>,
    /// Mail addresses among the alternative names.
    pub emails: Vec<String>,
    /// URIs among the alternative names.
    pub uris: Vec<String>,
    /// The SPIFFE ID (SPIFFE-ID.md §2, X509-SVID.md §2), which needs to be the only URI.
    pub spiffe_id: Option<String>,
    /// SHA-256 of the whole certificate.
    pub fingerprint: [u8; 32],
    /// From then on it vouches for nobody, on a connection that was made before either.
    pub expires: SystemTime,
}

/// Why nobody can be told from a certificate.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It is longer than any that is meant.
    #[error("the client's certificate is longer than {BYTES_MAX} bytes")]
    TooLong,
    /// It is no X.509 certificate.
    #[error("the client's certificate cannot be read")]
    Malformed(#[from] der::Error),
    /// It names more than anybody could make rules for.
    #[error("the client's certificate has more than {NAMES_MAX} alternative names")]
    TooManyNames,
    /// A name has characters that nobody could tell in a log or a rule.
    #[error("a name in the client's certificate is empty, or has spaces or control characters")]
    Name,
}

/// Bytes of a certificate at most, and alternative names of it.
const BYTES_MAX: usize = 32 << 10;
const NAMES_MAX: usize = 100;

/// Bytes of a SPIFFE ID, and of the trust domain in it, at most (SPIFFE-ID.md §2.3, §2.1).
const SPIFFE_ID_BYTES_MAX: usize = 2048;
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

impl ClientCertificate {
    /// Reads the leaf of a chain that was verified.
    ///
    /// # Errors
    /// [`CertificateError`]: it then is nobody's identity.
    pub fn parse(der: &[u8]) -> Result<Self, CertificateError> {
        if der.len() > BYTES_MAX {
            return Err(CertificateError::TooLong);
        }
        let certificate = Certificate::from_der(der)?;
        let certificate = certificate.tbs_certificate();
        let mut named = Self {
            subject: certificate.subject().to_string(),
            common_name: only(certificate, rfc4519::COMMON_NAME)?,
            dns_names: Vec::new(),
            emails: Vec::new(),
            uris: Vec::new(),
            spiffe_id: None,
            fingerprint: Sha256::digest(der).into(),
            expires: certificate.validity().not_after.to_system_time(),
        };
        if let Some((_, names)) = certificate.get_extension::<SubjectAltName>()? {
            if names.0.len() > NAMES_MAX {
                return Err(CertificateError::TooManyNames);
            }
            for name in &names.0 {
                match name {
                    GeneralName::DnsName(name) => named.dns_names.push(text(name)?),
                    GeneralName::Rfc822Name(name) => named.emails.push(text(name)?),
                    GeneralName::UniformResourceIdentifier(name) => named.uris.push(text(name)?),
                    _ => {}
                }
            }
        }
        if let [uri] = named.uris.as_slice() {
            named.spiffe_id = is_spiffe_id(uri).then(|| uri.clone());
        }
        Ok(named)
    }

    /// Whether it has not expired yet.
    #[must_use]
    pub fn is_current(&self, now: SystemTime) -> bool {
        now <= self.expires
    }
}

/// The one value of an attribute of the subject; none where there are several.
fn only(
    certificate: &x509_cert::TbsCertificate,
    attribute: ObjectIdentifier,
) -> Result<Option<String>, CertificateError> {
    let mut values = certificate
        .subject()
        .iter()
        .filter(|part| part.oid == attribute);
    let (Some(value), None) = (values.next(), values.next()) else {
        return Ok(None);
    };
    let value = value.value.decode_as::<DirectoryString>()?;
    let value = value.value();
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(CertificateError::Name);
    }
    Ok(Some(value.into_owned()))
}

fn text(name: &Ia5String) -> Result<String, CertificateError> {
    let name = name.as_str();
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(CertificateError::Name);
    }
    Ok(name.to_owned())
}

/// Whether a URI is the SPIFFE ID of a workload: one of a trust domain alone is an authority's.
fn is_spiffe_id(uri: &str) -> bool {
    let Some((domain, path)) = uri
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let in_domain = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    let in_segment = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    uri.len() <= SPIFFE_ID_BYTES_MAX
        && (1..=TRUST_DOMAIN_BYTES_MAX).contains(&domain.len())
        && domain.bytes().all(in_domain)
        && path
            .split('/')
            .all(|segment| !matches!(segment, "" | "." | "..") && segment.bytes().all(in_segment))
}

#[cfg(test)]
mod tests;
