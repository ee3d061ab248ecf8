//! YAML text to a tree of nodes.
//!
//! One document, unique keys, anchors and merge keys resolved. The input is bounded: depth, and
//! the number of nodes that aliases may unfold to, so that no text can exhaust memory.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

use super::node::{Entry, Node, Origin, Value};

/// Nested lists and maps deeper than this are refused.
const MAX_DEPTH: usize = 64;
/// Nodes in one document, those that aliases repeat included.
const MAX_NODES: usize = 100_000;

/// Why a text is no configuration tree.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {message}")]
pub(crate) struct YamlError {
    pub(crate) origin: Origin,
    pub(crate) message: String,
}

/// Whom the nodes of a text belong to.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    File(Arc<str>),
    Variable(Arc<str>),
    BuiltIn,
}

impl Source {
    fn origin(&self, marker: &Marker) -> Origin {
        match self {
            Self::File(file) => Origin::File {
                file: Arc::clone(file),
                line: marker.line(),
                column: marker.col() + 1,
            },
            Self::Variable(name) => Origin::Variable(Arc::clone(name)),
            Self::BuiltIn => Origin::BuiltIn,
        }
    }
}

/// Parses the one document in `text`; an empty text is a null node.
///
/// # Errors
/// Text that is not YAML, several documents, duplicate or non-scalar keys, tags other than the
/// core schema's, too many or too deep nodes; each with its position.
pub(crate) fn parse(text: &str, source: &Source) -> Result<Node, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Builder {
        parser: Parser::new_from_str(text),
        source,
        anchors: HashMap::new(),
        nodes: 0,
        end: Marker::new(0, 1, 0),
    }
    .document()
}

struct Builder<'text, 'source> {
    parser: Parser<'text, StrInput<'text>>,
    source: &'source Source,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    end: Marker,
}

impl<'text> Builder<'text, '_> {
    fn document(mut self) -> Result<Node, YamlError> {
        let mut root = None;
        loop {
            let (event, marker) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::Nothing
                | Event::StreamStart
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
                _ if root.is_some() => {
                    return Err(self.error(&marker, "the file holds more than one document"));
                }
                event => root = Some(self.node(event, marker, 0)?),
            }
        }
        let start = Marker::new(0, 1, 0);
        Ok(root.unwrap_or_else(|| Node::null(self.source.origin(&start))))
    }

    fn next(&mut self) -> Result<(Event<'text>, Marker), YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                self.end = span.start;
                Ok((event, span.start))
            }
            Some(Err(error)) => Err(self.error(error.marker(), error.info())),
            None => Ok((Event::StreamEnd, self.end)),
        }
    }

    fn node(
        &mut self,
        event: Event<'text>,
        marker: Marker,
        depth: usize,
    ) -> Result<Node, YamlError> {
        if depth > MAX_DEPTH {
            return Err(self.error(&marker, "values are nested too deep"));
        }
        self.count(&marker, 1)?;
        let (value, anchor) = match event {
            Event::Alias(anchor) => {
                // An alias inside the value it names is not finished yet, so it is unknown here.
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.error(&marker, "this alias names no finished anchor"));
                };
                self.count(&marker, size(&node))?;
                return Ok(node);
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain && tag.is_none_or(|tag| !is_string(&tag));
                (scalar(text.into_owned(), plain), anchor)
            }
            Event::SequenceStart(anchor, _) => (self.list(depth)?, anchor),
            Event::MappingStart(anchor, _) => (self.map(depth)?, anchor),
            _ => return Err(self.error(&marker, "the text ends in the middle of a value")),
        };
        let node = Node {
            value,
            origin: self.source.origin(&marker),
        };
        if anchor != 0 {
            self.count(&marker, size(&node))?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut elements = Vec::new();
        loop {
            let (event, marker) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(Value::List(elements));
            }
            elements.push(self.node(event, marker, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, YamlError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut merged: Vec<Entry> = Vec::new();
        loop {
            let (event, marker) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node(event, marker, depth + 1)?;
            let Value::Scalar { text, plain } = key.value else {
                return Err(self.error(&marker, "a key must be a single value"));
            };
            let (event, value_marker) = self.next()?;
            let node = self.node(event, value_marker, depth + 1)?;
            if plain && text == "<<" {
                self.merge(&mut merged, node, &value_marker)?;
            } else if let Some(first) = entries.iter().find(|entry| entry.key == text) {
                let message = format!("duplicate key {text:?}, first given at {}", first.origin);
                return Err(self.error(&marker, &message));
            } else {
                entries.push(Entry {
                    key: text,
                    origin: key.origin,
                    node,
                });
            }
        }
        for entry in merged {
            if entries.iter().all(|given| given.key != entry.key) {
                entries.push(entry);
            }
        }
        Ok(Value::Map(entries))
    }

    /// Collects what `<<` brings in: the map's own keys win, then the first map of a list.
    fn merge(&self, merged: &mut Vec<Entry>, node: Node, marker: &Marker) -> Result<(), YamlError> {
        let maps = match node.value {
            Value::List(elements) => elements,
            value => vec![Node {
                value,
                origin: node.origin,
            }],
        };
        for map in maps {
            let Value::Map(entries) = map.value else {
                return Err(self.error(marker, "`<<` takes a map or a list of maps"));
            };
            for entry in entries {
                if merged.iter().all(|given| given.key != entry.key) {
                    merged.push(entry);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, marker: &Marker, nodes: usize) -> Result<(), YamlError> {
        self.nodes = self.nodes.saturating_add(nodes);
        if self.nodes > MAX_NODES {
            return Err(self.error(marker, "the configuration is too large"));
        }
        Ok(())
    }

    fn error(&self, marker: &Marker, message: &str) -> YamlError {
        YamlError {
            origin: self.source.origin(marker),
            message: message.to_owned(),
        }
    }
}

fn is_string(tag: &saphyr_parser::Tag) -> bool {
    tag.is_yaml_core_schema() && tag.suffix == "str"
}

fn scalar(text: String, plain: bool) -> Value {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" if plain => Value::Null,
        _ => Value::Scalar { text, plain },
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Scalar { .. } => 0,
        Value::List(elements) => elements.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.node)).sum(),
    }
}
