//! Values that must not reach a log, a terminal or an error message.

use std::fmt;

/// A secret text. Its `Debug` shows nothing; only [`Secret::expose`] gives it away.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

/// What stands where a secret would.
pub(crate) const MASK: &str = "<secret>";

impl Secret {
    /// Takes the text into custody.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}
