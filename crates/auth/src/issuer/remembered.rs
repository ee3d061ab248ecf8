//! Tokens that were checked, so that a client's hundred requests cost one signature.

use std::time::SystemTime;

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::principal::Principal;

/// Tokens that there is room for when they are of a usual length.
const USUAL_ENTRIES: usize = 10_000;
/// Bytes of tokens and what they say at most; then one that was not used for long goes.
const MAX_BYTES: u64 = 16 << 20;
/// Bytes of an entry beside its token.
const ENTRY_BYTES: u64 = 256;

/// Tokens that were right, while they hold. They are found by all of their text: a SHA-256 of it
/// would cost more than all else that a request with a token does beside one without.
pub(crate) struct Remembered {
    principals: Cache<Box<str>, (Principal, SystemTime), ByBytes>,
}

/// A token's text, and once more for what was read out of it.
#[derive(Clone)]
struct ByBytes;

impl Weighter<Box<str>, (Principal, SystemTime)> for ByBytes {
    fn weight(&self, token: &Box<str>, _: &(Principal, SystemTime)) -> u64 {
        ENTRY_BYTES + 2 * token.len() as u64
    }
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            principals: Cache::with_weighter(USUAL_ENTRIES, MAX_BYTES, ByBytes),
        }
    }
}

impl Remembered {
    pub(crate) fn get(&self, token: &str, now: SystemTime) -> Option<Principal> {
        let (principal, ends) = self.principals.get(token)?;
        if ends <= now {
            self.principals.remove(token);
            return None;
        }
        Some(principal)
    }

    pub(crate) fn insert(&self, token: &str, principal: Principal, ends: SystemTime) {
        self.principals.insert(token.into(), (principal, ends));
    }

    /// Forgets everything: what tokens are checked against has changed.
    pub(crate) fn clear(&self) {
        self.principals.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_token_is_remembered_until_it_ends() {
        let (remembered, now) = (Remembered::default(), SystemTime::now());
        remembered.insert(
            "a.b.c",
            Principal::anonymous(),
            now + Duration::from_secs(5),
        );
        assert!(remembered.get("a.b.c", now).is_some());
        assert!(remembered.get("a.b.d", now).is_none());
        assert!(
            remembered
                .get("a.b.c", now + Duration::from_secs(5))
                .is_none()
        );
        assert!(remembered.get("a.b.c", now).is_none());
        remembered.insert(
            "a.b.c",
            Principal::anonymous(),
            now + Duration::from_secs(5),
        );
        remembered.clear();
        assert!(remembered.get("a.b.c", now).is_none());
    }

    #[test]
    fn what_is_remembered_has_a_bound_in_bytes() {
        let (remembered, now) = (Remembered::default(), SystemTime::now());
        let ends = now + Duration::from_secs(60);
        for number in 0..4_000 {
            let token = format!("{number}.{}", "x".repeat(16 << 10));
            remembered.insert(&token, Principal::anonymous(), ends);
        }
        assert!(remembered.principals.weight() <= MAX_BYTES);
        assert!(remembered.principals.len() > 100);
    }
}
