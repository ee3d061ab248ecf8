//! Tags: names that move (OCI distribution, "Pulling manifests").

use std::fmt;
use std::sync::Arc;

/// A tag that keeps `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`. Ordered by bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(Arc<str>);

/// Characters of a tag at most.
pub const TAG_BYTES_MAX: usize = 128;

/// A text is no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a tag has 1 to {TAG_BYTES_MAX} letters, digits, underscores, periods and hyphens, and begins with none of the last two"
)]
pub struct TagError;

impl Tag {
    /// # Errors
    /// Where the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let bytes = text.as_bytes();
        let good = bytes.first().is_some_and(|first| word(*first))
            && bytes.len() <= TAG_BYTES_MAX
            && bytes
                .iter()
                .all(|byte| word(*byte) || matches!(byte, b'.' | b'-'));
        if good {
            Ok(Self(text.into()))
        } else {
            Err(TagError)
        }
    }

    /// The tag's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_grammar_is_kept() {
        let (longest, too_long) = ("a".repeat(128), "a".repeat(129));
        for good in ["a", "_", "V1.0-rc_2", "0", longest.as_str()] {
            assert_eq!(Tag::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            ".a",
            "-a",
            "a:b",
            "a/b",
            "a b",
            "é",
            "a\n",
            too_long.as_str(),
        ] {
            assert_eq!(Tag::parse(bad), Err(TagError), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = Tag::parse(&text);
        }
    }
}
