//! What a registry must show on a disk after a crash: everything that was acknowledged, nothing
//! by halves, and that it works.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Result, ensure};

use super::history::{History, Subject, Value};
use super::recorder::{bytes_of, with_query};
use crate::http::{self, Answer};
use crate::image;

/// The history with all bytes made.
pub(super) struct Expected {
    pub(super) history: History,
    bytes: BTreeMap<String, Arc<Vec<u8>>>,
}

impl Expected {
    pub(super) fn new(history: History) -> Self {
        let contents = history.contents.iter();
        let bytes = contents.map(|(digest, content)| (digest.clone(), Arc::new(bytes_of(content))));
        Self {
            bytes: bytes.collect(),
            history,
        }
    }

    fn bytes(&self, digest: &str) -> &[u8] {
        self.bytes.get(digest).map_or(&[], |bytes| bytes.as_slice())
    }
}

/// One look at a registry after a crash.
pub(super) struct Check<'a> {
    expected: &'a Expected,
    address: SocketAddr,
    /// Entries that had been logged before the crash.
    position: u64,
    violations: Vec<String>,
}

impl<'a> Check<'a> {
    pub(super) fn new(expected: &'a Expected, address: SocketAddr, position: u64) -> Self {
        Self {
            expected,
            address,
            position,
            violations: Vec::new(),
        }
    }

    /// Looks at everything, then goes on with what was cut off and pushes something new.
    ///
    /// # Errors
    /// Only where the registry cannot be spoken to.
    pub(super) fn run(mut self) -> Result<Vec<String>> {
        let mut shown: BTreeMap<&Subject, Value> = BTreeMap::new();
        let history = &self.expected.history;
        for subject in history.subjects() {
            let value = self.look(subject)?;
            let permitted = history.permitted(subject, self.position);
            if !permitted.contains(&value) {
                self.violations.push(format!(
                    "{subject:?} is {value:?}, it may be {permitted:?}: {}",
                    history.last_owed(subject, self.position)
                ));
            }
            shown.insert(subject, value);
        }
        for operation in history.halves(self.position, &shown) {
            let what = format!(
                "{} is there in part: {:?}",
                operation.what, operation.effects
            );
            self.violations.push(what);
        }
        self.lists(&shown)?;
        self.everything_named_is_there(&shown)?;
        for (subject, value) in &shown {
            if let (Subject::Upload(number), Some(_)) = (subject, value) {
                self.go_on(*number)?;
            }
        }
        self.push_again()?;
        Ok(self.violations)
    }

    /// What a subject is now; wrong bytes are a violation whatever it may be.
    fn look(&mut self, subject: &Subject) -> Result<Value> {
        let (path, digest) = match subject {
            Subject::Blob { repository, digest } => {
                (format!("/v2/{repository}/blobs/{digest}"), Some(digest))
            }
            Subject::Manifest { repository, digest } => {
                (format!("/v2/{repository}/manifests/{digest}"), Some(digest))
            }
            Subject::Tag { repository, tag } => (format!("/v2/{repository}/manifests/{tag}"), None),
            Subject::Upload(number) => return self.look_at_upload(*number),
        };
        let answer = self.ask("GET", &path, None)?;
        if answer.status == 404 {
            return Ok(None);
        }
        let named = answer.header("docker-content-digest").unwrap_or_default();
        let digest = digest.map_or(named, String::as_str).to_owned();
        let whole =
            answer.status == 200 && named == digest && answer.body == self.expected.bytes(&digest);
        if !whole {
            let found = image::digest(&answer.body);
            self.violations.push(format!(
                "GET {path}: {} with {} bytes of {found}, named {named}",
                answer.status,
                answer.body.len()
            ));
        }
        Ok(Some(digest))
    }

    fn look_at_upload(&mut self, number: usize) -> Result<Value> {
        let location = self.expected.history.uploads[number].location.clone();
        let answer = self.ask("GET", &location, None)?;
        match answer.status {
            404 => return Ok(None),
            204 => {}
            status => {
                let said = String::from_utf8_lossy(&answer.body).into_owned();
                self.violations
                    .push(format!("GET {location}: {status} {said}"));
            }
        }
        let sent = self.expected.history.sent(number, self.position);
        // An empty upload says 0-0 as one of one byte does.
        let limit = sent.max(1);
        match received(&answer) {
            Some(received) if received <= limit => {}
            received => self.violations.push(format!(
                "upload {number} has {received:?} bytes, {sent} were sent"
            )),
        }
        Ok(Some("open".to_owned()))
    }

