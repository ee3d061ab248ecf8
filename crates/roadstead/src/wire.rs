//! Builds the parts of the registry from the settings: stores, registry, authoriser, interface.
//!
//! The only place that knows every crate. Each translation from a section of the configuration to
//! what a crate takes is one function.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use regex::RegexSet;
use roadstead_auth::{
    Authoriser, External, IssuerSettings, Ldap, OidcIssuer, OidcIssuers, Policy, PolicySettings,
    Preset, RuleError, Setup, TokenVerifier,
};
use roadstead_metadata::{Horizons, MemoryMetadata, Meta, SqliteMetadata, SystemClock};
use roadstead_registry as registry;
use roadstead_server::{
    AppSettings, Audit, AuditSettings, Limit, Limits, Perimeter, Proxies, RateSettings, Which,
};
use roadstead_storage::{FilesystemStore, MemoryStore, ObjectStore, Store};

use crate::config::{
    self, Access, Auth, Driver, Pattern, Platforms, Settings, Storage, Urls, Validation,
};
use crate::process;

/// Bytes and rows that belong together.
pub(crate) struct Stores {
    pub(crate) objects: Store,
    pub(crate) metadata: Meta,
}

/// Opens the stores. Blocks for as long as a disk needs for that.
///
/// # Errors
/// A directory or database that cannot be used, in words for the operator.
pub(crate) async fn stores(storage: &Storage) -> anyhow::Result<Stores> {
    let (clock, horizons) = (Arc::new(SystemClock), Horizons::default());
    match &storage.driver {
        Driver::InMemory => Ok(Stores {
            objects: Store::Memory(MemoryStore::default()),
            metadata: Meta::Memory(MemoryMetadata::new(horizons, clock)),
        }),
        Driver::Filesystem {
            root,
            database,
            reserve,
        } => {
            let beside: Vec<&Path> = database.parent().into_iter().collect();
            let objects = FilesystemStore::open_keeping(root, *reserve, &beside)
                .with_context(|| format!("cannot use the data directory {}", root.display()))?;
            let any = !objects.list(None, 1).await?.is_empty();
            let metadata = SqliteMetadata::open(database, any, horizons, clock)?;
            Ok(Stores {
                objects: Store::Filesystem(objects),
                metadata: Meta::Sqlite(metadata),
            })
        }
    }
}

/// Puts the registry on its stores.
///
/// # Errors
/// Patterns that are too large together.
pub(crate) fn registry(settings: &Settings, stores: Stores) -> anyhow::Result<registry::Registry> {
    Ok(registry::Registry::new(
        stores.objects,
        stores.metadata,
        registry_settings(settings)?,
        Arc::new(SystemClock),
        process::boot_id(),
    ))
}

/// Who may come in.
///
/// # Errors
/// Files, keys and rules that cannot be used.
pub(crate) async fn authoriser(settings: &Settings, metadata: Meta) -> anyhow::Result<Authoriser> {
    let access = settings.access.as_ref();
    let htpasswd = match &settings.auth {
        Auth::Open => None,
        Auth::Htpasswd { realm, path } => Some((realm, path)),
    };
    let others = settings.token.is_some()
        || settings.silly.is_some()
        || settings.ldap.is_some()
        || !settings.oidc.is_empty();
    let is_open = htpasswd.is_none() && !others;
    if is_open && access.is_none_or(Access::is_open) {
        return Ok(Authoriser::open());
    }
    let issuer = access.and_then(|access| access.tokens.as_ref());
    let realm = htpasswd.map(|(realm, _)| realm);
    let realm = realm.or(access.map(|access| &access.realm));
    let setup = Setup {
        policy: policy(settings)?,
        realm: realm.cloned().unwrap_or_default(),
        htpasswd: htpasswd.map(|(_, path)| path.clone()),
        external: external(settings)?,
        silly: settings
            .silly
            .as_ref()
            .map(|silly| (silly.realm.clone(), silly.service.clone())),
        oidc: oidc(settings)?,
        ldap: settings.ldap.clone().map(Ldap::new).transpose()?,
        accounts: access.is_some(),
        certificates: access.is_some(),
        issuer: issuer.map(|tokens| IssuerSettings {
            realm: tokens.realm.clone(),
            service: tokens.service.clone(),
            lifetime: tokens.lifetime,
            refresh_lifetime: tokens.refresh_lifetime,
        }),
    };
    Ok(Authoriser::new(setup, metadata).await?)
}

