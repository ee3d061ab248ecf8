//! `http.tls.letsencrypt`: certificates that an ACME server issues.

use std::path::PathBuf;

use ::http::Uri;
use roadstead_server::AcmeHost;

use super::cursor::Cursor;
use super::effective::{Quoted, Writer};
use super::http::Listen;

/// The `http.tls.letsencrypt` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LetsEncrypt {
    /// Directory with the account, certificates and their keys, which replicas may share. Default:
    /// the metadata store, which they share anyway.
    pub(crate) store: Option<PathBuf>,
    /// Where the ACME server's operator may write to.
    pub(crate) email: Option<String>,
    /// The names that there are certificates for. At least one.
    pub(crate) hosts: Vec<AcmeHost>,
    /// The ACME server's directory. Default: Let's Encrypt.
    pub(crate) directory: String,
    /// PEM file with the authorities of the ACME server's own certificate. Default: those that
    /// browsers trust.
    pub(crate) authorities: Option<PathBuf>,
    /// Where challenges are answered over plain HTTP; `None` proves names over TLS.
    pub(crate) listen: Option<Listen>,
}

const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Every key but that of the directory.
const OTHERS: [&str; 5] = ["email", "hosts", "directoryurl", "cafile", "httpaddr"];

/// Reads the section where it asks for something; `has_files` tells that there is a certificate
/// already.
pub(super) fn read(section: &Cursor<'_>, has_files: bool) -> Option<LetsEncrypt> {
    let store = section.text("cachefile");
    let asks = |name: &&str| !section.texts(name).is_empty();
    let asked = OTHERS.into_iter().find(asks);
    if let (None, None) = (&store, asked) {
        return None;
    }
    if let (None, Some(name), true) = (&store, asked, has_files) {
        section.report().warn(&format!(
            "http.tls.letsencrypt.{name} has no effect where http.tls.certificate is there"
        ));
        return None;
    }
    if has_files {
        let message = "there is http.tls.certificate too, and one source of certificates is enough";
        section.refuse("cachefile", message);
        return None;
    }
    Some(LetsEncrypt {
        store: store.map(PathBuf::from),
        email: email(section),
        hosts: hosts(section),
        directory: directory(section),
        authorities: section.text("cafile").map(PathBuf::from),
        listen: listen(section),
    })
}

fn hosts(section: &Cursor<'_>) -> Vec<AcmeHost> {
    let mut hosts = Vec::new();
    let named = section.texts("hosts");
    if named.is_empty() {
        section.refuse(
            "hosts",
            "the names to have certificates for are needed here",
        );
    }
    for name in named {
        match name.text.parse::<AcmeHost>() {
            Ok(host) if hosts.contains(&host) => {}
            Ok(host) => hosts.push(host),
            Err(error) => {
                let message = format!("http.tls.letsencrypt.hosts: {error}");
                section.report().refuse(&name.origin, &message);
            }
        }
    }
    hosts
}

fn email(section: &Cursor<'_>) -> Option<String> {
    let text = section.text("email")?;
    // It becomes a part of a mailto URI as it stands.
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '?' | '&' | '%' | ',' | '#');
    if text.matches('@').count() != 1 || !text.chars().all(plain) {
        let message = format!("expected an address such as admin@example.org, found {text:?}");
        section.refuse("email", &message);
        return None;
    }
    Some(text)
}

fn directory(section: &Cursor<'_>) -> String {
    let Some(text) = section.text("directoryurl") else {
        return DIRECTORY.to_owned();
    };
    let fits = text.parse::<Uri>().is_ok_and(|uri| {
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        uri.scheme_str() == Some("https") && has_host
    });
    if !fits {
        let message = format!("expected an https URL, found {text:?}");
        section.refuse("directoryurl", &message);
    }
    text
}

fn listen(section: &Cursor<'_>) -> Option<Listen> {
    let text = section.text("httpaddr")?;
    let listen = Listen::parse_tcp(&text);
    if listen.is_none() {
        let message = format!("expected host:port, [address]:port or :port, found {text:?}");
        section.refuse("httpaddr", &message);
    }
    listen
}

impl LetsEncrypt {
    /// Writes the section for the effective configuration.
    pub(super) fn write(&self, yaml: &mut Writer) {
        yaml.section("letsencrypt", |yaml| {
            if let Some(store) = &self.store {
                yaml.line("cachefile", &Quoted(&store.to_string_lossy()));
            }
            if let Some(email) = &self.email {
                yaml.line("email", &Quoted(email));
            }
            yaml.texts("hosts", self.hosts.iter().map(AcmeHost::as_str));
            yaml.line("directoryurl", &Quoted(&self.directory));
            if let Some(authorities) = &self.authorities {
                yaml.line("cafile", &Quoted(&authorities.to_string_lossy()));
            }
            if let Some(listen) = &self.listen {
                yaml.line("httpaddr", &Quoted(&listen.to_string()));
            }
        });
    }
}
