//! What a manifest must find in its repository, by the configuration's `validation` section.

use roadstead_metadata::Edge;
use roadstead_oci::{Descriptor, Manifest};

use crate::error::Error;
use crate::settings::{ChildPolicy, ReferencePolicy, UrlPolicy, Validation};

/// The edges of a manifest: its blobs and its children.
#[derive(Debug)]
pub(crate) struct Edges {
    pub(crate) blobs: Vec<Edge>,
    pub(crate) children: Vec<Edge>,
}

impl Validation {
    /// # Errors
    /// [`Error::LayerUrl`].
    pub(crate) fn edges(&self, manifest: &Manifest) -> Result<Edges, Error> {
        let mut blobs = Vec::with_capacity(manifest.layers.len() + 1);
        for blob in manifest.config.iter().chain(&manifest.layers) {
            self.check_urls(blob)?;
            // A foreign layer lives at its URLs; the server never fetches it.
            let elsewhere = blob.media_type.is_foreign_layer() && !blob.urls.is_empty();
            let required = self.references == ReferencePolicy::All && !elsewhere;
            blobs.push(edge(blob, required));
        }
        let children = manifest
            .children
            .iter()
            .map(|child| edge(child, self.children.requires(child)));
        Ok(Edges {
            blobs,
            children: children.collect(),
        })
    }

    fn check_urls(&self, layer: &Descriptor) -> Result<(), Error> {
        let allowed = match &self.urls {
            UrlPolicy::Unchecked => true,
            UrlPolicy::NoneAllowed => layer.urls.is_empty(),
            UrlPolicy::Lists { allow, deny } => layer.urls.iter().all(|url| {
                is_plain_http(url)
                    && allow.as_ref().is_none_or(|allow| allow.is_match(url))
                    && !deny.is_match(url)
            }),
        };
        if allowed {
            Ok(())
        } else {
            Err(Error::LayerUrl {
                digest: layer.digest,
            })
        }
    }
}

impl ChildPolicy {
    fn requires(&self, child: &Descriptor) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Platforms(platforms) => child.platform.as_ref().is_some_and(|is| {
                platforms
                    .iter()
                    .any(|p| p.architecture == is.architecture && p.os == is.os)
            }),
        }
    }
}

fn edge(descriptor: &Descriptor, required: bool) -> Edge {
    Edge {
        digest: descriptor.digest,
        size_bytes: descriptor.size,
        required,
    }
}

fn is_plain_http(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else {
        return false;
    };
    (scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https"))
        && !rest.is_empty()
        && !rest.starts_with('/')
        && !rest.contains('#')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_with_a_host_and_no_fragment_pass() {
        let cases = [
            ("http://a/b", true),
            ("HTTPS://a/b?c", true),
            ("ftp://a/b", false),
            ("http:///b", false),
            ("http://", false),
            ("https://a/b#c", false),
            ("a/b", false),
        ];
        for (url, expected) in cases {
            assert_eq!(is_plain_http(url), expected, "{url}");
        }
    }
}
