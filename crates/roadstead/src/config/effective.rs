//! The effective configuration as YAML: what `roadstead check` prints. It reads back as the same
//! settings, secrets apart.

mod issuers;

use std::fmt::{self, Write as _};

use roadstead_auth::EgressSettings;

use super::secret::MASK;
use super::{Auth, Driver, Listen, Pattern, Platforms, Settings, Urls, duration};

impl Settings {
    /// Writes all settings, defaults included, with secrets masked.
    pub(crate) fn to_yaml(&self) -> String {
        let mut yaml = Writer {
            text: String::new(),
            depth: 0,
        };
        yaml.line("version", &"0.1");
        self.log(&mut yaml);
        self.storage(&mut yaml);
        self.http(&mut yaml);
        self.auth(&mut yaml);
        let has_more = self.audit != super::Audit::default()
            || self.egress != EgressSettings::default()
            || !self.oidc.is_empty()
            || self.ldap.is_some();
        if self.access.is_some() || has_more {
            yaml.section("access", |yaml| {
                if let Some(access) = &self.access {
                    super::access::write(access, yaml);
                }
                self.audit.write(yaml);
                self.issuers(yaml);
                if let Some(ldap) = &self.ldap {
                    super::ldap::write(ldap, yaml);
                }
            });
        }
        self.middleware(&mut yaml);
        self.health(&mut yaml);
        yaml.section("catalog", |yaml| {
            yaml.line("maxentries", &self.listing.catalog_max_entries)
        });
        yaml.section("tags", |yaml| {
            yaml.line("maxtags", &self.listing.tags_max_tags)
        });
        self.validation(&mut yaml);
        yaml.text
    }

    fn log(&self, yaml: &mut Writer) {
        let log = &self.log;
        yaml.section("log", |yaml| {
            yaml.line("level", &log.level.as_str());
            yaml.line("formatter", &log.formatter.as_str());
            if !log.fields.is_empty() {
                yaml.section("fields", |yaml| {
                    for (name, value) in &log.fields {
                        yaml.line(&Quoted(name).to_string(), &Quoted(value));
                    }
                });
            }
            yaml.section("accesslog", |yaml| yaml.line("disabled", &!log.access_log));
        });
    }

    fn storage(&self, yaml: &mut Writer) {
        let storage = &self.storage;
        let purging = &storage.upload_purging;
        yaml.section("storage", |yaml| {
            match &storage.driver {
                Driver::Filesystem { root, .. } => yaml.section("filesystem", |yaml| {
                    yaml.line("rootdirectory", &Quoted(&root.to_string_lossy()));
                }),
                Driver::InMemory => yaml.line("inmemory", &"{}"),
            }
            yaml.section("delete", |yaml| yaml.line("enabled", &storage.delete));
            yaml.section("redirect", |yaml| {
                yaml.line("disable", &storage.redirect_disabled)
            });
            yaml.section("maintenance", |yaml| {
                yaml.section("readonly", |yaml| yaml.line("enabled", &storage.read_only));
                yaml.section("uploadpurging", |yaml| {
                    yaml.line("enabled", &purging.enabled);
                    yaml.line("age", &duration::format(purging.age));
                    yaml.line("interval", &duration::format(purging.interval));
                    yaml.line("dryrun", &purging.dry_run);
                });
            });
        });
        if let Driver::Filesystem {
            database, reserve, ..
        } = &storage.driver
        {
            yaml.section("metadata", |yaml| {
                yaml.section("sqlite", |yaml| {
                    yaml.line("path", &Quoted(&database.to_string_lossy()));
                });
                if let Some(reserve) = reserve {
                    yaml.line("reservebytes", reserve);
                }
            });
        }
    }

    fn http(&self, yaml: &mut Writer) {
        let http = &self.http;
        yaml.section("http", |yaml| {
            yaml.line("addr", &Quoted(&http.listen.to_string()));
            let unix = matches!(http.listen, Listen::Unix(_));
            yaml.line("net", &if unix { "unix" } else { "tcp" });
            if let Some(host) = &http.host {
                yaml.line("host", &Quoted(host));
            }
            yaml.line("prefix", &Quoted(&http.prefix));
            yaml.line("relativeurls", &http.relative_urls);
            self.headers(yaml);
            yaml.line("draintimeout", &duration::format(http.drain_timeout));
            if http.secret.is_some() {
                yaml.line("secret", &Quoted(MASK));
            }
            if let Some(tls) = &http.tls {
                tls.write(yaml);
            }
            yaml.section("http2", |yaml| yaml.line("disabled", &!http.http2));
            yaml.section("h2c", |yaml| yaml.line("enabled", &http.h2c));
            if let Some(debug) = &http.debug {
                yaml.section("debug", |yaml| {
                    yaml.line("addr", &Quoted(&debug.to_string()))
                });
            }
            self.limits(yaml);
            http.proxies.write(yaml);
            http.rate_limits.write(yaml);
        });
    }

