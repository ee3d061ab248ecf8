//! Digests: an algorithm of an allow-list and its bytes, never text (OCI distribution, "Digests").

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A hash function that content may be named by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// `sha256`, the default.
    Sha256,
    /// `sha512`.
    Sha512,
}

impl Algorithm {
    /// Its registered name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Bytes of a digest.
    #[must_use]
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    /// Hex digits of a digest.
    #[must_use]
    pub const fn hex_len(self) -> usize {
        self.digest_len() * 2
    }

    /// Reads a registered name, lower-case as it must be.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// The name of content by what it is. Ordered as its text is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: [u8; LONGEST],
}

/// Bytes of the longest digest.
const LONGEST: usize = 64;

/// Why a text is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// No algorithm stands before a colon.
    #[error("invalid checksum digest format")]
    NoAlgorithm,
    /// The algorithm is none that the registry takes.
    #[error("unsupported digest algorithm")]
    UnsupportedAlgorithm,
    /// The hex part is too short or too long.
    #[error("invalid checksum digest length")]
    Length,
    /// The hex part has something else than lower-case hex digits.
    #[error("invalid checksum digest format")]
    Character,
}

impl Digest {
    /// Reads `<algorithm>:<lower-case hex of exact length>`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let (algorithm, hex) = text
            .split_once(':')
            .filter(|(algorithm, _)| !algorithm.is_empty())
            .ok_or(DigestError::NoAlgorithm)?;
        let algorithm = Algorithm::parse(algorithm).ok_or(DigestError::UnsupportedAlgorithm)?;
        if hex.len() != algorithm.hex_len() {
            return Err(DigestError::Length);
        }
        let mut bytes = [0; LONGEST];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().as_chunks::<2>().0) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self { algorithm, bytes })
    }

    /// Names content by a hash that was computed. `None` where the length is not the algorithm's.
    #[must_use]
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Option<Self> {
        if hash.len() != algorithm.digest_len() {
            return None;
        }
        let mut bytes = [0; LONGEST];
        bytes[..hash.len()].copy_from_slice(hash);
        Some(Self { algorithm, bytes })
    }

    /// The hash function.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.digest_len()]
    }

    /// The hash as lower-case hex.
    #[must_use]
    pub fn hex(&self) -> String {
        self.with_hex(str::to_owned)
    }

    /// Digests are written for every request: into room on the stack, at once.
    fn with_hex<T>(&self, write: impl FnOnce(&str) -> T) -> T {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 2 * LONGEST];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(self.as_bytes()) {
            *pair = [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ];
        }
        let hex = &text[..2 * self.as_bytes().len()];
        write(std::str::from_utf8(hex).unwrap_or_default())
    }
}

fn nibble(digit: u8) -> Result<u8, DigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(DigestError::Character),
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.algorithm.as_str())?;
        f.write_str(":")?;
        self.with_hex(|hex| f.write_str(hex))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_lower_case_hex_of_exact_length_is_a_digest() {
        let hex = "0123456789abcdef".repeat(4);
        assert_eq!(Digest::parse(&format!("sha256:{hex}")).unwrap().hex(), hex);
        assert!(Digest::parse(&format!("sha512:{hex}{hex}")).is_ok());
        for (bad, error) in [
            (hex.clone(), DigestError::NoAlgorithm),
            (String::new(), DigestError::NoAlgorithm),
            (format!(":{hex}"), DigestError::NoAlgorithm),
            (format!("sha256:{}", "é".repeat(32)), DigestError::Character),
            ("sha256:%2e%2e%2f".to_owned(), DigestError::Length),
            (
                format!("sha256:{}", "a".repeat(1 << 20)),
                DigestError::Length,
            ),
            (format!("md5:{hex}"), DigestError::UnsupportedAlgorithm),
            (format!("SHA256:{hex}"), DigestError::UnsupportedAlgorithm),
            (
                format!("sha256+b64:{hex}"),
                DigestError::UnsupportedAlgorithm,
            ),
            (format!("sha512:{hex}"), DigestError::Length),
            ("sha256:".to_owned(), DigestError::Length),
            ("sha256:../../x".to_owned(), DigestError::Length),
            (format!("sha256:{}", &hex[1..]), DigestError::Length),
            (
                format!("sha256:{}", hex.to_uppercase()),
                DigestError::Character,
            ),
            (format!("sha256:{}\0", &hex[1..]), DigestError::Character),
        ] {
            assert_eq!(Digest::parse(&bad), Err(error), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = Digest::parse(&text);
        }

        #[test]
        fn order_and_text_agree(a: [u8; 32], b: [u8; 32], c in proptest::collection::vec(any::<u8>(), 64)) {
            let digests = [
                Digest::from_bytes(Algorithm::Sha256, &a).unwrap(),
                Digest::from_bytes(Algorithm::Sha256, &b).unwrap(),
                Digest::from_bytes(Algorithm::Sha512, &c).unwrap(),
            ];
            for x in digests {
                prop_assert_eq!(Digest::parse(&x.to_string()), Ok(x));
                for y in digests {
                    prop_assert_eq!(x.cmp(&y), x.to_string().cmp(&y.to_string()));
                }
            }
        }
    }
}
