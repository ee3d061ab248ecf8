//! Media types (RFC 6838), kept as they were written, without parameters.

use std::borrow::Cow;
use std::fmt;

/// A media type of at most 255 characters.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MediaType(Cow<'static, str>);

/// Characters of a media type at most.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// Characters on each side of the slash at most (RFC 6838 §4.2).
const NAME_BYTES_MAX: usize = 127;

/// A text is no media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a media type of the form type/subtype")]
pub struct MediaTypeError;

impl MediaType {
    /// OCI image manifest.
    pub const OCI_IMAGE: Self = Self::known("application/vnd.oci.image.manifest.v1+json");
    /// OCI image index.
    pub const OCI_INDEX: Self = Self::known("application/vnd.oci.image.index.v1+json");
    /// Docker image manifest, version 2, schema 2.
    pub const DOCKER_IMAGE: Self =
        Self::known("application/vnd.docker.distribution.manifest.v2+json");
    /// Docker manifest list.
    pub const DOCKER_LIST: Self =
        Self::known("application/vnd.docker.distribution.manifest.list.v2+json");

    /// Docker layer that lives at its URLs.
    pub const DOCKER_FOREIGN_LAYER: Self =
        Self::known("application/vnd.docker.image.rootfs.foreign.diff.tar");
    /// The same, gzip.
    pub const DOCKER_FOREIGN_LAYER_GZIP: Self =
        Self::known("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    /// OCI layer that may not be distributed.
    pub const OCI_FOREIGN_LAYER: Self =
        Self::known("application/vnd.oci.image.layer.nondistributable.v1.tar");
    /// The same, gzip.
    pub const OCI_FOREIGN_LAYER_GZIP: Self =
        Self::known("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    /// The same, zstd.
    pub const OCI_FOREIGN_LAYER_ZSTD: Self =
        Self::known("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd");

    const fn known(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Reads a media type and drops its parameters.
    ///
    /// # Errors
    /// Where the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Self, MediaTypeError> {
        let text = text.split(';').next().unwrap_or_default().trim_ascii();
        let known = [
            Self::OCI_IMAGE,
            Self::OCI_INDEX,
            Self::DOCKER_IMAGE,
            Self::DOCKER_LIST,
        ];
        // Almost all that is ever read, and then nothing is allocated.
        if let Some(known) = known.into_iter().find(|known| known.0 == text) {
            return Ok(known);
        }
        let (kind, subtype) = text.split_once('/').ok_or(MediaTypeError)?;
        let restricted = |name: &str| {
            name.len() <= NAME_BYTES_MAX
                && name.starts_with(|first: char| first.is_ascii_alphanumeric())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
        };
        if text.len() <= MEDIA_TYPE_BYTES_MAX && restricted(kind) && restricted(subtype) {
            Ok(Self(Cow::Owned(text.to_owned())))
        } else {
            Err(MediaTypeError)
        }
    }

    /// The type's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is one of the four manifest types.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        [
            Self::OCI_IMAGE,
            Self::OCI_INDEX,
            Self::DOCKER_IMAGE,
            Self::DOCKER_LIST,
        ]
        .contains(self)
    }

    /// Whether content of the type may live elsewhere, at its descriptor's URLs.
    #[must_use]
    pub fn is_foreign_layer(&self) -> bool {
        [
            Self::DOCKER_FOREIGN_LAYER,
            Self::DOCKER_FOREIGN_LAYER_GZIP,
            Self::OCI_FOREIGN_LAYER,
            Self::OCI_FOREIGN_LAYER_GZIP,
            Self::OCI_FOREIGN_LAYER_ZSTD,
        ]
        .contains(self)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn parameters_are_dropped_and_the_grammar_is_kept() {
        let oci = MediaType::parse("application/vnd.oci.image.manifest.v1+json; charset=utf-8");
        assert_eq!(oci, Ok(MediaType::OCI_IMAGE));
        for bad in ["", "a", "a/", "/b", "a/b/c", "a b/c", "a/é", "a/\0"] {
            assert_eq!(MediaType::parse(bad), Err(MediaTypeError), "{bad:?}");
        }
        assert!(MediaType::parse(&format!("a/{}", "b".repeat(127))).is_ok());
        assert!(MediaType::parse(&format!("a/{}", "b".repeat(128))).is_err());
        assert!(MediaType::parse(&"a/".repeat(1 << 20)).is_err());
    }

    #[test]
    fn only_the_named_layer_types_are_foreign() {
        for (text, foreign) in [
            (
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
                true,
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
                true,
            ),
            (
                "application/vnd.oci.image.layer.nondistributable.v1.tarball",
                false,
            ),
            ("application/vnd.oci.image.layer.v1.tar+gzip", false),
        ] {
            assert_eq!(
                MediaType::parse(text).unwrap().is_foreign_layer(),
                foreign,
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = MediaType::parse(&text);
        }
    }
}