    fn headers(&self, yaml: &mut Writer) {
        let headers = &self.http.headers;
        if headers.is_empty() {
            return;
        }
        yaml.section("headers", |yaml| {
            for (index, (name, _)) in headers.iter().enumerate() {
                if headers[..index].iter().any(|(earlier, _)| earlier == name) {
                    continue;
                }
                let values = headers.iter().filter(|(other, _)| other == name);
                let values =
                    values.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned());
                yaml.texts(&Quoted(name.as_str()).to_string(), values);
            }
        });
    }

    fn limits(&self, yaml: &mut Writer) {
        let limits = &self.http.limits;
        yaml.section("limits", |yaml| {
            yaml.line("maxconnections", &limits.max_connections.unwrap_or(0));
            let per_address = limits.max_connections_per_address.unwrap_or(0);
            yaml.line("maxconnectionsperaddress", &per_address);
            yaml.line("maxstreams", &limits.max_streams);
            yaml.line(
                "tlshandshaketimeout",
                &duration::format(limits.tls_handshake_timeout),
            );
            yaml.line("headertimeout", &duration::format(limits.header_timeout));
            yaml.line("idletimeout", &duration::format(limits.idle_timeout));
            yaml.line("progresswindow", &duration::format(limits.progress_window));
            yaml.line("minimumrate", &limits.minimum_rate);
            yaml.line("maxheaders", &limits.max_headers);
            yaml.line("maxheaderbytes", &limits.max_header_bytes);
            yaml.line("maxmanifestbytes", &limits.max_manifest_bytes);
            yaml.line("maxuploadsperprincipal", &limits.max_uploads_per_principal);
        });
    }

    fn auth(&self, yaml: &mut Writer) {
        if self.auth == Auth::Open && self.token.is_none() && self.silly.is_none() {
            yaml.line("auth", &"none");
            return;
        }
        yaml.section("auth", |yaml| {
            if let Auth::Htpasswd { realm, path } = &self.auth {
                yaml.section("htpasswd", |yaml| {
                    yaml.line("realm", &Quoted(realm));
                    yaml.line("path", &Quoted(&path.to_string_lossy()));
                });
            }
            if let Some(token) = &self.token {
                token.write(yaml);
            }
            if let Some(silly) = &self.silly {
                silly.write(yaml);
            }
        });
    }

    fn middleware(&self, yaml: &mut Writer) {
        if let Some(base) = &self.storage.redirect {
            yaml.section("middleware", |yaml| {
                yaml.section("storage", |yaml| {
                    let base = Quoted(base);
                    yaml.line("- name", &"redirect");
                    yaml.line("  options", &format_args!("{{baseurl: {base}}}"));
                });
            });
        }
    }

    fn health(&self, yaml: &mut Writer) {
        yaml.section("health", |yaml| {
            yaml.section("storagedriver", |yaml| {
                yaml.line("enabled", &self.health.storage.is_some());
                if let Some(check) = &self.health.storage {
                    yaml.line("interval", &duration::format(check.interval));
                    yaml.line("threshold", &check.threshold);
                }
            });
        });
    }

    fn validation(&self, yaml: &mut Writer) {
        let validation = &self.validation;
        yaml.section("validation", |yaml| {
            yaml.line("disabled", &(validation.urls == Urls::Unchecked));
            yaml.section("manifests", |yaml| {
                if let Urls::Checked { allow, deny } = &validation.urls {
                    yaml.section("urls", |yaml| {
                        yaml.texts("allow", allow.iter().map(Pattern::as_str));
                        yaml.texts("deny", deny.iter().map(Pattern::as_str));
                    });
                }
                yaml.section("indexes", |yaml| platforms(yaml, &validation.platforms));
                yaml.line(
                    "references",
                    &if validation.references { "all" } else { "none" },
                );
            });
        });
    }
}

fn platforms(yaml: &mut Writer, platforms: &Platforms) {
    match platforms {
        Platforms::All => yaml.line("platforms", &"all"),
        Platforms::None => yaml.line("platforms", &"none"),
        Platforms::Listed(listed) => {
            yaml.line("platforms", &"list");
            yaml.section("platformlist", |yaml| {
                for platform in listed {
                    yaml.line("- architecture", &Quoted(&platform.architecture));
                    yaml.line("  os", &Quoted(&platform.os));
                }
            });
        }
    }
}

/// YAML with its depth.
pub(super) struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    pub(super) fn section(&mut self, name: &str, inside: impl FnOnce(&mut Self)) {
        self.push(format_args!("{name}:"));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
    }

    pub(super) fn line(&mut self, name: &str, value: &dyn fmt::Display) {
        self.push(format_args!("{name}: {value}"));
    }

    pub(super) fn texts(&mut self, name: &str, values: impl Iterator<Item = impl AsRef<str>>) {
        let values: Vec<String> = values
            .map(|value| Quoted(value.as_ref()).to_string())
            .collect();
        self.push(format_args!("{name}: [{}]", values.join(", ")));
    }

    fn push(&mut self, line: fmt::Arguments<'_>) {
        let indent = self.depth * 2;
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "");
    }
}

/// A text in double quotes, with YAML's escapes.
pub(super) struct Quoted<'a>(pub(super) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                    write!(f, "\\U{:08X}", u32::from(c))?;
                }
                c => f.write_char(c)?,
            }
        }
        f.write_char('"')
    }
}
