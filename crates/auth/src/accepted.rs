//! What was right a moment ago, so that a client's hundred requests cost one hash.
//!
//! An entry is a keyed hash over (user, password, the user's bcrypt hash): it tells nobody a
//! password, cannot be aimed at from outside, and no longer fits once the file has another hash for
//! the user. Only right passwords are kept.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use crate::secret::Secret;

/// For how long a right password is right without another look.
pub(crate) const LIFETIME: Duration = Duration::from_secs(60);
/// Entries at most; then the oldest goes.
const MAX_ENTRIES: usize = 10_000;

/// Stands for one (user, password, hash).
pub(crate) type Mark = [u8; 32];

/// Makes marks that mean nothing outside this process.
pub(crate) struct Marker {
    /// One block of the hash, so that everything after it is hashed from a state nobody knows.
    key: Secret,
}

impl Marker {
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        let mut key = [0; 64];
        getrandom::fill(&mut key)?;
        Ok(Self {
            key: Secret::new(key),
        })
    }

    pub(crate) fn mark(&self, user: &str, password: &Secret, hash: &str) -> Mark {
        let mut hasher = Sha256::new_with_prefix(self.key.expose());
        // Lengths keep apart what would read alike when joined.
        for part in [user.as_bytes(), password.expose(), hash.as_bytes()] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}

/// The marks of what was right.
#[derive(Default)]
pub(crate) struct Accepted {
    marks: HashSet<Mark>,
    /// In the order in which they end.
    ends: VecDeque<(Instant, Mark)>,
}

impl Accepted {
    pub(crate) fn contains(&mut self, mark: &Mark, now: Instant) -> bool {
        self.forget_ended(now);
        self.marks.contains(mark)
    }

    pub(crate) fn insert(&mut self, mark: Mark, now: Instant) {
        self.forget_ended(now);
        if !self.marks.insert(mark) {
            return;
        }
        self.ends.push_back((now + LIFETIME, mark));
        if self.ends.len() > MAX_ENTRIES {
            self.forget_oldest();
        }
    }

    fn forget_ended(&mut self, now: Instant) {
        while self.ends.front().is_some_and(|(end, _)| *end <= now) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, mark)) = self.ends.pop_front() {
            self.marks.remove(&mark);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_lives_for_its_time_and_using_it_does_not_prolong_it() {
        let (mut accepted, start) = (Accepted::default(), Instant::now());
        accepted.insert([1; 32], start);
        accepted.insert([1; 32], start + LIFETIME / 2);
        assert!(accepted.contains(&[1; 32], start + LIFETIME - Duration::from_millis(1)));
        assert!(!accepted.contains(&[2; 32], start));
        assert!(!accepted.contains(&[1; 32], start + LIFETIME));
    }

    #[test]
    fn the_oldest_goes_when_there_are_too_many() {
        let (mut accepted, now) = (Accepted::default(), Instant::now());
        let mark = |number: usize| {
            let mut mark = [0; 32];
            mark[..8].copy_from_slice(&number.to_le_bytes());
            mark
        };
        for number in 0..=MAX_ENTRIES {
            accepted.insert(mark(number), now);
        }
        assert!(!accepted.contains(&mark(0), now));
        assert!(accepted.contains(&mark(1), now));
        assert!(accepted.contains(&mark(MAX_ENTRIES), now));
        assert_eq!(accepted.marks.len(), MAX_ENTRIES);
    }

    #[test]
    fn marks_tell_everything_apart() {
        let (marker, other) = (Marker::new().unwrap(), Marker::new().unwrap());
        let mark = |marker: &Marker, user, password: &str, hash| {
            marker.mark(user, &Secret::new(password.as_bytes()), hash)
        };
        let first = mark(&marker, "ab", "c", "hash");
        assert_eq!(first, mark(&marker, "ab", "c", "hash"));
        for different in [
            mark(&marker, "a", "bc", "hash"),
            mark(&marker, "abc", "", "hash"),
            mark(&marker, "ab", "ch", "ash"),
            mark(&marker, "ab", "c", "other"),
            mark(&other, "ab", "c", "hash"),
        ] {
            assert_ne!(first, different);
        }
    }
}
