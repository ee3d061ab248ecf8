//! Keys of robots.
//!
//! A key is `rsd_`, 22 characters of a public id, 33 characters of a secret, and 6 characters of a
//! checksum, all of them digits and letters:
//!
//! ```text
//! rsd_[0-9A-Za-z]{61}
//! ```
//!
//! That expression finds keys in what has leaked, and the checksum (CRC-32 as in zlib and PNG, of
//! everything before it, in base 62, most significant digit first) tells them from what only looks
//! like one, without asking the registry. Each character is drawn by itself: the id has 130 random
//! bits, the secret 196.
//!
//! What is kept of a key is SHA-256 of it. A slow hash makes guessing dear where people choose
//! passwords; 196 random bits are not guessed, with whatever hash, and a fast one lets a robot's
//! hundred requests cost nothing.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A key with its secret; `Debug` shows the id alone.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

/// What all keys begin with.
pub const API_KEY_PREFIX: &str = "rsd_";

/// Characters of the parts behind the prefix.
const ID: usize = 22;
const SECRET: usize = 33;
const CHECKSUM: usize = 6;
const LENGTH: usize = API_KEY_PREFIX.len() + ID + SECRET + CHECKSUM;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// What a hash of a key begins with, so that it is not taken for a password's.
const HASH_PREFIX: &str = "$sha256$";

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    /// It does not begin with `rsd_`: it is something else, a password perhaps.
    #[error("it is no key of this registry")]
    Other,
    /// It has another length, or another character than digits and letters.
    #[error("the key is cut short or was changed on the way")]
    Malformed,
    /// Its checksum is not that of the rest.
    #[error("the key's checksum is wrong: it was mistyped, or is none of a registry's")]
    Checksum,
}

impl ApiKey {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(API_KEY_PREFIX);
        let mut random = [0; 64];
        while text.len() < LENGTH - CHECKSUM {
            getrandom::fill(&mut random)?;
            // 248 is the largest multiple of 62: each digit is as likely as any other.
            let fair = random.iter().filter(|byte| **byte < 248);
            let room = LENGTH - CHECKSUM - text.len();
            text.extend(fair.take(room).map(|byte| digit(u32::from(*byte))));
        }
        let checksum = checksum(&text);
        text.push_str(&checksum);
        Ok(Self(text))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// See [`ApiKeyError`].
    pub fn parse(text: &str) -> Result<Self, ApiKeyError> {
        let rest = text
            .strip_prefix(API_KEY_PREFIX)
            .ok_or(ApiKeyError::Other)?;
        if text.len() != LENGTH || !rest.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(ApiKeyError::Malformed);
        }
        let (before, sum) = text.split_at(LENGTH - CHECKSUM);
        if sum != checksum(before) {
            return Err(ApiKeyError::Checksum);
        }
        Ok(Self(text.to_owned()))
    }

    /// The public part, by which its account is found.
    pub fn id(&self) -> &str {
        &self.0[API_KEY_PREFIX.len()..API_KEY_PREFIX.len() + ID]
    }

    /// The whole key; each caller is a place to look at when one has leaked.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    pub fn hash(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        format!("{HASH_PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(digest))
    }

    /// Whether `hash` is its; compared in constant time.
    #[must_use]
    pub fn matches(&self, hash: &str) -> bool {
        self.hash().as_bytes().ct_eq(hash.as_bytes()).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

fn digit(number: u32) -> char {
    char::from(DIGITS[(number % 62) as usize])
}

/// The checksum's digits: 62^6 is above 2^32.
fn checksum(text: &str) -> String {
    let mut rest = crc32(text.as_bytes());
    let mut digits = ['0'; CHECKSUM];
    for place in digits.iter_mut().rev() {
        *place = digit(rest);
        rest /= 62;
    }
    digits.iter().collect()
}

/// CRC-32 of IEEE 802.3, reflected, as zlib has it. A key is short: there is no table.
fn crc32(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0xedb8_8320;
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let divide = crc & 1 != 0;
            crc >>= 1;
            if divide {
                crc ^= POLYNOMIAL;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_checksum_is_zlibs() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
        let all = "rsd_0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs";
        // zlib.crc32(all) in base 62, by another program.
        assert_eq!(checksum(all), CHECKSUM_OF_ALL);
    }

    const CHECKSUM_OF_ALL: &str = "4HVbrg";

    #[test]
    fn a_new_key_is_read_again_and_is_like_no_other() {
        let (one, two) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_ne!(one.id(), two.id());
        for key in [&one, &two] {
            assert_eq!(key.expose().len(), 65);
            assert_eq!(key.id().len(), 22);
            assert_eq!(ApiKey::parse(key.expose()).as_ref(), Ok(key));
        }
    }

    #[test]
    fn a_hash_is_of_one_key_and_tells_nothing_of_it() {
        let (one, two) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        let hash = one.hash();
        assert!(one.matches(&hash) && !two.matches(&hash));
        for other in ["", "$sha256$", &hash[..hash.len() - 1], &format!("{hash}x")] {
            assert!(!one.matches(other), "{other}");
        }
        let secret = &one.expose()[26..59];
        assert!(!hash.contains(secret) && !format!("{one:?}").contains(secret));
        assert!(format!("{one:?}").contains(one.id()));
    }

    #[test]
    fn what_is_no_key_is_told_from_what_was_one() {
        let key = ApiKey::generate().unwrap();
        let text = key.expose();
        let changed = text.replacen(
            &text[30..31],
            if &text[30..31] == "a" { "b" } else { "a" },
            1,
        );
        for (text, expected) in [
            ("", ApiKeyError::Other),
            ("password", ApiKeyError::Other),
            (&text[1..], ApiKeyError::Other),
            (&format!(" {text}"), ApiKeyError::Other),
            (&text.replacen("rsd_", "RSD_", 1), ApiKeyError::Other),
            (&text[..64], ApiKeyError::Malformed),
            (&format!("{text}0"), ApiKeyError::Malformed),
            (&format!("{text}\n"), ApiKeyError::Malformed),
            (&format!("{}é", &text[..63]), ApiKeyError::Malformed),
            (&format!("{}-", &text[..64]), ApiKeyError::Malformed),
            (&changed, ApiKeyError::Checksum),
        ] {
            assert_eq!(ApiKey::parse(text).unwrap_err(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_read_as_another(text in "(rsd_)?[0-9A-Za-zé_]{0,70}") {
            if let Ok(key) = ApiKey::parse(&text) {
                prop_assert_eq!(key.expose(), text);
            }
        }

        #[test]
        fn one_changed_character_is_found(place in 4_usize..65, other in "[0-9A-Za-z]") {
            let key = ApiKey::generate().unwrap();
            let mut text = key.expose().to_owned();
            prop_assume!(text[place..=place] != other);
            text.replace_range(place..=place, &other);
            prop_assert_eq!(ApiKey::parse(&text).unwrap_err(), ApiKeyError::Checksum);
        }
    }
}
