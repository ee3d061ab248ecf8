//! `REGISTRY_…` variables, applied to the tree before anything reads it.
//!
//! A name is split at `_` and led down the key table, so that a variable reaches exactly the
//! places that a file has: sections, free maps (names with `_` included), lists by index. Each
//! value is YAML. Variables are applied in the order of their names, so a parent comes before its
//! children. A name that leads nowhere is only a warning: Kubernetes sets `REGISTRY_PORT` and
//! others beside a service called `registry`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::keys::{self, Key, Kind, Place};
use super::node::{Entry, Node, Origin, Value};
use super::report::Report;
use super::yaml::{self, Source};

/// The variable that names the configuration file, and so is no key of it.
pub(crate) const PATH_VARIABLE: &str = "REGISTRY_CONFIGURATION_PATH";

const PREFIX: &str = "REGISTRY_";
const FILE_SUFFIX: &str = "_FILE";

/// Applies all variables to the tree.
pub(crate) fn apply(root: &mut Node, variables: &BTreeMap<String, String>, report: &Report) {
    choose_by_name(root);
    let mut unknown = Vec::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|_| name != PATH_VARIABLE) else {
            continue;
        };
        let parts: Vec<&str> = rest.split('_').collect();
        if let Some(target) = resolve(root, &parts) {
            assign(root, name, &target, value, report);
        } else if let Some(target) = secret_in_file(root, rest) {
            assign_from_file(root, name, &target, value, report);
        } else {
            unknown.push(name.as_str());
        }
        choose_by_name(root);
    }
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        report.warn(&format!("no configuration key answers to {names}: ignored"));
    }
}

/// Where a variable leads: the steps from the root, and what stands there.
#[derive(Debug)]
struct Target {
    steps: Vec<Step>,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
}

fn resolve(root: &Node, parts: &[&str]) -> Option<Target> {
    let mut steps = Vec::new();
    let kind = descend(
        Some(root),
        &Place::Section(String::new()),
        parts,
        &mut steps,
    )?;
    Some(Target { steps, kind })
}

/// Follows `parts` from `place`; the steps taken are pushed, and taken back on a dead end.
fn descend(
    node: Option<&Node>,
    place: &Place,
    parts: &[&str],
    steps: &mut Vec<Step>,
) -> Option<Kind> {
    let [first, rest @ ..] = parts else {
        return Some(match place {
            Place::Leaf(key) => key.kind,
            Place::Section(_) | Place::Sections(_) => Kind::Any,
        });
    };
    match place {
        Place::Section(path) => {
            // The longest name first: a key may contain the separator.
            for length in (1..=parts.len()).rev() {
                let Some(name) = keys::name_of_variable_part(path, &parts[..length].join("_"))
                else {
                    continue;
                };
                let next = keys::child(path, name)?;
                steps.push(Step::Key(name.to_owned()));
                let below = node.and_then(|node| node.get(name));
                if let Some(kind) = descend(below, &next, &parts[length..], steps) {
                    return Some(kind);
                }
                steps.pop();
            }
            None
        }
        Place::Sections(path) => {
            let index = first.parse::<usize>().ok()?;
            steps.push(Step::Index(index));
            let below = node.and_then(|node| node.elements().get(index));
            let kind = descend(below, &Place::Section(path.clone()), rest, steps);
            if kind.is_none() {
                steps.pop();
            }
            kind
        }
        Place::Leaf(key) => descend_leaf(node, key, parts, steps),
    }
}

/// Follows `parts` below a key of the table: into lists and free maps.
fn descend_leaf(
    node: Option<&Node>,
    key: &Key,
    parts: &[&str],
    steps: &mut Vec<Step>,
) -> Option<Kind> {
    match (key.kind, parts) {
        (Kind::Scalar | Kind::Text | Kind::Secret, _) => None,
        (Kind::Texts, [index]) => {
            steps.push(Step::Index(index.parse().ok()?));
            Some(Kind::Text)
        }
        (Kind::Texts, _) => None,
        (Kind::Fields, _) => {
            steps.push(Step::Key(free_name(node, &parts.join("_"))));
            Some(Kind::Text)
        }
        (Kind::Headers, [name @ .., index])
            if !name.is_empty() && index.parse::<usize>().is_ok() =>
        {
            steps.push(Step::Key(free_name(node, &name.join("_"))));
            steps.push(Step::Index(index.parse().ok()?));
            Some(Kind::Text)
        }
        (Kind::Headers, _) => {
            steps.push(Step::Key(free_name(node, &parts.join("_"))));
            Some(Kind::Any)
        }
        (Kind::Any, _) => {
            descend_anywhere(node, key.path.to_owned(), parts, steps);
            Some(Kind::Any)
        }
    }
}

/// Where nobody looks inside, a number is an index and everything else a name.
fn descend_anywhere(
    mut node: Option<&Node>,
    mut path: String,
    parts: &[&str],
    steps: &mut Vec<Step>,
) {
    for part in parts {
        let in_list = node.is_none_or(|node| matches!(node.value, Value::List(_) | Value::Null));
        match part.parse::<usize>() {
            Ok(index) if in_list => {
                path.push_str("[]");
                node = node.and_then(|node| node.elements().get(index));
                steps.push(Step::Index(index));
            }
            _ => {
                let name = match keys::name_of_variable_part(&path, part) {
                    Some(known) => known.to_owned(),
                    None => free_name(node, part),
                };
                path = keys::join(&path, &name);
                node = node.and_then(|node| node.get(&name));
                steps.push(Step::Key(name));
            }
        }
    }
}

