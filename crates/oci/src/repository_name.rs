//! Names of repositories (OCI distribution, "Pulling manifests"): the specification's grammar, and
//! the host-like first component with upper case letters that `distribution` takes too.

use std::fmt;
use std::sync::Arc;

/// A name that keeps the grammar. Ordered by bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName(Arc<str>);

/// Bytes of a name at most.
pub const NAME_BYTES_MAX: usize = 255;

/// Why a text is no repository name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("a repository name must not be empty")]
    Empty,
    /// Too long.
    #[error("a repository name has at most {NAME_BYTES_MAX} characters")]
    TooLong,
    /// A component breaks the grammar.
    #[error(
        "a repository name is made of lower-case letters and digits, separated by one of . _ __ or any number of -, in components separated by /"
    )]
    Grammar,
}

impl RepositoryName {
    /// # Errors
    /// Which rule is broken.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong);
        }
        let (first, rest) = match text.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (text, None),
        };
        let begins = is_component(first) || (rest.is_some() && is_domain(first));
        if begins && rest.is_none_or(|rest| rest.split('/').all(is_component)) {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Grammar)
        }
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`
fn is_component(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    word(*first)
        && word(*last)
        && text
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|gap| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|byte| byte == b'-'))
}

/// Labels of letters, digits and inner hyphens, separated by dots.
fn is_domain(text: &str) -> bool {
    text.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RepositoryName {
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
        for good in [
            "a",
            "0",
            "a/b",
            "a.b",
            "a_b",
            "a__b",
            "a-b",
            "a---b",
            "a--b/c_d",
            "Foo.com/bar",
            "UP/x",
            "blobs",
            "tags/list",
        ] {
            assert_eq!(RepositoryName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a/B", "a..b", "a___b", "a._b", "-a", "a-", ".a",
            "a.", "_a", "a b", "é", "a:5000/b", "a\0", "..", "a/../b", "-x.com/a",
        ] {
            assert!(RepositoryName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(RepositoryName::parse(&"a".repeat(255)).is_ok());
        assert_eq!(
            RepositoryName::parse(&"a".repeat(256)),
            Err(NameError::TooLong)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = RepositoryName::parse(&text);
        }

        #[test]
        fn every_name_of_the_grammar_is_read(
            name in "[a-z0-9]{1,9}((\\.|_|__|-{1,3})[a-z0-9]{1,9}){0,3}(/[a-z0-9]{1,9}){0,3}"
        ) {
            prop_assert!(RepositoryName::parse(&name).is_ok());
        }
    }
}
