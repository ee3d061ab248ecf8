//! What a worker knows of the repository that it alone writes to: an exact state, and the one
//! change that it may have asked for and not been answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the repository holds for users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) blobs: BTreeSet<String>,
    pub(crate) manifests: BTreeSet<String>,
    /// Tag to digest.
    pub(crate) tags: BTreeMap<String, String>,
    /// Whether the worker's one long upload is open.
    pub(crate) open: bool,
}

/// What one request changes, all of it or nothing.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    AddBlob(String),
    DeleteBlob(String),
    PutManifest {
        digest: String,
        tags: Vec<String>,
    },
    DeleteManifest(String),
    DeleteTag(String),
    /// The long upload becomes this blob.
    FinishUpload(String),
    CancelUpload,
}

impl State {
    /// The state after the change.
    pub(crate) fn after(&self, change: &Change) -> Self {
        let mut state = self.clone();
        match change {
            Change::AddBlob(digest) => drop(state.blobs.insert(digest.clone())),
            Change::DeleteBlob(digest) => drop(state.blobs.remove(digest)),
            Change::PutManifest { digest, tags } => {
                state.manifests.insert(digest.clone());
                for tag in tags {
                    state.tags.insert(tag.clone(), digest.clone());
                }
            }
            Change::DeleteManifest(digest) => {
                state.manifests.remove(digest);
                state.tags.retain(|_, leads_to| leads_to != digest);
            }
            Change::DeleteTag(tag) => drop(state.tags.remove(tag)),
            Change::FinishUpload(digest) => {
                state.blobs.insert(digest.clone());
                state.open = false;
            }
            Change::CancelUpload => state.open = false,
        }
        state
    }
}

/// The long upload of a worker: begun, left, and gone on with across crashes.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pub(crate) location: String,
    pub(crate) content: Arc<Vec<u8>>,
    /// Bytes that were acknowledged.
    pub(crate) least: usize,
    /// Bytes that may have been received.
    pub(crate) most: usize,
}
