//! The keys that are trusted, by the names that a token may call them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Compact, JoseError, PublicKey};

/// Trusted keys. Several may share a name: then any of them may have signed.
#[derive(Debug, Default, Clone)]
pub(crate) struct KeySet {
    by_kid: HashMap<String, Vec<Arc<PublicKey>>>,
    keys: Vec<Arc<PublicKey>>,
}

impl KeySet {
    /// Adds a key under all its names.
    pub(crate) fn insert(&mut self, key: PublicKey, kids: impl IntoIterator<Item = String>) {
        let key = Arc::new(key);
        for kid in kids {
            let named = self.by_kid.entry(kid).or_default();
            // One key's names may be the same.
            if !named.iter().any(|other| Arc::ptr_eq(other, &key)) {
                named.push(Arc::clone(&key));
            }
        }
        self.keys.push(key);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(crate) fn contains(&self, kid: &str) -> bool {
        self.by_kid.contains_key(kid)
    }

    /// The only key that this token can be of, where it names none (OpenID Connect Core §10.1).
    pub(crate) fn only_fit(&self, token: &Compact<'_>) -> Option<&PublicKey> {
        let mut fit = self.keys.iter().filter(|key| key.fits(token.algorithm));
        match (fit.next(), fit.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// Checks the token's signature by the key of this name.
    pub(crate) fn verify(&self, kid: &str, token: &Compact<'_>) -> Result<(), JoseError> {
        let named = self.by_kid.get(kid).ok_or(JoseError::UnknownKey)?;
        let mut outcome = Err(JoseError::Signature);
        for key in named {
            outcome = key.verify(token);
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }
}