/// An existing key in whatever case, else the name in lower case.
fn free_name(node: Option<&Node>, name: &str) -> String {
    let entries = node.map(Node::entries).unwrap_or_default();
    match entries
        .iter()
        .find(|entry| entry.key.eq_ignore_ascii_case(name))
    {
        Some(entry) => entry.key.clone(),
        None => name.to_ascii_lowercase(),
    }
}

/// The target of `X` where a variable is called `X_FILE` and `X` is a secret. Asked only when the
/// whole name leads nowhere, since real keys end in "file" too.
fn secret_in_file(root: &Node, rest: &str) -> Option<Target> {
    let parts: Vec<&str> = rest.strip_suffix(FILE_SUFFIX)?.split('_').collect();
    resolve(root, &parts).filter(|target| target.kind == Kind::Secret)
}

fn assign_from_file(root: &mut Node, name: &str, target: &Target, path: &str, report: &Report) {
    match std::fs::read_to_string(path) {
        Ok(text) => {
            let text = text.trim_end_matches(['\r', '\n']).to_owned();
            let origin = Origin::Variable(Arc::from(name));
            let node = Node {
                value: Value::Scalar { text, plain: false },
                origin,
            };
            place(root, name, target, node, report);
        }
        Err(error) => {
            let message = format!("cannot read the secret from {path}: {error}");
            report.refuse(&Origin::Variable(Arc::from(name)), &message);
        }
    }
}

fn assign(root: &mut Node, name: &str, target: &Target, value: &str, report: &Report) {
    let name: Arc<str> = Arc::from(name);
    if target.steps == [Step::Key("version".to_owned())] {
        report.warn(&format!(
            "{name} is ignored: the version belongs to the file"
        ));
        return;
    }
    let parsed = yaml::parse(value, &Source::Variable(Arc::clone(&name)));
    let is_text = matches!(target.kind, Kind::Text | Kind::Secret);
    let node = match parsed {
        Ok(node) if !is_text => node,
        Ok(node) if matches!(node.value, Value::Null | Value::Scalar { .. }) => node,
        // Not one value in YAML's eyes, but a text is wanted: then it is meant as it stands.
        _ if is_text => Node {
            value: Value::Scalar {
                text: value.to_owned(),
                plain: false,
            },
            origin: Origin::Variable(Arc::clone(&name)),
        },
        Ok(node) => node,
        Err(error) => {
            report.refuse(&Origin::Variable(Arc::clone(&name)), &error.message);
            return;
        }
    };
    place(root, &name, target, node, report);
}

fn place(root: &mut Node, name: &str, target: &Target, node: Node, report: &Report) {
    let origin = Origin::Variable(Arc::from(name));
    if let Err(message) = set(root, &target.steps, node, &origin) {
        report.refuse(&origin, &message);
    }
}

/// Walks the steps, making maps and lists where nothing is, and puts `value` at their end.
fn set(node: &mut Node, steps: &[Step], value: Node, origin: &Origin) -> Result<(), String> {
    let [step, rest @ ..] = steps else {
        *node = value;
        return Ok(());
    };
    if node.is_null() {
        node.value = match step {
            Step::Key(_) => Value::Map(Vec::new()),
            Step::Index(_) => Value::List(Vec::new()),
        };
        node.origin = origin.clone();
    }
    let found = node.kind();
    let below = match (step, &mut node.value) {
        (Step::Key(name), Value::Map(entries)) => {
            let position = match entries.iter().position(|entry| entry.key == *name) {
                Some(position) => position,
                None => {
                    entries.push(Entry {
                        key: name.clone(),
                        origin: origin.clone(),
                        node: Node::null(origin.clone()),
                    });
                    entries.len() - 1
                }
            };
            &mut entries[position].node
        }
        (Step::Index(index), Value::List(elements)) => {
            let length = elements.len();
            if *index > length {
                return Err(format!(
                    "index {index} leaves a gap: the list has {length} elements"
                ));
            }
            if *index == length {
                elements.push(Node::null(origin.clone()));
            }
            &mut elements[*index]
        }
        (Step::Key(name), _) => return Err(format!("cannot set {name:?} in {found}")),
        (Step::Index(index), _) => return Err(format!("cannot set element {index} in {found}")),
    };
    set(below, rest, value, origin)
}

/// `storage: filesystem` and `auth: none` choose by name alone: the same as an empty section.
fn choose_by_name(root: &mut Node) {
    let Value::Map(entries) = &mut root.value else {
        return;
    };
    for entry in entries
        .iter_mut()
        .filter(|entry| ["storage", "auth"].contains(&&*entry.key))
    {
        if let Value::Scalar { text, .. } = &entry.node.value {
            let origin = entry.node.origin.clone();
            let chosen = Entry {
                key: text.clone(),
                origin: origin.clone(),
                node: Node::null(origin),
            };
            entry.node.value = Value::Map(vec![chosen]);
        }
    }
}
