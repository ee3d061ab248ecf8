//! Tokens that were checked, so that a client's hundred requests cost one signature.

use std::time::SystemTime;

use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};

use crate::principal::Principal;

/// Tokens at most; then one that was not used for long goes.
const MAX_ENTRIES: usize = 10_000;

/// Found by a hash over all of the token: nobody gains by finding another with the same.
type Mark = [u8; 32];

/// Tokens that were right, while they hold.
pub(crate) struct Remembered {
    principals: Cache<Mark, (Principal, SystemTime)>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            principals: Cache::new(MAX_ENTRIES),
        }
    }
}

impl Remembered {
    pub(crate) fn get(&self, token: &str, now: SystemTime) -> Option<Principal> {
        let mark = mark(token);
        let (principal, ends) = self.principals.get(&mark)?;
        if ends <= now {
            self.principals.remove(&mark);
            return None;
        }
        Some(principal)
    }

    pub(crate) fn insert(&self, token: &str, principal: Principal, ends: SystemTime) {
        self.principals.insert(mark(token), (principal, ends));
    }

    /// Forgets everything: what tokens are checked against has changed.
    pub(crate) fn clear(&self) {
        self.principals.clear();
    }
}

fn mark(token: &str) -> Mark {
    Sha256::digest(token).into()
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
}
