//! The configuration: `distribution`'s YAML file with its `REGISTRY_…` variables, and sections of
//! our own, read once into [`Settings`].
//!
//! The way of a value: `yaml` makes a tree with positions, `environment` changes it, `unserved`
//! sweeps it for keys that are unknown or not served, then each section's file turns its part
//! into finished types by a `cursor`. All problems are collected, so one start names all of them.

mod access;
mod audit;
mod auth;
mod cursor;
mod difference;
mod duration;
mod effective;
mod egress;
mod environment;
mod health;
mod http;
mod keys;
mod ldap;
mod letsencrypt;
mod limits;
mod listing;
mod log;
mod node;
mod oidc;
mod proxies;
mod rate_limits;
mod report;
mod secret;
mod silly;
mod storage;
mod tls;
mod token;
mod unserved;
mod validation;
mod yaml;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use access::Access;
pub(crate) use audit::{Audit, Which};
use roadstead_auth::{EgressSettings, OidcSettings};

pub(crate) use auth::Auth;
pub(crate) use difference::Values;
pub(crate) use health::Health;
pub(crate) use http::{Http, Listen};
pub(crate) use letsencrypt::LetsEncrypt;
pub(crate) use limits::Limits;
pub(crate) use listing::Listing;
pub(crate) use log::{Formatter, Level, Log};
pub(crate) use proxies::Proxies;
pub(crate) use rate_limits::{Rate, RateLimits};
pub(crate) use report::Problem;
pub(crate) use silly::SillyAuth;
pub(crate) use storage::{Driver, Storage};
pub(crate) use tls::{Identity, Tls};
pub(crate) use token::TokenAuth;
pub(crate) use validation::{Pattern, Platform, Platforms, Urls, Validation};

use cursor::Cursor;
use node::Node;
use report::Report;
use yaml::Source;

pub(crate) use environment::PATH_VARIABLE;

/// Everything that can be set, checked and with defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// What is logged, and how.
    pub(crate) log: Log,
    /// Where content and metadata live.
    pub(crate) storage: Storage,
    /// Where and how requests are taken.
    pub(crate) http: Http,
    /// Who may come in.
    pub(crate) auth: Auth,
    /// Who may do what; `None`: whoever comes in may do everything.
    pub(crate) access: Option<Access>,
    /// What is put on record.
    pub(crate) audit: Audit,
    /// Tokens of another server that are taken.
    pub(crate) token: Option<TokenAuth>,
    /// Whether every header is somebody.
    pub(crate) silly: Option<SillyAuth>,
    /// Where documents of other servers may come from.
    pub(crate) egress: EgressSettings,
    /// Whose identities are taken.
    pub(crate) oidc: Vec<OidcSettings>,
    /// The directory that users log in by, if there is one.
    pub(crate) ldap: Option<roadstead_auth::LdapSettings>,
    /// What is watched.
    pub(crate) health: Health,
    /// How long lists may be.
    pub(crate) listing: Listing,
    /// What a manifest may point to.
    pub(crate) validation: Validation,
}

/// Settings and what was noticed on the way to them.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The result.
    pub(crate) settings: Settings,
    /// Lines about what is perhaps not meant.
    pub(crate) warnings: Vec<String>,
    /// Lines that the operator may want to know.
    pub(crate) notes: Vec<String>,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is longer than a configuration can be.
    #[error("the configuration file {} is larger than 1 MiB", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The configuration is wrong, or asks for what is not served.
    #[error("{0}")]
    Invalid(Problems),
}

/// Everything that is wrong, one line each.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problems(pub(crate) Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// The configuration when none is given: this machine only, everything allowed.
const BUILT_IN: &str = "
version: 0.1
storage:
  filesystem: {rootdirectory: ./roadstead-data}
  delete: {enabled: true}
http: {addr: '127.0.0.1:5000'}
auth: none
";

const VERSION: &str = "0.1";
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Loads the file at `path`, or the built-in configuration without one, and applies `variables`.
///
/// # Errors
/// `Read` and `TooLarge` for the file, `Invalid` with every problem of its content and of the
/// variables.
pub(crate) fn load(
    path: Option<&Path>,
    variables: &BTreeMap<String, String>,
) -> Result<Loaded, ConfigError> {
    let (text, source) = match path {
        Some(path) => (
            read_file(path)?,
            Source::File(Arc::from(path.display().to_string())),
        ),
        None => (BUILT_IN.to_owned(), Source::BuiltIn),
    };
    parse(&text, &source, variables)
}

/// Reads a configuration from its text. Only built for the fuzz target, which has no file.
///
/// # Errors
/// [`ConfigError::Invalid`].
#[cfg(fuzzing)]
pub(crate) fn load_text(
    text: &str,
    variables: &BTreeMap<String, String>,
) -> Result<Loaded, ConfigError> {
    parse(text, &Source::File(Arc::from("config.yml")), variables)
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let failed = |source| ConfigError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        return Err(ConfigError::TooLarge {
            path: path.to_owned(),
        });
    }
    Ok(text)
}

fn parse(
    text: &str,
    source: &Source,
    variables: &BTreeMap<String, String>,
) -> Result<Loaded, ConfigError> {
    let report = Report::default();
    let settings = match yaml::parse(text, source) {
        Ok(mut root) => {
            environment::apply(&mut root, variables, &report);
            unserved::sweep(&root, &report);
            Some(settings(&root, &report))
        }
        Err(error) => {
            report.refuse(&error.origin, &error.message);
            None
        }
    };
    let lines = report.into_lines();
    match settings {
        Some(settings) if lines.problems.is_empty() => Ok(Loaded {
            settings,
            warnings: lines.warnings,
            notes: lines.notes,
        }),
        _ => Err(ConfigError::Invalid(Problems(lines.problems))),
    }
}

fn settings(node: &Node, report: &Report) -> Settings {
    let root = Cursor::root(node, report);
    match root.text("version").as_deref() {
        Some(VERSION) => {}
        Some(other) => {
            root.refuse("version", &format!("expected {VERSION}, found {other}"));
        }
        None => root.refuse(
            "version",
            &format!("a configuration needs it: version: {VERSION}"),
        ),
    }
    let http = http::read(&root);
    Settings {
        log: log::read(&root),
        storage: storage::read(&root),
        access: access::read(&root, &http),
        http,
        auth: auth::read(&root),
        audit: audit::read(&root.section("access").section("audit")),
        token: token::read(&root),
        silly: silly::read(&root),
        egress: egress::read(&root),
        oidc: oidc::read(&root),
        ldap: ldap::read(&root.section("access")),
        health: health::read(&root),
        listing: listing::read(&root),
        validation: validation::read(&root),
    }
}
