//! The files that TLS is made of, and whether they have changed.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::error::TlsError;
use super::{Identity, TlsSettings};

/// Bytes of a file at most.
const BYTES_MAX: u64 = 1 << 20;

/// The certificates of a PEM file, of which there is at least one.
pub(super) fn certificates(
    path: &Path,
    what: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(path, what)?;
    let certificates = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::Pem {
            what,
            path: path.to_owned(),
            source,
        })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(certificates)
}

/// The private key of a PEM file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let what = "key";
    let pem = read(path, what)?;
    PrivateKeyDer::from_pem_slice(&pem).map_err(|source| TlsError::Pem {
        what,
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    let mut bytes = Vec::new();
    let read = |bytes: &mut Vec<u8>| File::open(path)?.take(BYTES_MAX + 1).read_to_end(bytes);
    read(&mut bytes).map_err(|source| TlsError::Read {
        what,
        path: path.to_owned(),
        source,
    })?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(TlsError::TooLarge {
            what,
            path: path.to_owned(),
        });
    }
    Ok(bytes)
}

/// What tells one content of all files from another, without reading them. Links are followed, so
/// that it also changes where a link in the way of a file is set to another directory, as
/// Kubernetes does with secrets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<[i64; 7]>>);

impl Stamps {
    /// Those of the files now; a file that cannot be looked at has one too.
    pub(super) fn of(settings: &TlsSettings) -> Self {
        let authorities = settings.client_auth.iter().flat_map(|c| &c.authorities);
        let own = match &settings.identity {
            Identity::Files { certificate, key } => vec![certificate, key],
            Identity::Acme(_) => Vec::new(),
        };
        let stamps = own.into_iter().chain(authorities).map(|path| stamp(path));
        Self(stamps.collect())
    }
}

fn stamp(path: &Path) -> Option<[i64; 7]> {
    let file = std::fs::metadata(path).ok()?;
    Some([
        file.dev().cast_signed(),
        file.ino().cast_signed(),
        file.size().cast_signed(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    ])
}

#[cfg(test)]
mod tests;
