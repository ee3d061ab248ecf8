//! What clients do while the disk is recorded: a worker pushes, tags, mounts and deletes in
//! repositories of its own, and moves one tag that all workers share.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::history::{Content, Subject};
use super::random::Random;
use super::recorder::{Change, Recorder};

mod push;

const MIDDLE_BYTES: usize = 64 << 10;
const LARGE_BYTES: usize = 1 << 20;
/// Contents that every worker pushes, each into its own repository.
const SHARED_CONTENTS: u64 = 3;
/// The repository that every worker pushes to.
const SHARED: &str = "shared";

/// One client.
pub(super) struct Worker<'a> {
    recorder: &'a Recorder,
    name: String,
    random: Random,
    made: usize,
    /// Manifests that are there, and the blobs that they name.
    images: Vec<(String, Vec<String>)>,
    tags: BTreeMap<String, String>,
    /// Blobs that are there and that no manifest names.
    loose: Vec<String>,
    /// What was deleted, to be pushed again: blobs, and manifests with their blobs.
    deleted: Vec<String>,
    uploads: Vec<Open>,
}

/// An upload that is open.
struct Open {
    number: usize,
    bytes: Vec<u8>,
    sent: usize,
}

/// What a worker can do; each works whatever was before it.
#[derive(Debug, Clone, Copy)]
enum Step {
    PushImage,
    PushLoose,
    MoveTag,
    MoveSharedTag,
    DeleteTag,
    DeleteManifest,
    DeleteBlob,
    PushDeleted,
    Mount,
    BeginUpload,
    GoOn,
    CloseUpload,
    CancelUpload,
}

const STEPS: &[Step] = &[
    Step::PushImage,
    Step::PushLoose,
    Step::BeginUpload,
    Step::MoveTag,
    Step::PushImage,
    Step::Mount,
    Step::MoveTag,
    Step::GoOn,
    Step::DeleteTag,
    Step::DeleteBlob,
    Step::PushDeleted,
    Step::CloseUpload,
    Step::MoveSharedTag,
    Step::DeleteManifest,
    Step::DeleteBlob,
    Step::BeginUpload,
    Step::CancelUpload,
    Step::PushImage,
    Step::BeginUpload,
];

impl<'a> Worker<'a> {
    pub(super) fn new(recorder: &'a Recorder, seed: u64, name: &str) -> Self {
        Self {
            recorder,
            name: name.to_owned(),
            random: Random::of(seed, name),
            made: 0,
            images: Vec::new(),
            tags: BTreeMap::new(),
            loose: Vec::new(),
            deleted: Vec::new(),
            uploads: Vec::new(),
        }
    }

    /// Does everything once, in a fixed order.
    pub(super) fn play_all(&mut self) -> Result<()> {
        STEPS.iter().try_for_each(|step| self.step(*step))
    }

    /// Does some things at random.
    pub(super) fn play_some(&mut self, steps: usize) -> Result<()> {
        for _ in 0..steps {
            let step = STEPS[self.random.index(STEPS.len())];
            self.step(step)?;
        }
        Ok(())
    }

    /// Sends all but the end of an upload that is longer than what is flushed at a time, so that it
    /// can be gone on from after a crash.
    pub(super) fn begin_long_upload(&mut self, length: usize, sent: usize) -> Result<()> {
        let name = format!("{} long", self.name);
        let (digest, bytes) = self.recorder.content(Content::Noise { name, length });
        let number = self.recorder.begin(&self.name, &digest)?;
        self.recorder.append(number, &bytes[..sent], sent)
    }

    fn step(&mut self, step: Step) -> Result<()> {
        match step {
            Step::PushImage => self.push_image(),
            Step::PushLoose => self.push_loose(),
            Step::MoveTag => self.move_tag(),
            Step::MoveSharedTag => self.move_shared_tag(),
            Step::DeleteTag => self.delete_tag(),
            Step::DeleteManifest => self.delete_manifest(),
            Step::DeleteBlob => self.delete_blob(),
            Step::PushDeleted => self.push_deleted(),
            Step::Mount => self.mount(),
            Step::BeginUpload => self.begin_upload(),
            Step::GoOn => self.go_on(),
            Step::CloseUpload => self.close_upload(),
            Step::CancelUpload => self.cancel_upload(),
        }
        .with_context(|| format!("{}: {step:?}", self.name))
    }

    fn push_image(&mut self) -> Result<()> {
        let repository = self.name.clone();
        let (digest, bytes, blobs) = self.push_parts(&repository)?;
        let mut tags = vec![format!("v{}", self.made)];
        if self.random.percent(40) {
            tags.extend([format!("v{}-slim", self.made), "newest".to_owned()]);
        }
        let path = match tags.as_slice() {
            [tag] => format!("/v2/{repository}/manifests/{tag}"),
            tags => {
                let query = tags.join("&tag=");
                format!("/v2/{repository}/manifests/{digest}?tag={query}")
            }
        };
        self.put_manifest(&repository, path, &digest, &bytes, &tags)?;
        for tag in tags {
            self.tags.insert(tag, digest.clone());
        }
        self.images.push((digest, blobs));
        Ok(())
    }

