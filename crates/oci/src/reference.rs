//! What a manifest is asked for by: a tag or a digest, told apart by the colon.

use std::fmt;

use crate::digest::{Digest, DigestError};
use crate::tag::{Tag, TagError};

/// A tag or a digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// A name that moves.
    Tag(Tag),
    /// A name of content.
    Digest(Digest),
}

/// Why a text is neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It has a colon but is no digest. It is never read as a tag.
    #[error(transparent)]
    Digest(#[from] DigestError),
    /// It has no colon and is no tag.
    #[error(transparent)]
    Tag(#[from] TagError),
}

impl Reference {
    /// # Errors
    /// Why the text is neither.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') {
            Ok(Self::Digest(Digest::parse(text)?))
        } else {
            Ok(Self::Tag(Tag::parse(text)?))
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => tag.fmt(f),
            Self::Digest(digest) => digest.fmt(f),
        }
    }
}
