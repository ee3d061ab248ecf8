//! What a client did and what it was told, and from this what a registry may show after a crash.
//!
//! Everything that can be asked for is a *subject* with one value: a blob is there or not, a tag
//! leads to one digest or to none. An operation sets one or more subjects in one step.
//!
//! Two clocks order operations. *Ticks* say which of two operations ended before the other began.
//! *Positions* in the write log say what a crash knows of them: an operation whose answer came
//! before position `P` was read is owed by every state that has all entries up to `P`; one that
//! began at position `P` can have left nothing in a state with fewer.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// What can be asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Subject {
    Blob {
        repository: String,
        digest: String,
    },
    Manifest {
        repository: String,
        digest: String,
    },
    Tag {
        repository: String,
        tag: String,
    },
    /// An upload, by its number in the history.
    Upload(usize),
}

/// A digest, or something else that only says "there"; `None` is "not there".
pub(super) type Value = Option<String>;

/// A request that changes something.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Operation {
    pub(super) what: String,
    /// Ticks of its beginning and of its answer.
    pub(super) begun: u64,
    pub(super) ended: u64,
    /// Entries in the log when it began, and when its answer had come.
    pub(super) before: u64,
    pub(super) after: u64,
    pub(super) effects: Vec<(Subject, Value)>,
}

/// An upload session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Upload {
    pub(super) repository: String,
    /// Path of the session; empty until it was told.
    pub(super) location: String,
    /// What is sent, the part that was not sent yet included.
    pub(super) digest: String,
    /// Requests: the position when it began, and how many bytes the upload has with it.
    pub(super) sent: Vec<(u64, u64)>,
}

/// How bytes are made again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Content {
    Noise { name: String, length: usize },
    Text(String),
}

/// Everything that was done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) operations: Vec<Operation>,
    pub(super) uploads: Vec<Upload>,
    pub(super) contents: BTreeMap<String, Content>,
    /// The blobs that a manifest names.
    pub(super) parts: BTreeMap<String, Vec<String>>,
}

impl History {
    /// Everything that was ever touched.
    pub(super) fn subjects(&self) -> BTreeSet<&Subject> {
        let effects = self.operations.iter().flat_map(|one| &one.effects);
        effects.map(|(subject, _)| subject).collect()
    }

    /// What a subject may be after a crash at a position: what was set last, whatever was under
    /// way, and nothing where no answer is owed.
    pub(super) fn permitted(&self, subject: &Subject, position: u64) -> BTreeSet<&Value> {
        let possible: Vec<(&Operation, &Value)> = self
            .operations
            .iter()
            .filter(|one| one.before < position)
            .filter_map(|one| Some((one, one.effect_on(subject)?)))
            .collect();
        let owed = |one: &Operation| one.after <= position;
        let replaced = |one: &Operation| {
            possible
                .iter()
                .any(|(other, _)| owed(other) && other.begun > one.ended)
        };
        let mut permitted: BTreeSet<&Value> = possible
            .iter()
            .filter(|(one, _)| !replaced(one))
            .map(|(_, value)| *value)
            .collect();
        if !possible.iter().any(|(one, _)| owed(one)) {
            permitted.insert(&None);
        }
        permitted
    }

    /// Operations that a crash cut off and that are there in one part and not in another.
    pub(super) fn halves<'a>(
        &'a self,
        position: u64,
        shown: &BTreeMap<&Subject, Value>,
    ) -> Vec<&'a Operation> {
        let under_way = |one: &&Operation| one.before < position && position < one.after;
        let open: Vec<&Operation> = self.operations.iter().filter(under_way).collect();
        let half = |one: &&Operation| {
            let done: BTreeSet<bool> = one
                .effects
                .iter()
                .filter(|(subject, value)| {
                    // Another one that is open too, or the value it had already, would prove nothing.
                    let others = open
                        .iter()
                        .filter(|other| other.effect_on(subject).is_some());
                    let without = self.permitted(subject, one.before);
                    others.count() == 1 && !without.contains(value)
                })
                .filter_map(|(subject, value)| Some(shown.get(subject)? == value))
                .collect();
            done.len() > 1
        };
        open.iter().copied().filter(half).collect()
    }

    /// Bytes of an upload that may have come by then.
    pub(super) fn sent(&self, upload: usize, position: u64) -> u64 {
        self.uploads.get(upload).map_or(0, |upload| {
            let begun = upload.sent.iter().filter(|(before, _)| *before < position);
            begun.map(|(_, length)| *length).max().unwrap_or_default()
        })
    }

    /// The last operation on a subject that is owed, in words.
    pub(super) fn last_owed(&self, subject: &Subject, position: u64) -> String {
        let owed = self
            .operations
            .iter()
            .filter(|one| one.after <= position && one.effect_on(subject).is_some());
        owed.max_by_key(|one| one.ended).map_or_else(
            || "nothing was acknowledged".to_owned(),
            |one| format!("{} was acknowledged at entry {}", one.what, one.after),
        )
    }
}

