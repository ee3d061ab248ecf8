//! The configuration as a tree in which every value still knows where it came from.
//!
//! File, environment and built-in defaults all end up in one tree of [`Node`]s, so that each
//! later complaint can name a file with line and column, or a variable, without a second look.

use std::fmt;
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A place in a configuration file; line and column count from 1.
    File {
        file: Arc<str>,
        line: usize,
        column: usize,
    },
    /// An environment variable.
    Variable(Arc<str>),
    /// The configuration that is compiled in.
    BuiltIn,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Variable(name) => f.write_str(name),
            Self::BuiltIn => f.write_str("built-in configuration"),
        }
    }
}

/// One value and its origin.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) origin: Origin,
}

/// What a node holds. Scalars stay text: only the reader of a key knows its type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    /// `plain` is false where the text was quoted, and so can be neither a number nor a boolean.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key with its own origin, and its value. Keys of one map are unique.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) origin: Origin,
    pub(crate) node: Node,
}

impl Node {
    pub(crate) fn null(origin: Origin) -> Self {
        Self {
            value: Value::Null,
            origin,
        }
    }

    /// The entries of a map; nothing for every other value.
    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The elements of a list; nothing for every other value.
    pub(crate) fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(elements) => elements,
            _ => &[],
        }
    }

    /// The value of `key` in a map.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries()
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The text of a plain or quoted scalar.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// The boolean of a plain scalar, as YAML 1.1 and 1.2 spell it.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match &self.value {
            Value::Scalar { text, plain: true } => match text.as_str() {
                "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
                "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
                    Some(false)
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the value asks for nothing: empty, `false`, or switched off in itself or in all of
    /// its elements. A section like that may stay in a file although nothing serves it.
    pub(crate) fn asks_for_nothing(&self) -> bool {
        match &self.value {
            Value::Null => true,
            Value::Scalar { text, .. } => text.is_empty() || self.boolean() == Some(false),
            Value::List(elements) => elements.iter().all(Node::asks_for_nothing),
            Value::Map(entries) => {
                entries.iter().all(|entry| entry.node.asks_for_nothing())
                    || self.get("disabled").and_then(Node::boolean) == Some(true)
                    || self.get("enabled").and_then(Node::boolean) == Some(false)
            }
        }
    }

    /// What a person calls this kind of value.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}
