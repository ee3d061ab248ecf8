//! Who logged in a moment ago, so that a client's hundred requests ask the directory once.

use std::collections::HashMap;
use std::time::Instant;

use crate::accepted::{LIFETIME, Mark};

use super::LdapIdentity;

/// Logins that are kept, at most.
const MAX_ENTRIES: usize = 10_000;

/// Right passwords, by their marks, with whom they are of and until when they are.
#[derive(Default)]
pub(super) struct Recent(HashMap<Mark, (Instant, LdapIdentity)>);

impl Recent {
    pub(super) fn get(&self, mark: &Mark, now: Instant) -> Option<LdapIdentity> {
        let (end, identity) = self.0.get(mark)?;
        (now < *end).then(|| identity.clone())
    }

    /// Keeps a login that was checked at `now`.
    pub(super) fn keep(&mut self, mark: Mark, identity: LdapIdentity, now: Instant) {
        if self.0.len() >= MAX_ENTRIES {
            self.0.retain(|_, (end, _)| now < *end);
        }
        // The directory is asked again for whoever has no place.
        if self.0.len() < MAX_ENTRIES {
            self.0.insert(mark, (now + LIFETIME, identity));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_kept_for_its_time_and_there_are_not_too_many() {
        let identity = |user: &str| LdapIdentity {
            user: user.to_owned(),
            groups: Vec::new(),
        };
        let (mut recent, start) = (Recent::default(), Instant::now());
        recent.keep([1; 32], identity("ada"), start);
        assert_eq!(recent.get(&[1; 32], start), Some(identity("ada")));
        assert_eq!(recent.get(&[2; 32], start), None);
        assert_eq!(recent.get(&[1; 32], start + LIFETIME), None);
        let mark = |number: usize| {
            let mut mark = [7; 32];
            mark[..8].copy_from_slice(&number.to_le_bytes());
            mark
        };
        for number in 0..=MAX_ENTRIES {
            recent.keep(mark(number), identity("bob"), start);
        }
        assert_eq!(recent.0.len(), MAX_ENTRIES);
        recent.keep(mark(0), identity("eve"), start + LIFETIME);
        assert_eq!(recent.0.len(), 1);
    }
}
