//! Names that a certificate can be ordered for.

use std::fmt;
use std::str::FromStr;

/// A DNS name that a certificate can be ordered for: lower case, no wildcard, no address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AcmeHost(String);

/// A text that no certificate can be ordered for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a host name such as registry.example.org, found {0:?}")]
pub struct NotAHost(String);

/// Characters of a name, and of each part of it, at most (RFC 1035 §2.3.4).
const NAME_MAX: usize = 253;
const LABEL_MAX: usize = 63;

impl AcmeHost {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AcmeHost {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let name = text.to_ascii_lowercase();
        let in_label =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_label = |label: &str| {
            (1..=LABEL_MAX).contains(&label.len())
                && label.bytes().all(in_label)
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // The last label of an address would be a number.
        let last = name.rsplit('.').next().unwrap_or_default();
        let is_address = last.bytes().all(|byte| byte.is_ascii_digit());
        if name.len() > NAME_MAX || is_address || !name.split('.').all(is_label) {
            return Err(NotAHost(text.to_owned()));
        }
        Ok(Self(name))
    }
}

impl fmt::Display for AcmeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for AcmeHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_told_from_what_is_none() {
        for (text, name) in [
            ("registry.example.org", "registry.example.org"),
            ("Registry.EXAMPLE.org", "registry.example.org"),
            ("localhost", "localhost"),
            ("xn--a-1.b2", "xn--a-1.b2"),
        ] {
            assert_eq!(text.parse::<AcmeHost>().unwrap().as_str(), name);
        }
        let label = "a".repeat(LABEL_MAX + 1);
        let name = "a.".repeat(NAME_MAX / 2) + "aa";
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "*.example.org",
            "-a.b",
            "a-.b",
            "a_b.c",
            "a b",
            "a/../b",
            "127.0.0.1",
            "::1",
            "[::1]",
            "a:443",
            "ä.de",
            &label,
            &name,
        ] {
            assert_eq!(text.parse::<AcmeHost>(), Err(NotAHost(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn a_name_is_safe_in_a_file_name(text in "[ -~]{0,80}") {
            if let Ok(host) = text.parse::<AcmeHost>() {
                prop_assert!(host.as_str().bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)));
                prop_assert!(!host.as_str().starts_with('.') && !host.as_str().contains(".."));
                prop_assert_eq!(host.as_str().parse::<AcmeHost>(), Ok(host.clone()));
            }
        }
    }
}
