//! What can be done with a repository.

/// One kind of access to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Read blobs, manifests and lists.
    Pull,
    /// Upload blobs, put manifests, set tags.
    Push,
    /// Delete tags, manifests and blobs.
    Delete,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Pull, Self::Push, Self::Delete];

    const fn bit(self) -> u8 {
        match self {
            Self::Pull => 1,
            Self::Push => 2,
            Self::Delete => 4,
        }
    }
}

/// A set of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionSet(u8);

impl ActionSet {
    /// Pull alone.
    pub const PULL: Self = Self(Action::Pull.bit());
    /// Push, which always comes with pull.
    pub const PUSH: Self = Self(Action::Pull.bit() | Action::Push.bit());
    /// Delete alone.
    pub const DELETE: Self = Self(Action::Delete.bit());
    /// Everything.
    pub const ALL: Self = Self(Self::PUSH.0 | Self::DELETE.0);

    /// Whether the action is in the set.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & action.bit() != 0
    }

    /// The actions of the set, pull first.
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL
            .into_iter()
            .filter(move |action| self.contains(*action))
    }
}
