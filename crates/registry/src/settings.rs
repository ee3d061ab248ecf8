//! What an operator decides: limits, modes and the rules for manifests.

use std::time::Duration;

use regex::RegexSet;

/// Everything that a [`Registry`](crate::Registry) is told at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What kinds of writes are taken.
    pub mode: Mode,
    /// The rules for what a manifest may name.
    pub validation: Validation,
    /// When idle upload sessions go.
    pub purging: Purging,
    /// Upload sessions that one principal may have open at once.
    pub sessions_per_principal: u64,
    /// Blobs of at most this many bytes that come whole in one request are kept in their row.
    pub inline_bytes: usize,
    /// Bytes of one request after which an upload's progress is made durable on the way.
    pub checkpoint_bytes: u64,
    /// Base URL of the redirect middleware: blobs are answered with a redirect to
    /// `<base>/objects/<shard>/<key>`.
    pub redirect_base: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            validation: Validation::default(),
            purging: Purging::default(),
            sessions_per_principal: 10_000,
            inline_bytes: 4 << 10,
            checkpoint_bytes: 64 << 20,
            redirect_base: None,
        }
    }
}

/// What kinds of writes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mode {
    /// `storage.maintenance.readonly.enabled`: nothing is written or deleted for a client.
    pub read_only: bool,
    /// `storage.delete.enabled`: tags, manifests and blobs may be deleted.
    pub delete_enabled: bool,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            read_only: false,
            delete_enabled: true,
        }
    }
}

/// `validation` of the configuration: what a manifest may name.
#[derive(Debug, Clone, Default)]
pub struct Validation {
    /// Foreign layers' URLs.
    pub urls: UrlPolicy,
    /// Children of an index.
    pub children: ChildPolicy,
    /// Layers and configs.
    pub references: ReferencePolicy,
}

/// Which URLs a layer may carry.
#[derive(Debug, Clone, Default)]
pub enum UrlPolicy {
    /// Any text: validation is off.
    Unchecked,
    /// None at all: no list is configured.
    #[default]
    NoneAllowed,
    /// http(s) without fragment that match one of `allow` (any where `None`) and none of `deny`.
    Lists {
        /// Patterns one of which must match.
        allow: Option<RegexSet>,
        /// Patterns none of which may match.
        deny: RegexSet,
    },
}

/// Which children of an index must be there when it is pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ChildPolicy {
    /// All of them.
    #[default]
    All,
    /// None of them: sparse indexes are taken.
    None,
    /// Those of the platforms listed.
    Platforms(Vec<Platform>),
}

/// A platform of `validation.manifests.indexes.platformlist`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// As GOARCH.
    pub architecture: String,
    /// As GOOS.
    pub os: String,
}

/// Whether the layers and config of a manifest must be there when it is pushed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ReferencePolicy {
    /// All of them.
    #[default]
    All,
    /// None of them.
    None,
}

/// When upload sessions that nobody goes on with are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purging {
    /// Whether they are removed at all.
    pub enabled: bool,
    /// Idle time, counted from the last byte, after which a session goes.
    pub age: Duration,
    /// Time between two looks.
    pub interval: Duration,
    /// Only say in the log what would go.
    pub dry_run: bool,
}

impl Default for Purging {
    fn default() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            enabled: true,
            age: hour * 168,
            interval: hour * 24,
            dry_run: false,
        }
    }
}
