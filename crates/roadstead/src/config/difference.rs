//! What a new configuration changes, key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Settings;
use super::keys;
use super::node::{Node, Value};
use super::yaml::{self, Source};

/// The effective settings: the text of each value, by the path of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Settings {
    /// All values by their keys, secrets masked.
    pub(crate) fn values(&self) -> Values {
        let mut values = BTreeMap::new();
        let source = Source::File(Arc::from("effective"));
        if let Ok(root) = yaml::parse(&self.to_yaml(), &source) {
            gather(&root, "", &mut values);
        }
        Values(values)
    }
}

fn gather(node: &Node, path: &str, values: &mut BTreeMap<String, String>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                gather(&entry.node, &keys::join(path, &entry.key), values);
            }
        }
        Value::List(elements) => {
            // Lists are compared as a whole: an element has no name.
            let mut inside = BTreeMap::new();
            for (index, element) in elements.iter().enumerate() {
                gather(element, &index.to_string(), &mut inside);
            }
            values.insert(path.to_owned(), format!("{inside:?}"));
        }
        Value::Scalar { text, .. } => {
            values.insert(path.to_owned(), text.clone());
        }
        Value::Null => {
            values.insert(path.to_owned(), String::new());
        }
    }
}

impl Values {
    /// The keys whose values are others in `new`, apart from those in sections that are `applied`.
    pub(crate) fn changed<'a>(&'a self, new: &'a Self, applied: &[&str]) -> Vec<&'a str> {
        let all: BTreeSet<&String> = self.0.keys().chain(new.0.keys()).collect();
        let is_applied = |key: &str| {
            applied.iter().any(|section| {
                let rest = key.strip_prefix(section);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            })
        };
        all.into_iter()
            .filter(|key| self.0.get(*key) != new.0.get(*key) && !is_applied(key))
            .map(String::as_str)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Values {
        let text = format!("version: 0.1\nstorage: inmemory\nauth: none\n{text}");
        let source = Source::File(Arc::from("config.yml"));
        let loaded = super::super::parse(&text, &source, &BTreeMap::new()).unwrap();
        loaded.settings.values()
    }

    #[test]
    fn changed_keys_are_named() {
        let before = values("http: {addr: ':1', headers: {X-A: [b]}}\n");
        for (after, applied, expected) in [
            (
                "http: {addr: ':1', headers: {X-A: [b]}}\n",
                &[][..],
                &[][..],
            ),
            (
                "http: {addr: ':2', headers: {X-A: [b]}}\n",
                &[],
                &["http.addr"],
            ),
            (
                "http: {addr: ':1', headers: {X-A: [c]}}\n",
                &[],
                &["http.headers.x-a"],
            ),
            ("http: {addr: ':1'}\n", &[], &["http.headers.x-a"]),
            ("http: {addr: ':1'}\n", &["http.headers"], &[]),
            (
                "http: {addr: ':1'}\n",
                &["http.head"],
                &["http.headers.x-a"],
            ),
            (
                "http: {addr: ':2', headers: {X-A: [b]}}\nlog: {level: debug}\n",
                &["log.level"],
                &["http.addr"],
            ),
        ] {
            let after = values(after);
            assert_eq!(before.changed(&after, applied), expected, "{after:?}");
        }
    }
}
