//! `validation`: what a manifest may point to.

use regex::Regex;

use super::cursor::Cursor;

/// The `validation` section.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Validation {
    /// Which addresses a layer may carry. Default: none at all, as in `distribution`.
    pub(crate) urls: Urls,
    /// Which entries of an index must be there. Default: all.
    pub(crate) platforms: Platforms,
    /// Whether the config and layers of an image must be there. Default: true.
    pub(crate) references: bool,
}

/// Rules for the addresses of foreign layers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Urls {
    /// Nobody looks.
    Unchecked,
    /// http and https only; with both lists empty no address is allowed.
    Checked {
        /// One of them must match, if there are any.
        allow: Vec<Pattern>,
        /// None of them may match.
        deny: Vec<Pattern>,
    },
}

/// Rules for the entries of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Platforms {
    /// Every entry must be there.
    All,
    /// No entry need be there: sparse indexes are taken.
    None,
    /// The entries of these platforms must be there.
    Listed(Vec<Platform>),
}

/// One element of `validation.manifests.indexes.platformlist`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// Go's name of the architecture.
    pub(crate) architecture: String,
    /// Go's name of the system.
    pub(crate) os: String,
}

/// An unanchored regular expression.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Regex);

impl Pattern {
    /// The expression as it was written.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

pub(crate) fn read(root: &Cursor<'_>) -> Validation {
    let section = root.section("validation");
    let manifests = section.section("manifests");
    // `enabled` is distribution's old name; true wins over `disabled`.
    let disabled = section.flag("disabled", false) && !section.flag("enabled", false);
    let urls = urls(&manifests.section("urls"));
    let platforms = platforms(&manifests.section("indexes"));
    Validation {
        urls: if disabled { Urls::Unchecked } else { urls },
        platforms: if disabled { Platforms::None } else { platforms },
        references: references(&manifests),
    }
}

fn urls(section: &Cursor<'_>) -> Urls {
    Urls::Checked {
        allow: patterns(section, "allow"),
        deny: patterns(section, "deny"),
    }
}

fn patterns(section: &Cursor<'_>, name: &str) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for located in section.texts(name) {
        match Regex::new(&located.text) {
            Ok(regex) => patterns.push(Pattern(regex)),
            Err(_) => {
                let message = format!(
                    "validation.manifests.urls.{name}: {:?} is no regular expression",
                    located.text
                );
                section.report().refuse(&located.origin, &message);
            }
        }
    }
    patterns
}

fn platforms(section: &Cursor<'_>) -> Platforms {
    let listed = || {
        section
            .sections("platformlist")
            .iter()
            .map(platform)
            .collect()
    };
    match section
        .text("platforms")
        .map(|text| text.to_ascii_lowercase())
        .as_deref()
    {
        None | Some("all") => Platforms::All,
        Some("none") => Platforms::None,
        Some("list") => Platforms::Listed(listed()),
        Some(other) => {
            section.refuse(
                "platforms",
                &format!("expected all, none or list, found {other:?}"),
            );
            Platforms::All
        }
    }
}

fn platform(element: &Cursor<'_>) -> Platform {
    let required = |name: &str| {
        element.text(name).unwrap_or_else(|| {
            element.refuse(name, "a platform needs it");
            String::new()
        })
    };
    Platform {
        architecture: required("architecture"),
        os: required("os"),
    }
}

fn references(manifests: &Cursor<'_>) -> bool {
    match manifests.text("references").as_deref() {
        None | Some("all") => true,
        Some("none") => false,
        Some(other) => {
            manifests.refuse(
                "references",
                &format!("expected all or none, found {other:?}"),
            );
            true
        }
    }
}
