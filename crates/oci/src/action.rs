//! What can be done with a repository.

/// One kind of access to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read blobs, manifests and lists.
    Pull,
    /// Upload blobs, put manifests, set tags that are new.
    Push,
    /// Point a tag that is there to another manifest.
    Overwrite,
    /// Delete tags, manifests and blobs.
    Delete,
    /// See the repository in the catalog.
    List,
    /// Everything that there is.
    Admin,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Pull,
        Self::Push,
        Self::Overwrite,
        Self::Delete,
        Self::List,
        Self::Admin,
    ];

    const fn bit(self) -> u8 {
        match self {
            Self::Pull => 1,
            Self::Push => 2,
            Self::Overwrite => 4,
            Self::Delete => 8,
            Self::List => 16,
            Self::Admin => 32,
        }
    }

    /// Its name in rules, scopes and logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pull => "pull",
            Self::Push => "push",
            Self::Overwrite => "overwrite",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Admin => "admin",
        }
    }

    /// The action of a name; none for any other text.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == name)
    }
}

/// A set of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ActionSet(u8);

impl ActionSet {
    /// No action.
    pub const NONE: Self = Self(0);
    /// Pull alone.
    pub const PULL: Self = Self(Action::Pull.bit());
    /// Push, which always comes with pull.
    pub const PUSH: Self = Self(Action::Pull.bit() | Action::Push.bit());
    /// Delete alone.
    pub const DELETE: Self = Self(Action::Delete.bit());
    /// List alone.
    pub const LIST: Self = Self(Action::List.bit());
    /// Everything.
    pub const ALL: Self = Self(0b11_1111);

    /// Whether the action is in the set.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with one more action.
    #[must_use]
    pub const fn with(self, action: Action) -> Self {
        Self(self.0 | action.bit())
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The actions of the set, pull first.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |action| self.contains(*action))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::NONE, Self::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sets_are_those_of_the_actions() {
        for action in Action::ALL {
            assert_eq!(Action::parse(action.as_str()), Some(action));
            assert!(ActionSet::ALL.contains(action));
            assert!(!ActionSet::NONE.contains(action));
        }
        assert_eq!(Action::parse("Pull"), None);
        assert_eq!(ActionSet::from_iter(Action::ALL), ActionSet::ALL);
        let pushing: Vec<_> = ActionSet::PUSH.iter().collect();
        assert_eq!(pushing, [Action::Pull, Action::Push]);
    }
}