impl Operation {
    fn effect_on(&self, subject: &Subject) -> Option<&Value> {
        let effect = self.effects.iter().find(|(own, _)| own == subject);
        effect.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(name: &str) -> Subject {
        Subject::Tag {
            repository: "app".to_owned(),
            tag: name.to_owned(),
        }
    }

    /// (ticks, positions) of an operation that sets tags.
    fn set(ticks: (u64, u64), positions: (u64, u64), tags: &[&str], value: &str) -> Operation {
        let value = (!value.is_empty()).then(|| value.to_owned());
        Operation {
            what: format!("{tags:?} to {value:?}"),
            begun: ticks.0,
            ended: ticks.1,
            before: positions.0,
            after: positions.1,
            effects: tags.iter().map(|name| (tag(name), value.clone())).collect(),
        }
    }

    fn permitted(history: &History, position: u64) -> Vec<&str> {
        let permitted = history.permitted(&tag("v1"), position).into_iter();
        permitted
            .map(|value| value.as_deref().unwrap_or("-"))
            .collect()
    }

    #[test]
    fn what_was_acknowledged_is_owed_and_what_was_under_way_is_either() {
        let history = History {
            operations: vec![
                set((1, 2), (10, 20), &["v1"], "a"),
                set((3, 4), (20, 30), &["v1"], "b"),
                set((5, 6), (30, 40), &["v1"], ""),
            ],
            ..History::default()
        };
        assert_eq!(permitted(&history, 10), ["-"], "not begun");
        assert_eq!(permitted(&history, 15), ["-", "a"]);
        assert_eq!(permitted(&history, 20), ["a"]);
        assert_eq!(permitted(&history, 25), ["a", "b"]);
        assert_eq!(permitted(&history, 30), ["b"]);
        assert_eq!(permitted(&history, 35), ["-", "b"]);
        assert_eq!(permitted(&history, 99), ["-"], "deleted for good");
    }

    #[test]
    fn of_two_at_once_either_may_be_the_last() {
        let history = History {
            operations: vec![
                set((1, 3), (10, 20), &["v1"], "a"),
                set((2, 4), (10, 22), &["v1"], "b"),
                set((5, 6), (22, 30), &["v1"], "c"),
            ],
            ..History::default()
        };
        assert_eq!(permitted(&history, 20), ["a", "b"]);
        assert_eq!(permitted(&history, 22), ["a", "b"]);
        assert_eq!(permitted(&history, 30), ["c"]);
    }

    #[test]
    fn a_half_is_found_only_where_it_can_be_told() {
        let history = History {
            operations: vec![
                set((1, 2), (0, 5), &["v2"], "a"),
                set((3, 4), (10, 20), &["v1", "v2"], "a"),
            ],
            ..History::default()
        };
        let (one, two) = (tag("v1"), tag("v2"));
        let shown = BTreeMap::from([(&one, None), (&two, Some("a".to_owned()))]);
        assert!(history.halves(15, &shown).is_empty(), "v2 was so before");
        let history = History {
            operations: vec![set((3, 4), (10, 20), &["v1", "v2"], "a")],
            ..History::default()
        };
        assert_eq!(history.halves(15, &shown).len(), 1);
        assert!(history.halves(20, &shown).is_empty(), "owed, so not open");
    }
}