    fn push_loose(&mut self) -> Result<()> {
        let content = if self.random.percent(40) {
            let number = self.random.below(SHARED_CONTENTS);
            Content::Noise {
                name: format!("shared {number}"),
                length: MIDDLE_BYTES << number,
            }
        } else {
            self.fresh()
        };
        let repository = self.name.clone();
        let digest = self.push_blob(&repository, content)?;
        if !self.loose.contains(&digest) {
            self.loose.push(digest);
        }
        Ok(())
    }

    fn move_tag(&mut self) -> Result<()> {
        let Some((digest, _)) = self.random.one_of(&self.images).cloned() else {
            return Ok(());
        };
        let tags: Vec<String> = self.tags.keys().cloned().collect();
        let tag = self.random.one_of(&tags).cloned();
        let tag = tag.unwrap_or_else(|| "moved".to_owned());
        let repository = self.name.clone();
        let path = format!("/v2/{repository}/manifests/{tag}");
        let bytes = self.text(&digest);
        self.put_manifest(
            &repository,
            path,
            &digest,
            &bytes,
            std::slice::from_ref(&tag),
        )?;
        self.tags.insert(tag, digest);
        Ok(())
    }

    fn move_shared_tag(&mut self) -> Result<()> {
        let (digest, bytes, _) = self.push_parts(SHARED)?;
        let path = format!("/v2/{SHARED}/manifests/latest");
        self.put_manifest(SHARED, path, &digest, &bytes, &["latest".to_owned()])
    }

    fn delete_tag(&mut self) -> Result<()> {
        let tags: Vec<String> = self.tags.keys().cloned().collect();
        let Some(tag) = self.random.one_of(&tags) else {
            return Ok(());
        };
        self.tags.remove(tag);
        let path = format!("/v2/{}/manifests/{tag}", self.name);
        self.delete(path, vec![(self.tag(tag), None)])
    }

    fn delete_manifest(&mut self) -> Result<()> {
        if self.images.is_empty() {
            return Ok(());
        }
        let at = self.random.index(self.images.len());
        let (digest, blobs) = self.images.remove(at);
        let mut effects = vec![(self.manifest(&digest), None)];
        for (tag, _) in self
            .tags
            .iter()
            .filter(|(_, leads_to)| **leads_to == digest)
        {
            effects.push((self.tag(tag), None));
        }
        self.tags.retain(|_, leads_to| *leads_to != digest);
        self.loose.extend(blobs);
        self.delete(format!("/v2/{}/manifests/{digest}", self.name), effects)
    }

    fn delete_blob(&mut self) -> Result<()> {
        if self.loose.is_empty() {
            return Ok(());
        }
        let at = self.random.index(self.loose.len());
        let digest = self.loose.remove(at);
        let path = format!("/v2/{}/blobs/{digest}", self.name);
        let blob = blob(&self.name, &digest);
        self.deleted.push(digest);
        self.delete(path, vec![(blob, None)])
    }

    fn push_deleted(&mut self) -> Result<()> {
        let Some(digest) = self.deleted.pop() else {
            return Ok(());
        };
        let repository = self.name.clone();
        let content = self.recorder.known(&digest).context("nobody made it")?;
        self.push_blob(&repository, content)?;
        if !self.loose.contains(&digest) {
            self.loose.push(digest);
        }
        Ok(())
    }

    fn mount(&mut self) -> Result<()> {
        let Some(digest) = self.random.one_of(&self.loose).cloned() else {
            return Ok(());
        };
        let target = format!("{}/mounted", self.name);
        let change = Change {
            method: "POST",
            path: format!(
                "/v2/{target}/blobs/uploads/?mount={digest}&from={}",
                self.name
            ),
            headers: &[],
            body: b"",
            status: 201,
            effects: vec![(blob(&target, &digest), Some(digest))],
        };
        self.recorder.change(change).map(drop)
    }

    fn begin_upload(&mut self) -> Result<()> {
        let content = self.large();
        let (digest, bytes) = self.recorder.content(content);
        let number = self.recorder.begin(&self.name, &digest)?;
        self.uploads.push(Open {
            number,
            bytes,
            sent: 0,
        });
        self.go_on()
    }

    /// Sends more of the newest upload, but never all.
    fn go_on(&mut self) -> Result<()> {
        let Some(open) = self.uploads.last_mut() else {
            return Ok(());
        };
        let left = open.bytes.len() - open.sent;
        if left < 3 {
            return Ok(());
        }
        let begin = open.sent;
        open.sent += 1 + self.random.index(left - 2);
        let bytes = &open.bytes[begin..open.sent];
        self.recorder.append(open.number, bytes, open.sent)
    }

    fn close_upload(&mut self) -> Result<()> {
        let Some(open) = self.uploads.pop() else {
            return Ok(());
        };
        let length = open.bytes.len();
        self.recorder
            .close(open.number, &open.bytes[open.sent..], length)
    }

    fn cancel_upload(&mut self) -> Result<()> {
        match self.uploads.pop() {
            Some(open) => self.recorder.cancel(open.number),
            None => Ok(()),
        }
    }

    fn tag(&self, tag: &str) -> Subject {
        Subject::Tag {
            repository: self.name.clone(),
            tag: tag.to_owned(),
        }
    }

    fn manifest(&self, digest: &str) -> Subject {
        Subject::Manifest {
            repository: self.name.clone(),
            digest: digest.to_owned(),
        }
    }
}

fn blob(repository: &str, digest: &str) -> Subject {
    Subject::Blob {
        repository: repository.to_owned(),
        digest: digest.to_owned(),
    }
}
