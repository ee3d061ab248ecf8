//! Somebody who asks, once it is known who.

use roadstead_oci::PrincipalName;

/// Somebody who asks. Only the authoriser makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: PrincipalName,
    known: Known,
}

/// How the authoriser came to the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nobody was asked for credentials.
    NotAsked,
    /// By a password that was right.
    ByPassword,
}

impl Principal {
    pub(crate) fn anonymous() -> Self {
        Self {
            name: PrincipalName::anonymous(),
            known: Known::NotAsked,
        }
    }

    pub(crate) fn by_password(user: &str) -> Self {
        Self {
            name: PrincipalName::new(user),
            known: Known::ByPassword,
        }
    }

    /// The name, for journal, log and ownership of uploads.
    #[must_use]
    pub fn name(&self) -> &PrincipalName {
        &self.name
    }

    pub(crate) fn known(&self) -> Known {
        self.known
    }
}
