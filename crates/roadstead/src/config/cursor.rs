//! A cursor stands on a section of the tree and hands out finished values.
//!
//! A value that does not fit is reported with its place and what would fit, and the default takes
//! its place so that reading can go on; the report then stops the start.

use std::ops::RangeInclusive;
use std::time::Duration;

use roadstead_auth::HttpsUrl;

use super::duration;
use super::node::{Node, Value};
use super::report::Report;
use super::secret::Secret;
use super::{keys, node::Origin};

/// A place in the tree that may be absent.
pub(crate) struct Cursor<'a> {
    node: Option<&'a Node>,
    path: String,
    report: &'a Report,
}

/// A text and where it was written.
pub(crate) struct Located {
    pub(crate) text: String,
    pub(crate) origin: Origin,
}

impl<'a> Cursor<'a> {
    pub(crate) fn root(node: &'a Node, report: &'a Report) -> Self {
        Self {
            node: Some(node),
            path: String::new(),
            report,
        }
    }

    /// The section `name`; an absent one has no values.
    pub(crate) fn section(&self, name: &str) -> Cursor<'a> {
        Cursor {
            node: self.value(name),
            path: self.path_of(name),
            report: self.report,
        }
    }

    /// The elements of the list `name`, each a section.
    pub(crate) fn sections(&self, name: &str) -> Vec<Cursor<'a>> {
        let path = format!("{}[]", self.path_of(name));
        let elements = self.value(name).map(Node::elements).unwrap_or_default();
        let cursor = |node| Cursor {
            node: Some(node),
            path: path.clone(),
            report: self.report,
        };
        elements.iter().map(cursor).collect()
    }

    /// Whether the section itself is written down, be it empty.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.node.is_some_and(|node| node.get(name).is_some())
    }

    /// The names that are written down in the section.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a str> {
        let entries = self.node.map(Node::entries).unwrap_or_default();
        entries.iter().map(|entry| entry.key.as_str())
    }

    pub(crate) fn report(&self) -> &'a Report {
        self.report
    }

    /// Refuses the value of `name`, or the section where it is absent.
    pub(crate) fn refuse(&self, name: &str, message: &str) {
        let origin = match self.value(name).or(self.node) {
            Some(node) => node.origin.clone(),
            None => Origin::BuiltIn,
        };
        self.report
            .refuse(&origin, &format!("{}: {message}", self.path_of(name)));
    }

    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.located(name).map(|located| located.text)
    }

    pub(crate) fn secret(&self, name: &str) -> Option<Secret> {
        self.text(name).map(Secret::new)
    }

    /// An address that documents are fetched from.
    pub(crate) fn url(&self, name: &str) -> Option<HttpsUrl> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(url) => Some(url),
            Err(error) => {
                self.refuse(name, &format!("{text:?} cannot be used: {error}"));
                None
            }
        }
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> bool {
        let Some(node) = self.value(name) else {
            return default;
        };
        node.boolean()
            .unwrap_or_else(|| self.misfit(name, node, "true or false", default))
    }

    pub(crate) fn duration(&self, name: &str, default: Duration) -> Duration {
        let Some(node) = self.value(name) else {
            return default;
        };
        match node.text().and_then(duration::parse) {
            Some(duration) => duration,
            None => self.misfit(name, node, "a duration such as 10s or 1h30m", default),
        }
    }

    /// A duration that may not be zero: a budget or a period.
    pub(crate) fn period(&self, name: &str, default: Duration) -> Duration {
        let duration = self.duration(name, default);
        if duration.is_zero() {
            self.refuse(name, "must be longer than zero");
            return default;
        }
        duration
    }

    pub(crate) fn integer(&self, name: &str, default: i64, bounds: RangeInclusive<i64>) -> i64 {
        let Some(node) = self.value(name) else {
            return default;
        };
        let number = match &node.value {
            Value::Scalar { text, plain: true } => text.parse::<i64>().ok(),
            _ => None,
        };
        match number.filter(|number| bounds.contains(number)) {
            Some(number) => number,
            None => {
                let fit = format!("a number from {} to {}", bounds.start(), bounds.end());
                self.misfit(name, node, &fit, default)
            }
        }
    }

    /// The texts of a list; a single text counts as a list of one.
    pub(crate) fn texts(&self, name: &str) -> Vec<Located> {
        match self.value(name) {
            Some(node) => self.texts_of(name, node),
            None => Vec::new(),
        }
    }

    /// Names and lists of texts of a free map.
    pub(crate) fn headers(&self, name: &str) -> Vec<(String, Origin, Vec<Located>)> {
        let Some(node) = self.map(name) else {
            return Vec::new();
        };
        let line = |entry: &super::node::Entry| {
            let path = keys::join(name, &entry.key);
            (
                entry.key.clone(),
                entry.origin.clone(),
                self.texts_of(&path, &entry.node),
            )
        };
        node.entries().iter().map(line).collect()
    }

    /// Names and single values of a free map.
    pub(crate) fn fields(&self, name: &str) -> Vec<(String, String)> {
        let Some(node) = self.map(name) else {
            return Vec::new();
        };
        let mut fields = Vec::new();
        for entry in node.entries() {
            match &entry.node.value {
                Value::Scalar { text, .. } => fields.push((entry.key.clone(), text.clone())),
                Value::Null => fields.push((entry.key.clone(), String::new())),
                _ => self.misfit(
                    &keys::join(name, &entry.key),
                    &entry.node,
                    "a single value",
                    (),
                ),
            }
        }
        fields
    }

    fn map(&self, name: &str) -> Option<&'a Node> {
        let node = self.value(name)?;
        match node.value {
            Value::Map(_) => Some(node),
            _ => self.misfit(name, node, "a map", None),
        }
    }

    fn located(&self, name: &str) -> Option<Located> {
        let node = self.value(name)?;
        match node.text() {
            Some("") => None,
            Some(text) => Some(Located {
                text: text.to_owned(),
                origin: node.origin.clone(),
            }),
            None => self.misfit(name, node, "a single value", None),
        }
    }

    fn texts_of(&self, name: &str, node: &Node) -> Vec<Located> {
        let elements = match &node.value {
            Value::List(elements) => elements.as_slice(),
            Value::Null => &[],
            _ => std::slice::from_ref(node),
        };
        let mut texts = Vec::new();
        for element in elements {
            match element.text() {
                Some(text) => texts.push(Located {
                    text: text.to_owned(),
                    origin: element.origin.clone(),
                }),
                None => self.misfit(name, element, "a list of texts", ()),
            }
        }
        texts
    }

    /// The value of `name`, unless it is null.
    fn value(&self, name: &str) -> Option<&'a Node> {
        self.node?.get(name).filter(|node| !node.is_null())
    }

    fn path_of(&self, name: &str) -> String {
        keys::join(&self.path, name)
    }

    fn misfit<T>(&self, name: &str, node: &Node, fit: &str, default: T) -> T {
        let found = match &node.value {
            Value::Scalar { text, plain: true } => text.clone(),
            Value::Scalar { text, plain: false } => format!("{text:?}"),
            _ => node.kind().to_owned(),
        };
        let message = format!("{}: expected {fit}, found {found}", self.path_of(name));
        self.report.refuse(&node.origin, &message);
        default
    }
}
