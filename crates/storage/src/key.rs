//! Keys: random, and never used for a second object.

use std::fmt;

use uuid::Uuid;

/// The name of an object: a random UUID (122 bits), independent of what it holds and of any name
/// that a client sees. Ordered by its bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Uuid);

/// Folders that objects are spread over.
pub(crate) const SHARDS: u16 = 256;

impl Key {
    /// A fresh key.
    #[must_use]
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// As a UUID.
    #[must_use]
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }

    /// The object's place below a store's root, with `/` between its parts:
    /// `objects/<last two hex digits>/<key>`.
    #[must_use]
    pub fn object_path(self) -> String {
        format!("objects/{}/{self}", shard_name(self.shard()))
    }

    /// The number of its folder: the key's last byte, since a UUID's first ones may be a time.
    pub(crate) fn shard(self) -> u8 {
        self.0.as_bytes()[15]
    }

    /// Reads the hyphenated lower-case form and no other.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let key = Uuid::try_parse(text).ok().map(Self)?;
        (key.to_string() == text).then_some(key)
    }
}

/// A folder's name.
pub(crate) fn shard_name(shard: u8) -> String {
    format!("{shard:02x}")
}

impl From<Uuid> for Key {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_lies_in_the_folder_of_its_last_two_digits() {
        let key = Key::parse("00112233-4455-4677-8899-aabbccddeeff").unwrap();
        assert_eq!(
            key.object_path(),
            "objects/ff/00112233-4455-4677-8899-aabbccddeeff"
        );
    }

    #[test]
    fn only_the_hyphenated_lower_case_form_is_a_key() {
        for bad in [
            "",
            "00112233445546778899aabbccddeeff",
            "00112233-4455-4677-8899-AABBCCDDEEFF",
            "{00112233-4455-4677-8899-aabbccddeeff}",
        ] {
            assert_eq!(Key::parse(bad), None, "{bad}");
        }
    }
}
