//! Every key there is, in one table: what kind of value it takes and how Roadstead stands to it.
//!
//! The table is what makes a misspelt key an error, finds the nearest known one, leads a
//! `REGISTRY_…` variable to its place, and is held against `docs/configuration.md` by a test.
//! In a path, `[]` stands for the elements of a list.

/// One key of the configuration.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) path: &'static str,
    pub(crate) kind: Kind,
    pub(crate) standing: Standing,
}

/// What a key's value looks like, as far as the tree is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A boolean, number, duration or text.
    Scalar,
    /// A text that is taken as it stands where it is not YAML: `[::]:5000` in a variable.
    Text,
    /// A text that is never shown, and that a `…_FILE` variable may read from a file.
    Secret,
    /// A list of texts.
    Texts,
    /// A map with free names and single values.
    Fields,
    /// A map with free names and lists of texts.
    Headers,
    /// Anything; nobody looks inside.
    Any,
}

/// How Roadstead stands to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Served,
    /// Accepted without effect; the text says why.
    NotNeeded(&'static str),
    /// Stops the start, unless its value asks for nothing.
    NotServed,
    /// Stops the start whatever its value: naming it is choosing it.
    NeverServed,
}

/// Where a name leads from a section.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Leaf(&'static Key),
    /// A map with known keys, by its path.
    Section(String),
    /// A list of such maps, by the path of its elements.
    Sections(String),
}

/// The place of `name` in the section at `path` (empty for the root).
pub(crate) fn child(path: &str, name: &str) -> Option<Place> {
    // A name with the table's own punctuation would walk past the section it stands in.
    if name.is_empty() || name.contains(['.', '[', ']']) {
        return None;
    }
    let full = join(path, name);
    if let Some(key) = KEYS.iter().find(|key| key.path == full) {
        return Some(Place::Leaf(key));
    }
    let begins = |prefix: &str| KEYS.iter().any(|key| key.path.starts_with(prefix));
    if begins(&format!("{full}[].")) {
        return Some(Place::Sections(format!("{full}[]")));
    }
    begins(&format!("{full}.")).then_some(Place::Section(full))
}

/// The known name in the section at `path` that a part of a variable's name means: the key as
/// YAML spells it or as `distribution`'s field is called, in any case.
pub(crate) fn name_of_variable_part(path: &str, part: &str) -> Option<&'static str> {
    let alias = FIELD_NAMES
        .iter()
        .find(|(section, field, _)| *section == path && field.eq_ignore_ascii_case(part))
        .map(|(_, _, name)| *name);
    alias.or_else(|| children(path).find(|name| name.eq_ignore_ascii_case(part)))
}

/// The known name in the section at `path` that is most like `name`, if any is like it.
pub(crate) fn nearest(path: &str, name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    children(path)
        .map(|known| (strsim::jaro_winkler(&name, known), known))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// `path.name`, or `name` at the root.
pub(crate) fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

/// The names in the section at `path`; one may come several times.
fn children(path: &str) -> impl Iterator<Item = &'static str> {
    let prefix = if path.is_empty() {
        String::new()
    } else {
        format!("{path}.")
    };
    KEYS.iter().filter_map(move |key| {
        let rest = key.path.strip_prefix(prefix.as_str())?;
        let name = rest.split('.').next()?;
        Some(name.strip_suffix("[]").unwrap_or(name))
    })
}

/// Section, `distribution`'s field name, and the YAML key, where the two differ.
const FIELD_NAMES: &[(&str, &str, &str)] = &[
    ("health", "filecheckers", "file"),
    ("health", "httpcheckers", "http"),
    ("health", "tcpcheckers", "tcp"),
    ("notifications", "eventconfig", "events"),
    ("log.hooks[]", "mailoptions", "options"),
];

const fn served(path: &'static str, kind: Kind) -> Key {
    Key {
        path,
        kind,
        standing: Standing::Served,
    }
}

const fn not_needed(path: &'static str, kind: Kind, why: &'static str) -> Key {
    Key {
        path,
        kind,
        standing: Standing::NotNeeded(why),
    }
}

const fn not_served(path: &'static str, kind: Kind) -> Key {
    Key {
        path,
        kind,
        standing: Standing::NotServed,
    }
}

const fn never_served(path: &'static str) -> Key {
    Key {
        path,
        kind: Kind::Any,
        standing: Standing::NeverServed,
    }
}

const WITH_HOOKS: &str = "it only matters to hooks that are on";
const WITH_ENDPOINTS: &str = "it only matters with notifications.endpoints";
const WITH_REMOTE: &str = "it only matters with proxy.remoteurl";
const NO_CACHE: &str = "the metadata database answers as fast as a descriptor cache would";
const NO_THREADS: &str = "Roadstead sizes its own threads";

