//! The sweep over the whole tree before any section is read: every key is either known and
//! served, known and without effect (an info line), not served yet (stops the start), or unknown
//! (stops the start and names the nearest known key).

use super::keys::{self, Key, Place, Standing};
use super::node::{Node, Origin, Value};
use super::report::Report;

/// Sweeps the configuration tree.
pub(crate) fn sweep(root: &Node, report: &Report) {
    match root.value {
        Value::Map(_) | Value::Null => section(root, "", report),
        _ => report.refuse(&root.origin, "the configuration must be a map of sections"),
    }
}

fn section(node: &Node, path: &str, report: &Report) {
    if !matches!(node.value, Value::Map(_) | Value::Null) {
        let message = format!("{path} must be a map, but is {}", node.kind());
        report.refuse(&node.origin, &message);
        return;
    }
    for entry in node.entries() {
        match keys::child(path, &entry.key) {
            Some(Place::Leaf(key)) => leaf(key, &entry.node, &entry.origin, report),
            Some(Place::Section(path)) => section(&entry.node, &path, report),
            Some(Place::Sections(path)) => sections(&entry.node, &path, report),
            None => unknown(path, &entry.key, &entry.origin, report),
        }
    }
}

fn sections(node: &Node, path: &str, report: &Report) {
    match &node.value {
        Value::Null => {}
        Value::List(elements) => {
            for element in elements {
                section(element, path, report);
            }
        }
        _ => {
            let list = path.trim_end_matches("[]");
            report.refuse(
                &node.origin,
                &format!("{list} must be a list, but is {}", node.kind()),
            );
        }
    }
}

fn leaf(key: &Key, node: &Node, origin: &Origin, report: &Report) {
    let path = key.path;
    // A value set by a variable stands at a key that the file wrote: the variable is to be named.
    let origin = match &node.origin {
        Origin::Variable(_) => &node.origin,
        _ => origin,
    };
    match key.standing {
        Standing::Served => {}
        Standing::NotNeeded(_) | Standing::NotServed if node.asks_for_nothing() => {}
        Standing::NotNeeded(why) => {
            report.note(&format!(
                "{origin}: {path} is accepted but has no effect: {why}"
            ));
        }
        Standing::NotServed | Standing::NeverServed => {
            report.refuse(origin, &format!("{path} is not served by Roadstead yet"));
        }
    }
}

fn unknown(path: &str, name: &str, origin: &Origin, report: &Report) {
    let full = keys::join(path, name);
    let hint = match keys::nearest(path, name) {
        Some(known) => format!(", did you mean {}?", keys::join(path, known)),
        None => String::new(),
    };
    report.refuse(origin, &format!("unknown key {full:?}{hint}"));
}