    /// The lists name what GET shows.
    fn lists(&mut self, shown: &BTreeMap<&Subject, Value>) -> Result<()> {
        let mut repositories: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (subject, value) in shown {
            if let (Subject::Tag { repository, tag }, Some(_)) = (subject, value) {
                repositories.entry(repository).or_default().insert(tag);
            }
        }
        for (repository, tags) in repositories {
            let path = format!("/v2/{repository}/tags/list");
            let answer = self.ask("GET", &path, None)?;
            let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let listed = list["tags"].as_array().into_iter().flatten();
            let listed: BTreeSet<&str> = listed.filter_map(|tag| tag.as_str()).collect();
            if listed != tags {
                let what = format!("{path} has {listed:?}, GET shows {tags:?}");
                self.violations.push(what);
            }
        }
        Ok(())
    }

    /// Whatever a tag or a digest leads to can be pulled whole. The bytes of each blob were
    /// compared when it was looked at.
    fn everything_named_is_there(&mut self, shown: &BTreeMap<&Subject, Value>) -> Result<()> {
        for (subject, value) in shown {
            let (repository, manifest) = match (subject, value) {
                (Subject::Tag { repository, .. }, Some(manifest))
                | (Subject::Manifest { repository, .. }, Some(manifest)) => (repository, manifest),
                _ => continue,
            };
            let there = |subject: &Subject| shown.get(subject).is_some_and(Option::is_some);
            let (repository, digest) = (repository.clone(), manifest.clone());
            if !there(&Subject::Manifest { repository, digest }) {
                let what = format!("{subject:?} leads to {manifest}, which is not there");
                self.violations.push(what);
            }
            for digest in self
                .expected
                .history
                .parts
                .get(manifest)
                .into_iter()
                .flatten()
            {
                let blob = match subject {
                    Subject::Tag { repository, .. } | Subject::Manifest { repository, .. } => {
                        Subject::Blob {
                            repository: repository.clone(),
                            digest: digest.clone(),
                        }
                    }
                    _ => continue,
                };
                if !there(&blob) {
                    let what = format!("{subject:?} is there without {blob:?}");
                    self.violations.push(what);
                }
            }
        }
        Ok(())
    }

    /// An open upload can be gone on from where it says, and comes to the right bytes.
    fn go_on(&mut self, number: usize) -> Result<()> {
        let upload = &self.expected.history.uploads[number];
        let bytes = self.expected.bytes(&upload.digest);
        let answer = self.ask("GET", &upload.location, None)?;
        let mut offset = received(&answer).unwrap_or_default();
        // An empty upload says 0-0, as one of one byte does, and is far more frequent.
        if offset == 1 {
            offset = 0;
        }
        let mut sent = self.append(&upload.location, bytes, offset)?;
        if offset == 0 && sent.status == 416 {
            offset = 1;
            sent = self.append(&upload.location, bytes, offset)?;
        }
        let close = with_query(&upload.location, &format!("digest={}", upload.digest));
        let closed = self.ask("PUT", &close, Some(b""))?;
        let path = format!("/v2/{}/blobs/{}", upload.repository, upload.digest);
        let got = self.ask("GET", &path, None)?;
        let statuses = [sent.status, closed.status, got.status];
        if statuses != [202, 201, 200] || got.body != bytes {
            let said = String::from_utf8_lossy(&closed.body);
            let what = format!(
                "upload {number} cannot be gone on from byte {offset}: PATCH, PUT, GET are \
                 {statuses:?}: {said}"
            );
            self.violations.push(what);
        }
        Ok(())
    }

    fn append(&self, location: &str, bytes: &[u8], offset: u64) -> Result<Answer> {
        let begin = usize::try_from(offset)?.min(bytes.len());
        let range = format!("{offset}-{}", bytes.len().saturating_sub(1));
        let headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Range", range.as_str()),
        ];
        http::exchange(
            self.address,
            "PATCH",
            location,
            &headers,
            Some(&bytes[begin..]),
        )
    }

    /// A push like any other, now.
    fn push_again(&mut self) -> Result<()> {
        for length in [100, 100_000] {
            let bytes = super::random::noise(&format!("after the crash {length}"), length);
            let digest = image::digest(&bytes);
            let path = format!("/v2/after/blobs/uploads/?digest={digest}");
            let pushed = self.ask("POST", &path, Some(&bytes))?;
            let pulled = self.ask("GET", &format!("/v2/after/blobs/{digest}"), None)?;
            if (pushed.status, pulled.status) != (201, 200) || pulled.body != bytes {
                self.violations.push(format!(
                    "a push after the crash: POST and GET are {} and {}",
                    pushed.status, pulled.status
                ));
            }
        }
        Ok(())
    }

    fn ask(&self, method: &str, path: &str, body: Option<&[u8]>) -> Result<Answer> {
        ensure!(
            path.starts_with('/'),
            "an upload whose location nobody knows"
        );
        let headers = [("Content-Type", "application/octet-stream")];
        let headers = if body.is_some() { &headers[..] } else { &[] };
        http::exchange(self.address, method, path, headers, body)
    }
}

/// How many bytes the Range of an upload speaks of.
fn received(answer: &Answer) -> Option<u64> {
    let last = answer.header("range")?.strip_prefix("0-")?;
    Some(last.parse::<u64>().ok()? + 1)
}