/// The table, in the order of the documentation.
pub(crate) const KEYS: &[Key] = &[
    served("version", Kind::Text),
    // log
    served("log.level", Kind::Text),
    served("log.formatter", Kind::Text),
    served("log.fields", Kind::Fields),
    served("log.accesslog.disabled", Kind::Scalar),
    not_needed(
        "log.reportcaller",
        Kind::Scalar,
        "every log line names the module it comes from",
    ),
    not_served("log.hooks", Kind::Any),
    not_needed("log.hooks[].type", Kind::Text, WITH_HOOKS),
    not_needed("log.hooks[].disabled", Kind::Scalar, WITH_HOOKS),
    not_needed("log.hooks[].levels", Kind::Texts, WITH_HOOKS),
    not_needed("log.hooks[].options", Kind::Any, WITH_HOOKS),
    served("loglevel", Kind::Text),
    // storage
    served("storage.filesystem.rootdirectory", Kind::Text),
    not_needed("storage.filesystem.maxthreads", Kind::Scalar, NO_THREADS),
    served("storage.inmemory", Kind::Any),
    never_served("storage.s3"),
    never_served("storage.s3aws"),
    never_served("storage.gcs"),
    never_served("storage.azure"),
    never_served("storage.oss"),
    never_served("storage.swift"),
    served("storage.delete.enabled", Kind::Scalar),
    served("storage.redirect.disable", Kind::Scalar),
    served("storage.maintenance.readonly.enabled", Kind::Scalar),
    served("storage.maintenance.uploadpurging.enabled", Kind::Scalar),
    served("storage.maintenance.uploadpurging.age", Kind::Scalar),
    served("storage.maintenance.uploadpurging.interval", Kind::Scalar),
    served("storage.maintenance.uploadpurging.dryrun", Kind::Scalar),
    not_needed("storage.cache", Kind::Any, NO_CACHE),
    not_needed(
        "storage.tag.concurrencylimit",
        Kind::Scalar,
        "tags are found by an index",
    ),
    // metadata
    served("metadata.sqlite.path", Kind::Text),
    served("metadata.reservebytes", Kind::Scalar),
    // http
    served("http.addr", Kind::Text),
    served("http.net", Kind::Text),
    served("http.host", Kind::Text),
    served("http.prefix", Kind::Text),
    served("http.relativeurls", Kind::Scalar),
    served("http.headers", Kind::Headers),
    served("http.draintimeout", Kind::Scalar),
    not_needed(
        "http.secret",
        Kind::Secret,
        "upload sessions are kept in the metadata database",
    ),
    served("http.tls.certificate", Kind::Text),
    served("http.tls.key", Kind::Text),
    served("http.tls.minimumtls", Kind::Text),
    served("http.tls.ciphersuites", Kind::Texts),
    served("http.tls.clientcas", Kind::Texts),
    served("http.tls.clientauth", Kind::Text),
    served("http.tls.letsencrypt.cachefile", Kind::Text),
    served("http.tls.letsencrypt.email", Kind::Text),
    served("http.tls.letsencrypt.hosts", Kind::Texts),
    served("http.tls.letsencrypt.directoryurl", Kind::Text),
    served("http.tls.letsencrypt.cafile", Kind::Text),
    served("http.tls.letsencrypt.httpaddr", Kind::Text),
    served("http.http2.disabled", Kind::Scalar),
    served("http.h2c.enabled", Kind::Scalar),
    served("http.debug.addr", Kind::Text),
    not_served("http.debug.prometheus.enabled", Kind::Scalar),
    not_needed(
        "http.debug.prometheus.path",
        Kind::Text,
        "it only matters with http.debug.prometheus.enabled",
    ),
    served("http.limits.maxconnections", Kind::Scalar),
    served("http.limits.maxconnectionsperaddress", Kind::Scalar),
    served("http.limits.maxstreams", Kind::Scalar),
    served("http.limits.tlshandshaketimeout", Kind::Scalar),
    served("http.limits.headertimeout", Kind::Scalar),
    served("http.limits.idletimeout", Kind::Scalar),
    served("http.limits.progresswindow", Kind::Scalar),
    served("http.limits.minimumrate", Kind::Scalar),
    served("http.limits.maxheaders", Kind::Scalar),
    served("http.limits.maxheaderbytes", Kind::Scalar),
    served("http.limits.maxmanifestbytes", Kind::Scalar),
    served("http.limits.maxuploadsperprincipal", Kind::Scalar),
    served("http.proxies.trusted", Kind::Texts),
    served("http.proxies.protocol", Kind::Scalar),
    served("http.ratelimits.anonymous.requests", Kind::Scalar),
    served("http.ratelimits.anonymous.burst", Kind::Scalar),
    served("http.ratelimits.anonymous.concurrent", Kind::Scalar),
    served("http.ratelimits.user.requests", Kind::Scalar),
    served("http.ratelimits.user.burst", Kind::Scalar),
    served("http.ratelimits.user.concurrent", Kind::Scalar),
    served("http.ratelimits.address.requests", Kind::Scalar),
    served("http.ratelimits.address.burst", Kind::Scalar),
    served("http.ratelimits.address.concurrent", Kind::Scalar),
    // auth
    served("auth.htpasswd.realm", Kind::Text),
    served("auth.htpasswd.path", Kind::Text),
    served("auth.none", Kind::Any),
    served("auth.token.realm", Kind::Text),
    served("auth.token.issuer", Kind::Text),
    served("auth.token.service", Kind::Text),
    served("auth.token.rootcertbundle", Kind::Text),
    served("auth.token.jwks", Kind::Text),
    served("auth.token.jwksurl", Kind::Text),
    served("auth.token.signingalgorithms", Kind::Texts),
    served("auth.token.autoredirect", Kind::Scalar),
    served("auth.token.autoredirectpath", Kind::Text),
    served("auth.silly.realm", Kind::Text),
    served("auth.silly.service", Kind::Text),
    // access
    served("access.preset", Kind::Text),
    served("access.opentoall", Kind::Scalar),
    served("access.realm", Kind::Text),
    served("access.groups", Kind::Headers),
    served("access.rules[].allow", Kind::Texts),
    served("access.rules[].deny", Kind::Texts),
    served("access.rules[].to", Kind::Texts),
    served("access.rules[].on", Kind::Texts),
    served("access.rules[].when", Kind::Text),
    served("access.rules[].name", Kind::Text),
    served("access.tokens.disabled", Kind::Scalar),
    served("access.tokens.realm", Kind::Text),
    served("access.tokens.service", Kind::Text),
    served("access.tokens.lifetime", Kind::Scalar),
    served("access.tokens.refreshlifetime", Kind::Scalar),
    served("access.audit.path", Kind::Text),
    served("access.audit.log", Kind::Scalar),
    served("access.audit.which", Kind::Text),
    served("access.egress.allow", Kind::Texts),
    served("access.egress.ca", Kind::Text),
    served("access.oidc[].name", Kind::Text),
    served("access.oidc[].issuer", Kind::Text),
    served("access.oidc[].audiences", Kind::Texts),
    served("access.oidc[].clientid", Kind::Text),
    served("access.oidc[].ca", Kind::Text),
    served("access.oidc[].signingalgorithms", Kind::Texts),
    served("access.oidc[].usernameclaim", Kind::Text),
    served("access.oidc[].groupsclaim", Kind::Text),
    // access.ldap
    served("access.ldap.url", Kind::Text),
    served("access.ldap.starttls", Kind::Scalar),
    served("access.ldap.insecure", Kind::Scalar),
    served("access.ldap.cafile", Kind::Text),
    served("access.ldap.binddn", Kind::Text),
    served("access.ldap.bindpassword", Kind::Secret),
    served("access.ldap.user.base", Kind::Text),
    served("access.ldap.user.filter", Kind::Text),
    served("access.ldap.user.attribute", Kind::Text),
    served("access.ldap.group.base", Kind::Text),
    served("access.ldap.group.filter", Kind::Text),
    served("access.ldap.group.attribute", Kind::Text),
    served("access.ldap.group.memberof", Kind::Text),
    served("access.ldap.timeout", Kind::Scalar),
    served("access.ldap.connections", Kind::Scalar),
    // middleware
    not_served("middleware.registry", Kind::Any),
    not_served("middleware.repository", Kind::Any),
    served("middleware.storage[].name", Kind::Text),
    served("middleware.storage[].disabled", Kind::Scalar),
    served("middleware.storage[].options", Kind::Any),
    // health
    served("health.storagedriver.enabled", Kind::Scalar),
    served("health.storagedriver.interval", Kind::Scalar),
    served("health.storagedriver.threshold", Kind::Scalar),
    not_served("health.file", Kind::Any),
    not_served("health.http", Kind::Any),
    not_served("health.tcp", Kind::Any),
    // listing
    served("catalog.maxentries", Kind::Scalar),
    served("tags.maxtags", Kind::Scalar),
    // validation
    served("validation.disabled", Kind::Scalar),
    served("validation.enabled", Kind::Scalar),
    served("validation.manifests.urls.allow", Kind::Texts),
    served("validation.manifests.urls.deny", Kind::Texts),
    served("validation.manifests.indexes.platforms", Kind::Text),
    served(
        "validation.manifests.indexes.platformlist[].architecture",
        Kind::Text,
    ),
    served("validation.manifests.indexes.platformlist[].os", Kind::Text),
    served("validation.manifests.references", Kind::Text),
    // what else distribution has
    not_served("notifications.endpoints", Kind::Any),
    not_needed(
        "notifications.events.includereferences",
        Kind::Scalar,
        WITH_ENDPOINTS,
    ),
    not_needed("redis", Kind::Any, NO_CACHE),
    not_served("proxy.remoteurl", Kind::Text),
    not_needed("proxy.username", Kind::Text, WITH_REMOTE),
    not_needed("proxy.password", Kind::Secret, WITH_REMOTE),
    not_needed("proxy.exec", Kind::Any, WITH_REMOTE),
    not_needed("proxy.ttl", Kind::Scalar, WITH_REMOTE),
    not_needed("proxy.cacheTTL", Kind::Scalar, WITH_REMOTE),
    not_needed("proxy.cachewritetimeout", Kind::Scalar, WITH_REMOTE),
    not_served("policy.repository.classes", Kind::Texts),
    not_served("compatibility.schema1", Kind::Any),
    not_needed(
        "reporting",
        Kind::Any,
        "distribution 3 has no reporting either",
    ),
];
