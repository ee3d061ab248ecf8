//! What the effective configuration says of other servers: their tokens, identities and addresses.

use roadstead_auth::{Algorithm, OidcSettings};

use super::{Quoted, Settings, Writer};
use crate::config::{SillyAuth, TokenAuth};

impl TokenAuth {
    /// The `auth.token` section.
    pub(super) fn write(&self, yaml: &mut Writer) {
        let verification = &self.verification;
        yaml.section("token", |yaml| {
            yaml.line("realm", &Quoted(&self.realm));
            yaml.line("issuer", &Quoted(&verification.issuer));
            yaml.line("service", &Quoted(&verification.service));
            let files = [
                ("rootcertbundle", &verification.rootcertbundle),
                ("jwks", &verification.jwks),
            ];
            for (name, path) in files {
                if let Some(path) = path {
                    yaml.line(name, &Quoted(&path.to_string_lossy()));
                }
            }
            if let Some(url) = &verification.jwks_url {
                yaml.line("jwksurl", &Quoted(url.as_str()));
            }
            algorithms(yaml, &verification.algorithms);
            yaml.line("autoredirect", &self.redirect_path.is_some());
            if let Some(path) = &self.redirect_path {
                yaml.line("autoredirectpath", &Quoted(path));
            }
        });
    }
}

impl SillyAuth {
    /// The `auth.silly` section.
    pub(super) fn write(&self, yaml: &mut Writer) {
        yaml.section("silly", |yaml| {
            yaml.line("realm", &Quoted(&self.realm));
            yaml.line("service", &Quoted(&self.service));
        });
    }
}

impl Settings {
    /// The parts of the `access` section that are about other servers.
    pub(super) fn issuers(&self, yaml: &mut Writer) {
        if !self.egress.allow.is_empty() || self.egress.ca.is_some() {
            yaml.section("egress", |yaml| {
                let allow = self.egress.allow.iter().map(ToString::to_string);
                yaml.texts("allow", allow);
                if let Some(ca) = &self.egress.ca {
                    yaml.line("ca", &Quoted(&ca.to_string_lossy()));
                }
            });
        }
        if !self.oidc.is_empty() {
            yaml.section("oidc", |yaml| {
                for issuer in &self.oidc {
                    oidc(yaml, issuer);
                }
            });
        }
    }
}

fn oidc(yaml: &mut Writer, issuer: &OidcSettings) {
    yaml.line("- name", &Quoted(&issuer.name));
    yaml.depth += 1;
    yaml.line("issuer", &Quoted(issuer.issuer.as_str()));
    yaml.texts("audiences", issuer.audiences.iter());
    let lines = [
        ("clientid", &issuer.client_id),
        ("groupsclaim", &issuer.groups_claim),
    ];
    for (name, text) in lines {
        if let Some(text) = text {
            yaml.line(name, &Quoted(text));
        }
    }
    if let Some(ca) = &issuer.ca {
        yaml.line("ca", &Quoted(&ca.to_string_lossy()));
    }
    algorithms(yaml, &issuer.algorithms);
    yaml.line("usernameclaim", &Quoted(&issuer.username_claim));
    yaml.depth -= 1;
}

fn algorithms(yaml: &mut Writer, algorithms: &[Algorithm]) {
    let names = algorithms.iter().map(|algorithm| algorithm.name());
    yaml.texts("signingalgorithms", names);
}
