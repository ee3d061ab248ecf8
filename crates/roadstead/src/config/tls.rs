//! `http.tls`: certificate and key, versions and cipher suites, certificates of clients.

use std::path::PathBuf;

use roadstead_server::{CipherSuite, ClientAuth, ClientAuthMode, TlsVersion};

use super::cursor::Cursor;
use super::effective::{Quoted, Writer};
use super::http::Listen;
use super::letsencrypt::{self, LetsEncrypt};

/// The `http.tls` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// What the registry shows that it is who it says.
    pub(crate) identity: Identity,
    /// The oldest version taken. Default: TLS 1.2.
    pub(crate) minimum: TlsVersion,
    /// What may be agreed on. Default: all that is safe.
    pub(crate) cipher_suites: Vec<CipherSuite>,
    /// Whether clients are asked for certificates. Default: no.
    pub(crate) client_auth: Option<ClientAuth>,
}

/// What the registry shows that it is who it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Files.
    Files {
        /// PEM file: the certificate, then its issuers.
        certificate: PathBuf,
        /// PEM file with the private key.
        key: PathBuf,
    },
    /// An ACME server's certificates.
    LetsEncrypt(LetsEncrypt),
}

const MODES: [(&str, ClientAuthMode); 4] = [
    ("request-client-cert", ClientAuthMode::Request),
    ("require-any-client-cert", ClientAuthMode::RequireAny),
    ("verify-client-cert-if-given", ClientAuthMode::VerifyIfGiven),
    (
        "require-and-verify-client-cert",
        ClientAuthMode::RequireAndVerify,
    ),
];

pub(crate) fn read(section: &Cursor<'_>) -> Option<Tls> {
    let minimum = minimum(section);
    let cipher_suites = cipher_suites(section);
    let client_auth = client_auth(section);
    let identity = identity(section);
    if identity.is_none() && client_auth.is_some() {
        section.refuse("clientcas", "it needs http.tls.certificate or letsencrypt");
    }
    Some(Tls {
        identity: identity?,
        minimum,
        cipher_suites,
        client_auth,
    })
}

fn identity(section: &Cursor<'_>) -> Option<Identity> {
    let files = (section.text("certificate"), section.text("key"));
    let has_files = files.0.is_some() || files.1.is_some();
    let letsencrypt = letsencrypt::read(&section.section("letsencrypt"), has_files);
    match files {
        (None, None) => letsencrypt.map(Identity::LetsEncrypt),
        (Some(certificate), Some(key)) => Some(Identity::Files {
            certificate: PathBuf::from(certificate),
            key: PathBuf::from(key),
        }),
        (Some(_), None) => {
            section.refuse("key", "a certificate needs its key");
            None
        }
        (None, Some(_)) => {
            section.refuse("certificate", "a key needs its certificate");
            None
        }
    }
}

fn minimum(section: &Cursor<'_>) -> TlsVersion {
    match section.text("minimumtls").as_deref() {
        None | Some("tls1.2") => TlsVersion::Tls12,
        Some("tls1.3") => TlsVersion::Tls13,
        Some(other) => {
            section.refuse(
                "minimumtls",
                &format!("expected tls1.2 or tls1.3, found {other:?}"),
            );
            TlsVersion::Tls12
        }
    }
}

fn cipher_suites(section: &Cursor<'_>) -> Vec<CipherSuite> {
    let mut suites = Vec::new();
    for name in section.texts("ciphersuites") {
        match name.text.parse::<CipherSuite>() {
            Ok(suite) if suites.contains(&suite) => {}
            Ok(suite) => suites.push(suite),
            Err(error) => {
                let message = format!("http.tls.ciphersuites: {error}");
                section.report().refuse(&name.origin, &message);
            }
        }
    }
    suites
}

fn client_auth(section: &Cursor<'_>) -> Option<ClientAuth> {
    let mode = section.text("clientauth").map(|name| {
        let known = MODES.iter().find(|(known, _)| *known == name);
        known.map(|(_, mode)| *mode).unwrap_or_else(|| {
            let names = MODES.map(|(name, _)| name).join(", ");
            section.refuse(
                "clientauth",
                &format!("expected one of {names}, found {name:?}"),
            );
            ClientAuthMode::RequireAndVerify
        })
    });
    let authorities: Vec<PathBuf> = section
        .texts("clientcas")
        .into_iter()
        .map(|path| PathBuf::from(path.text))
        .collect();
    if authorities.is_empty() {
        if mode.is_some() {
            section.report().warn(
                "http.tls.clientauth has no effect without http.tls.clientcas: no client is asked \
                 for a certificate",
            );
        }
        return None;
    }
    Some(ClientAuth {
        authorities,
        mode: mode.unwrap_or(ClientAuthMode::RequireAndVerify),
    })
}

impl Tls {
    /// Where challenges of an ACME server are answered over plain HTTP, if anywhere.
    pub(crate) fn challenges(&self) -> Option<&Listen> {
        match &self.identity {
            Identity::Files { .. } => None,
            Identity::LetsEncrypt(letsencrypt) => letsencrypt.listen.as_ref(),
        }
    }

    /// Writes the section for the effective configuration.
    pub(super) fn write(&self, yaml: &mut Writer) {
        yaml.section("tls", |yaml| {
            self.identity.write(yaml);
            let minimum = match self.minimum {
                TlsVersion::Tls12 => "tls1.2",
                TlsVersion::Tls13 => "tls1.3",
            };
            yaml.line("minimumtls", &minimum);
            if !self.cipher_suites.is_empty() {
                yaml.texts("ciphersuites", self.cipher_suites.iter().map(|s| s.name()));
            }
            if let Some(asked) = &self.client_auth {
                let paths = asked.authorities.iter().map(|path| path.to_string_lossy());
                yaml.texts("clientcas", paths);
                let name = MODES.iter().find(|(_, mode)| *mode == asked.mode);
                yaml.line("clientauth", &name.map_or("", |(name, _)| name));
            }
        });
    }
}

impl Identity {
    fn write(&self, yaml: &mut Writer) {
        match self {
            Self::Files { certificate, key } => {
                yaml.line("certificate", &Quoted(&certificate.to_string_lossy()));
                yaml.line("key", &Quoted(&key.to_string_lossy()));
            }
            Self::LetsEncrypt(letsencrypt) => letsencrypt.write(yaml),
        }
    }
}