/// Tokens of an external issuer.
fn external(settings: &Settings) -> anyhow::Result<Option<External>> {
    let Some(token) = &settings.token else {
        return Ok(None);
    };
    let verification = token.verification.clone();
    Ok(Some(External {
        realm: token.realm.clone(),
        service: verification.service.clone(),
        redirect_path: token.redirect_path.clone(),
        verifier: TokenVerifier::new(verification, &settings.egress)?,
    }))
}

/// Issuers of identities.
fn oidc(settings: &Settings) -> anyhow::Result<OidcIssuers> {
    let issuers = settings.oidc.iter().cloned();
    let issuers = issuers.map(|issuer| {
        let name = issuer.name.clone();
        OidcIssuer::new(issuer, &settings.egress)
            .with_context(|| format!("the OIDC issuer {name} cannot be used"))
    });
    Ok(OidcIssuers::new(issuers.collect::<Result<_, _>>()?))
}

/// The rules: without any, whoever comes in may do everything, as with `distribution`.
///
/// # Errors
/// Rules that cannot be understood, which reading the configuration has found before.
pub(crate) fn policy(settings: &Settings) -> Result<Policy, RuleError> {
    let anybody_logs_in = !matches!(settings.auth, Auth::Open)
        || settings.token.is_some()
        || settings.silly.is_some()
        || settings.ldap.is_some()
        || !settings.oidc.is_empty();
    let preset = match &settings.access {
        Some(access) => return Policy::new(&access.policy),
        None if anybody_logs_in => Preset::Private,
        None => Preset::Open,
    };
    Policy::new(&PolicySettings {
        preset: Some(preset),
        ..PolicySettings::default()
    })
}

/// What the HTTP interface is told.
pub(crate) fn app_settings(settings: &Settings) -> AppSettings {
    let http = &settings.http;
    AppSettings {
        prefix: http.prefix.clone(),
        host: http.host.clone().filter(|_| !http.relative_urls),
        relative_urls: http.relative_urls,
        headers: http.headers.clone(),
        catalog_page_max: settings.listing.catalog_max_entries,
        tags_page_max: settings.listing.tags_max_tags,
        manifest_bytes_max: http.limits.max_manifest_bytes,
    }
}

/// Bounds of connections and requests; `open_files` is how many the system allows this process.
pub(crate) fn limits(limits: &config::Limits, open_files: u64) -> Limits {
    Limits {
        max_connections: limits.max_connections,
        open_files,
        max_connections_per_address: limits.max_connections_per_address,
        max_streams: limits.max_streams,
        tls_handshake_timeout: limits.tls_handshake_timeout,
        header_timeout: limits.header_timeout,
        idle_timeout: limits.idle_timeout,
        progress_window: limits.progress_window,
        minimum_rate: limits.minimum_rate,
        max_headers: limits.max_headers,
        max_header_bytes: limits.max_header_bytes,
    }
}

