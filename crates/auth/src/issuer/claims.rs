//! What stands in a token of our own (RFC 7519; `access` as in the Docker registry's token
//! specification, "JSON Web Token").

use std::time::Duration;

use roadstead_oci::{PrincipalName, RepositoryName};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::principal::{Identity, Kind};
use crate::scope::{Access, Scope, add_action};

/// The issuer of our tokens: the keys tell installations apart, not this.
pub(crate) const ISSUER: &str = "roadstead";

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    nbf: u64,
    exp: u64,
    jti: Uuid,
    #[serde(rename = "use")]
    purpose: Use,
    kind: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    claims: Map<String, Value>,
    #[serde(default)]
    access: Vec<Record>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
}

/// What a token is for. One of a kind is never taken for one of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Use {
    Access,
    Refresh,
}

#[derive(Debug, Serialize, Deserialize)]
struct Record {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    actions: Vec<String>,
}

impl Claims {
    /// `now` in seconds since 1970.
    pub(super) fn new(
        identity: &Identity,
        service: &str,
        purpose: Use,
        now: u64,
        lifetime: Duration,
    ) -> Self {
        Self {
            iss: ISSUER.to_owned(),
            aud: service.to_owned(),
            sub: identity.name.to_string(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(lifetime.as_secs()),
            jti: Uuid::new_v4(),
            purpose,
            kind: identity.kind.as_str().to_owned(),
            groups: identity.groups.clone(),
            claims: identity.claims.clone(),
            access: Vec::new(),
            fingerprint: None,
        }
    }

    pub(super) fn with_access(mut self, access: &Access) -> Self {
        let record = |scope: Scope| match scope {
            Scope::Catalog => Record {
                kind: "registry".to_owned(),
                name: "catalog".to_owned(),
                actions: vec!["*".to_owned()],
            },
            Scope::Repository(name, actions) => Record {
                kind: "repository".to_owned(),
                name: name.as_str().to_owned(),
                actions: actions
                    .iter()
                    .map(|action| action.as_str().to_owned())
                    .collect(),
            },
        };
        self.access = access.scopes().map(record).collect();
        self
    }

    pub(super) fn with_fingerprint(mut self, fingerprint: String) -> Self {
        self.fingerprint = Some(fingerprint);
        self
    }

    pub(super) fn purpose(&self) -> Use {
        self.purpose
    }

    pub(super) fn issued_at(&self) -> u64 {
        self.iat
    }

    pub(super) fn expires_at(&self) -> u64 {
        self.exp
    }

    pub(super) fn fingerprint(&self) -> Option<String> {
        self.fingerprint.clone()
    }

    /// Who the holder is and what was asked for; none for what this release does not write.
    pub(super) fn read(&self) -> Option<(Identity, Access)> {
        let identity = Identity {
            kind: Kind::parse(&self.kind)?,
            name: PrincipalName::new(&self.sub),
            groups: self.groups.clone(),
            claims: self.claims.clone(),
        };
        let mut access = Access::default();
        for record in &self.access {
            access.add(record.scope()?);
        }
        Some((identity, access))
    }
}

impl Record {
    fn scope(&self) -> Option<Scope> {
        match self.kind.as_str() {
            "registry" => Some(Scope::Catalog),
            "repository" => {
                let actions = self.actions.iter();
                let actions = actions.fold(Default::default(), |set, name| add_action(set, name));
                Some(Scope::Repository(
                    RepositoryName::parse(&self.name).ok()?,
                    actions,
                ))
            }
            _ => None,
        }
    }
}
