//! Scopes: what somebody asks a token server for, and what a token says that its holder got
//! (the Docker registry token specification, "Requesting a Token").

use std::fmt;

use roadstead_oci::{Action, ActionSet, RepositoryName};

/// Scopes of one request for a token at most.
pub(crate) const MAX_SCOPES: usize = 100;

/// One scope: `repository:team/app:pull,push` or `registry:catalog:*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Actions on a repository: pull, push, delete.
    Repository(RepositoryName, ActionSet),
    /// The list of repositories.
    Catalog,
}

impl Scope {
    /// Reads a scope. None for what the registry has no rights for: other types, names and actions,
    /// which a token server leaves out of what it grants.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        // A name has no colon: neither hosts nor ports are part of it.
        let (name, actions) = rest.rsplit_once(':')?;
        match kind {
            "repository" => {
                let name = RepositoryName::parse(name).ok()?;
                let set = actions.split(',').fold(ActionSet::NONE, add_action);
                (!set.is_empty()).then_some(Self::Repository(name, set))
            }
            "registry" if name == "catalog" && actions.split(',').any(|action| action == "*") => {
                Some(Self::Catalog)
            }
            _ => None,
        }
    }

    /// The scopes of a request: each parameter may hold several, apart by spaces. At most
    /// [`MAX_SCOPES`] are looked at.
    pub(crate) fn parse_all<'a>(parameters: impl Iterator<Item = &'a str>) -> Vec<Self> {
        let words = parameters.flat_map(|text| text.split(' '));
        let words = words.filter(|word| !word.is_empty());
        words.take(MAX_SCOPES).filter_map(Self::parse).collect()
    }
}

/// The actions of scopes and of access claims; `*` stands for all of them.
pub(crate) fn add_action(set: ActionSet, name: &str) -> ActionSet {
    match name {
        "pull" => set.with(Action::Pull),
        "push" => set.with(Action::Push),
        "delete" => set.with(Action::Delete),
        "*" => set.union(SCOPED),
        _ => set,
    }
}

/// What a scope can name.
const SCOPED: ActionSet = ActionSet::PUSH.with(Action::Delete);

/// Written as a challenge shows it.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Catalog => f.write_str("registry:catalog:*"),
            Self::Repository(name, actions) => {
                write!(f, "repository:{name}:")?;
                for (index, action) in actions.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{}", action.as_str())?;
                }
                Ok(())
            }
        }
    }
}

/// What a token says that its holder may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Access {
    /// Few: a list is faster than a map.
    repositories: Vec<(RepositoryName, ActionSet)>,
    catalog: bool,
}

impl Access {
    pub(crate) fn add(&mut self, scope: Scope) {
        match scope {
            Scope::Catalog => self.catalog = true,
            Scope::Repository(name, actions) => {
                match self
                    .repositories
                    .iter_mut()
                    .find(|(known, _)| *known == name)
                {
                    Some((_, known)) => *known = known.union(actions),
                    None => self.repositories.push((name, actions)),
                }
            }
        }
    }

    /// Whether the token covers the action. Who may push may move tags, as far as a token can say.
    pub(crate) fn covers(&self, repository: &RepositoryName, action: Action) -> bool {
        let action = match action {
            Action::Overwrite => Action::Push,
            Action::List => return self.catalog,
            other => other,
        };
        let entry = self
            .repositories
            .iter()
            .find(|(name, _)| name == repository);
        entry.is_some_and(|(_, actions)| actions.contains(action))
    }

    pub(crate) fn covers_catalog(&self) -> bool {
        self.catalog
    }

    /// What it covers.
    pub(crate) fn scopes(&self) -> impl Iterator<Item = Scope> {
        let repositories = self.repositories.iter();
        let repositories =
            repositories.map(|(name, actions)| Scope::Repository(name.clone(), *actions));
        repositories.chain(self.catalog.then_some(Scope::Catalog))
    }
}

impl FromIterator<Scope> for Access {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut access = Self::default();
        scopes.into_iter().for_each(|scope| access.add(scope));
        access
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scopes_are_read_and_what_nobody_grants_is_left_out() {
        for (text, written) in [
            ("repository:team/app:pull", Some("repository:team/app:pull")),
            (
                "repository:app:push,pull,fly",
                Some("repository:app:pull,push"),
            ),
            ("repository:app:*", Some("repository:app:pull,push,delete")),
            ("registry:catalog:*", Some("registry:catalog:*")),
            ("registry:catalog:pull", None),
            ("registry:other:*", None),
            ("repository(plugin):app:pull", None),
            ("repository:App:pull", None),
            ("repository:host:5000/app:pull", None),
            ("repository:app:", None),
            ("repository:app:overwrite,admin", None),
            ("repository:app", None),
            ("", None),
        ] {
            let scope = Scope::parse(text).map(|scope| scope.to_string());
            assert_eq!(scope.as_deref(), written, "{text:?}");
        }
    }

    #[test]
    fn access_covers_what_its_scopes_say_together() {
        let scopes = "repository:app:pull repository:app:push repository:lib:pull";
        let access: Access = Scope::parse_all([scopes].into_iter()).into_iter().collect();
        let name = |text| RepositoryName::parse(text).unwrap();
        for (repository, action, covered) in [
            ("app", Action::Pull, true),
            ("app", Action::Push, true),
            ("app", Action::Overwrite, true),
            ("app", Action::Delete, false),
            ("app", Action::Admin, false),
            ("app", Action::List, false),
            ("lib", Action::Pull, true),
            ("lib", Action::Overwrite, false),
            ("app/lib", Action::Pull, false),
        ] {
            assert_eq!(access.covers(&name(repository), action), covered);
        }
        assert!(!access.covers_catalog());
        assert_eq!(access.scopes().count(), 2);
    }

    proptest! {
        #[test]
        fn whatever_is_written_reads_the_same(text in ".{0,60}") {
            if let Some(scope) = Scope::parse(&text) {
                prop_assert_eq!(Scope::parse(&scope.to_string()), Some(scope));
            }
        }

        #[test]
        fn scopes_are_bounded(count in 0usize..300) {
            let text = vec!["repository:a:pull"; count].join(" ");
            prop_assert!(Scope::parse_all([text.as_str()].into_iter()).len() <= MAX_SCOPES);
        }
    }
}
