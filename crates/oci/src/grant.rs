//! Grants: the proof that somebody may do something. The registry demands one for every operation,
//! and only the authoriser may make one: `cargo xtask tidy` checks that the constructors are called
//! nowhere else but in tests.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::action::{Action, ActionSet};
use crate::repository_name::RepositoryName;

/// The name of somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PrincipalName(Arc<str>);

impl PrincipalName {
    /// Nobody in particular.
    #[must_use]
    pub fn anonymous() -> Self {
        static ANONYMOUS: LazyLock<PrincipalName> =
            LazyLock::new(|| PrincipalName::new("anonymous"));
        ANONYMOUS.clone()
    }

    /// Somebody.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Leave to do something with one repository.
#[derive(Debug, Clone)]
pub struct Grant {
    repository: RepositoryName,
    actions: ActionSet,
    principal: PrincipalName,
}

impl Grant {
    /// Grants; for the authoriser alone.
    #[must_use]
    pub fn issue(repository: RepositoryName, actions: ActionSet, principal: PrincipalName) -> Self {
        Self {
            repository,
            actions,
            principal,
        }
    }

    /// Which repository.
    #[must_use]
    pub fn repository(&self) -> &RepositoryName {
        &self.repository
    }

    /// To whom.
    #[must_use]
    pub fn principal(&self) -> &PrincipalName {
        &self.principal
    }

    /// Whether the action is granted.
    #[must_use]
    pub fn permits(&self, action: Action) -> bool {
        self.actions.contains(action)
    }
}

/// Leave to list the repositories.
#[derive(Debug, Clone)]
pub struct CatalogGrant {
    principal: PrincipalName,
}

impl CatalogGrant {
    /// Grants; for the authoriser alone.
    #[must_use]
    pub fn issue(principal: PrincipalName) -> Self {
        Self { principal }
    }

    /// To whom.
    #[must_use]
    pub fn principal(&self) -> &PrincipalName {
        &self.principal
    }
}
