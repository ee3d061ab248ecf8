//! Somebody who asks, once it is known who.

use std::sync::{Arc, LazyLock};

use roadstead_oci::PrincipalName;
use serde_json::{Map, Value, json};

use crate::certificate::ClientCertificate;
use crate::scope::Access;

/// Somebody who asks. Only the authoriser makes one.
#[derive(Debug, Clone)]
pub struct Principal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    identity: Identity,
    credential: Credential,
}

/// Who somebody is, however that became known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Identity {
    pub(crate) kind: Kind,
    pub(crate) name: PrincipalName,
    /// As whoever vouches for the identity says; the policy may know of more.
    pub(crate) groups: Vec<String>,
    /// What else is vouched for: the claims of a token.
    pub(crate) claims: Map<String, Value>,
}

/// What somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nobody in particular.
    Anonymous,
    /// A person, or whatever else has a name and a password.
    User,
    /// A robot account.
    Robot,
    /// A person, a job or a service that an OIDC issuer vouches for.
    Oidc,
    /// The holder of a client certificate.
    Certificate,
}

/// What the request brought with it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Credential {
    /// Nothing.
    None,
    /// Basic credentials without a name and a password, which some clients send for "nobody".
    Empty,
    /// A password, a key, a token of another issuer as a password, or a certificate.
    Own,
    /// A token of the registry itself: nothing beyond what was asked for when it was issued.
    Token(Access),
    /// A token of an external issuer, who decides.
    External(Access),
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Anonymous,
        Self::User,
        Self::Robot,
        Self::Oidc,
        Self::Certificate,
    ];

    /// Its name in logs, conditions and tokens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User => "user",
            Self::Robot => "robot",
            Self::Oidc => "oidc",
            Self::Certificate => "certificate",
        }
    }

    /// The kind of a name; none for any other text.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind that a whole name says, and the name without it: `alice`, `robot:ci`.
    pub(crate) fn of_name(name: &str) -> (Self, &str) {
        let (prefix, rest) = name.split_once(':').unwrap_or(("user", name));
        match Self::parse(prefix) {
            Some(kind) if kind != Self::Anonymous => (kind, rest),
            _ => (Self::User, name),
        }
    }

    /// What the names of this kind begin with, which no user's name has: users have no colon.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Anonymous | Self::User => "",
            Self::Robot => "robot:",
            Self::Oidc => "oidc:",
            Self::Certificate => "certificate:",
        }
    }
}

impl Identity {
    pub(crate) fn anonymous() -> Self {
        Self {
            kind: Kind::Anonymous,
            name: PrincipalName::anonymous(),
            groups: Vec::new(),
            claims: Map::new(),
        }
    }

    /// An identity of a kind other than anonymous; `name` without the kind's prefix.
    pub(crate) fn new(kind: Kind, name: &str) -> Self {
        Self {
            kind,
            name: PrincipalName::new(&format!("{}{name}", kind.prefix())),
            groups: Vec::new(),
            claims: Map::new(),
        }
    }

    pub(crate) fn user(name: &str) -> Self {
        Self::new(Kind::User, name)
    }

    /// Who a certificate's holder is: its SPIFFE id, else its common name, else its whole subject. What
    /// else it says can be asked for as claims.
    pub(crate) fn of_certificate(certificate: &ClientCertificate) -> Self {
        let name = match (&certificate.spiffe_id, &certificate.common_name) {
            (Some(id), _) => id.clone(),
            // Whatever a subject says, it cannot pass for a SPIFFE id.
            (None, Some(name)) => format!("cn={name}"),
            (None, None) => format!("subject={}", certificate.subject),
        };
        let claims = json!({
            "subject": certificate.subject,
            "dns": certificate.dns_names,
            "email": certificate.emails,
            "uri": certificate.uris,
        });
        let claims = match claims {
            Value::Object(claims) => claims,
            _ => Map::new(),
        };
        Self::new(Kind::Certificate, &name).with_claims(claims)
    }

    pub(crate) fn in_groups(mut self, groups: Vec<String>) -> Self {
        self.groups = groups;
        self
    }

    pub(crate) fn with_claims(mut self, claims: Map<String, Value>) -> Self {
        self.claims = claims;
        self
    }

    /// The name without the kind's prefix.
    pub(crate) fn short_name(&self) -> &str {
        let name = self.name.as_str();
        name.strip_prefix(self.kind.prefix()).unwrap_or(name)
    }
}

impl Principal {
    pub(crate) fn new(identity: Identity, credential: Credential) -> Self {
        Self(Arc::new(Inner {
            identity,
            credential,
        }))
    }

    /// Whoever brought nothing.
    pub(crate) fn anonymous() -> Self {
        static ANONYMOUS: LazyLock<Principal> =
            LazyLock::new(|| Principal::new(Identity::anonymous(), Credential::None));
        ANONYMOUS.clone()
    }

    /// The name, for journal, log and ownership of uploads.
    #[must_use]
    pub fn name(&self) -> &PrincipalName {
        &self.0.identity.name
    }

    /// What it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.identity.kind
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.0.identity
    }

    pub(crate) fn credential(&self) -> &Credential {
        &self.0.credential
    }

    /// Whether a token came with the request.
    pub(crate) fn is_by_token(&self) -> bool {
        matches!(
            self.0.credential,
            Credential::Token(_) | Credential::External(_)
        )
    }

    /// Whether an external issuer decides what may be done.
    #[must_use]
    pub fn is_external(&self) -> bool {
        matches!(self.0.credential, Credential::External(_))
    }

    /// Whether the request brought credentials of somebody.
    #[must_use]
    pub fn is_identified(&self) -> bool {
        !matches!(self.0.credential, Credential::None | Credential::Empty)
    }
}
