//! A client that keeps book: every request with what it changes, when it began and when it was
//! answered, on both clocks of the history.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, ensure};

use super::history::{Content, History, Operation, Subject, Upload, Value};
use super::random::noise;
use super::write_log::WriteLog;
use crate::http::{self, Answer};
use crate::image;

/// A request that is expected to be taken.
pub(super) struct Change<'a> {
    pub(super) method: &'a str,
    pub(super) path: String,
    pub(super) headers: &'a [(&'a str, &'a str)],
    pub(super) body: &'a [u8],
    pub(super) status: u16,
    pub(super) effects: Vec<(Subject, Value)>,
}

/// The book of one recording; workers share it.
pub(super) struct Recorder {
    address: Mutex<SocketAddr>,
    log: Mutex<WriteLog>,
    history: Mutex<History>,
    ticks: AtomicU64,
}

impl Recorder {
    pub(super) fn new(address: SocketAddr, log: WriteLog) -> Self {
        Self {
            address: Mutex::new(address),
            log: Mutex::new(log),
            history: Mutex::new(History::default()),
            ticks: AtomicU64::new(0),
        }
    }

    /// The registry was started again.
    pub(super) fn moved_to(&self, address: SocketAddr) {
        *lock(&self.address) = address;
    }

    /// Entries in the log now.
    pub(super) fn position(&self) -> Result<u64> {
        lock(&self.log).position()
    }

    /// What was done.
    pub(super) fn into_history(self) -> History {
        self.history
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request and writes it down.
    ///
    /// The position before it is read before the first byte goes out, the one after it when the
    /// last byte of the answer is here: what the request wrote is between them.
    pub(super) fn change(&self, change: Change<'_>) -> Result<Answer> {
        let what = format!("{} {}", change.method, change.path);
        let address = *lock(&self.address);
        let before = self.position()?;
        let begun = self.tick();
        let answer = http::exchange(
            address,
            change.method,
            &change.path,
            change.headers,
            Some(change.body),
        )?;
        let ended = self.tick();
        let after = self.position()?;
        ensure!(
            answer.status == change.status,
            "{what}: {} in place of {}: {}",
            answer.status,
            change.status,
            String::from_utf8_lossy(&answer.body)
        );
        if !change.effects.is_empty() {
            lock(&self.history).operations.push(Operation {
                what,
                begun,
                ended,
                before,
                after,
                effects: change.effects,
            });
        }
        Ok(answer)
    }

    /// Writes down how bytes are made, and makes them.
    pub(super) fn content(&self, content: Content) -> (String, Vec<u8>) {
        let bytes = bytes_of(&content);
        let digest = image::digest(&bytes);
        lock(&self.history).contents.insert(digest.clone(), content);
        (digest, bytes)
    }

    /// How bytes with this digest were made.
    pub(super) fn known(&self, digest: &str) -> Option<Content> {
        lock(&self.history).contents.get(digest).cloned()
    }

    /// Writes down what a manifest names.
    pub(super) fn parts(&self, manifest: &str, blobs: Vec<String>) {
        lock(&self.history).parts.insert(manifest.to_owned(), blobs);
    }

    /// Begins an upload; returns its number.
    pub(super) fn begin(&self, repository: &str, digest: &str) -> Result<usize> {
        let number = {
            let mut history = lock(&self.history);
            history.uploads.push(Upload {
                repository: repository.to_owned(),
                location: String::new(),
                digest: digest.to_owned(),
                sent: Vec::new(),
            });
            history.uploads.len() - 1
        };
        let answer = self.change(Change {
            method: "POST",
            path: format!("/v2/{repository}/blobs/uploads/"),
            headers: &[],
            body: b"",
            status: 202,
            effects: vec![(Subject::Upload(number), Some("open".to_owned()))],
        })?;
        let location = answer.header("location").context("no Location")?;
        let path = location.find("/v2/").context("a Location elsewhere")?;
        location[path..].clone_into(&mut lock(&self.history).uploads[number].location);
        Ok(number)
    }

    /// Sends the next bytes of an upload, which has `end` bytes then.
    pub(super) fn append(&self, upload: usize, bytes: &[u8], end: usize) -> Result<()> {
        let path = self.sending(upload, end)?.location;
        let range = format!("{}-{}", end - bytes.len(), end.saturating_sub(1));
        let headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Range", range.as_str()),
        ];
        let change = Change {
            method: "PATCH",
            path,
            headers: &headers,
            body: bytes,
            status: 202,
            effects: Vec::new(),
        };
        self.change(change).map(drop)
    }

    /// Closes an upload with its last bytes.
    pub(super) fn close(&self, upload: usize, bytes: &[u8], end: usize) -> Result<()> {
        let session = self.sending(upload, end)?;
        let blob = Subject::Blob {
            repository: session.repository,
            digest: session.digest.clone(),
        };
        let change = Change {
            method: "PUT",
            path: with_query(&session.location, &format!("digest={}", session.digest)),
            headers: &[],
            body: bytes,
            status: 201,
            effects: vec![
                (Subject::Upload(upload), None),
                (blob, Some(session.digest)),
            ],
        };
        self.change(change).map(drop)
    }

    /// Gives an upload up.
    pub(super) fn cancel(&self, upload: usize) -> Result<()> {
        let path = lock(&self.history).uploads[upload].location.clone();
        let change = Change {
            method: "DELETE",
            path,
            headers: &[],
            body: b"",
            status: 204,
            effects: vec![(Subject::Upload(upload), None)],
        };
        self.change(change).map(drop)
    }

    /// Notes before they are sent that an upload gets bytes.
    fn sending(&self, upload: usize, end: usize) -> Result<Upload> {
        let position = self.position()?;
        let mut history = lock(&self.history);
        let session = &mut history.uploads[upload];
        session.sent.push((position, end as u64));
        Ok(session.clone())
    }

    fn tick(&self) -> u64 {
        self.ticks.fetch_add(1, Ordering::SeqCst)
    }
}

/// Makes content again.
pub(super) fn bytes_of(content: &Content) -> Vec<u8> {
    match content {
        Content::Noise { name, length } => noise(name, *length),
        Content::Text(text) => text.clone().into_bytes(),
    }
}

/// Adds a query to a path that may have one already.
pub(super) fn with_query(path: &str, query: &str) -> String {
    let mark = if path.contains('?') { '&' } else { '?' };
    format!("{path}{mark}{query}")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