/// What stands before the HTTP interface, and the record of what passes.
///
/// # Errors
/// An audit log that cannot be written.
pub(crate) fn perimeter(
    settings: &Settings,
) -> anyhow::Result<(Arc<Perimeter>, Option<Arc<Audit>>)> {
    let audit = &settings.audit;
    let recorded = audit.log || audit.path.is_some();
    let audit = AuditSettings {
        which: match audit.which {
            config::Which::All => Which::All,
            config::Which::Changes => Which::Changes,
            config::Which::Denials => Which::Denials,
        },
        path: audit.path.clone(),
        log: audit.log,
    };
    let audit = recorded.then(|| Audit::start(&audit)).transpose()?;
    let audit = audit.map(Arc::new);
    let perimeter = Perimeter::new(audit.clone());
    perimeter.trust(proxies(&settings.http.proxies));
    perimeter.limit(&rates(&settings.http.rate_limits));
    Ok((Arc::new(perimeter), audit))
}

/// Whose word on a client counts.
pub(crate) fn proxies(proxies: &config::Proxies) -> Proxies {
    Proxies {
        trusted: proxies.trusted.clone(),
        unix: proxies.unix,
        protocol: proxies.protocol,
    }
}

/// How often anybody may ask.
pub(crate) fn rates(limits: &config::RateLimits) -> RateSettings {
    let limit = |rate: config::Rate| Limit {
        requests: rate.requests,
        burst: rate.burst,
        concurrent: rate.concurrent,
    };
    RateSettings {
        anonymous: limit(limits.anonymous),
        user: limit(limits.user),
        address: limit(limits.address),
    }
}

/// The name of the store's check, as `distribution` calls it.
pub(crate) fn health_name(driver: &Driver) -> &'static str {
    match driver {
        Driver::Filesystem { .. } => "storagedriver_filesystem",
        Driver::InMemory => "storagedriver_inmemory",
    }
}

/// What the registry is told.
fn registry_settings(settings: &Settings) -> Result<registry::Settings, regex::Error> {
    let storage = &settings.storage;
    let purging = &storage.upload_purging;
    let defaults = registry::Settings::default();
    Ok(registry::Settings {
        mode: registry::Mode {
            read_only: storage.read_only,
            delete_enabled: storage.delete,
        },
        validation: validation(&settings.validation)?,
        purging: registry::Purging {
            enabled: purging.enabled,
            age: purging.age,
            interval: purging.interval,
            dry_run: purging.dry_run,
        },
        checkpoint_bytes: if cfg!(feature = "failpoints") {
            // So that small uploads come past many checkpoints.
            64 << 10
        } else {
            defaults.checkpoint_bytes
        },
        sessions_per_principal: settings.http.limits.max_uploads_per_principal,
        redirect_base: storage
            .redirect
            .clone()
            .filter(|_| !storage.redirect_disabled),
        ..defaults
    })
}

fn validation(validation: &Validation) -> Result<registry::Validation, regex::Error> {
    let children = match &validation.platforms {
        Platforms::All => registry::ChildPolicy::All,
        Platforms::None => registry::ChildPolicy::None,
        Platforms::Listed(platforms) => {
            let platform = |platform: &crate::config::Platform| registry::Platform {
                architecture: platform.architecture.clone(),
                os: platform.os.clone(),
            };
            registry::ChildPolicy::Platforms(platforms.iter().map(platform).collect())
        }
    };
    let references = if validation.references {
        registry::ReferencePolicy::All
    } else {
        registry::ReferencePolicy::None
    };
    Ok(registry::Validation {
        urls: urls(&validation.urls)?,
        children,
        references,
    })
}

fn urls(urls: &Urls) -> Result<registry::UrlPolicy, regex::Error> {
    let set = |patterns: &[Pattern]| RegexSet::new(patterns.iter().map(Pattern::as_str));
    Ok(match urls {
        Urls::Unchecked => registry::UrlPolicy::Unchecked,
        Urls::Checked { allow, deny } if allow.is_empty() && deny.is_empty() => {
            registry::UrlPolicy::NoneAllowed
        }
        Urls::Checked { allow, deny } => {
            let allow = if allow.is_empty() {
                None
            } else {
                Some(set(allow)?)
            };
            registry::UrlPolicy::Lists {
                allow,
                deny: set(deny)?,
            }
        }
    })
}
