//! How a worker pushes: images part by part, and blobs in every way that the specification has.

use anyhow::Result;
use serde_json::json;

use super::super::history::{Content, Subject, Value};
use super::super::recorder::{Change, bytes_of};
use super::{LARGE_BYTES, MIDDLE_BYTES, Worker, blob};
use crate::image::MANIFEST_TYPE;

const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
/// Blobs up to this size are kept in the database.
const INLINE_BYTES: u64 = 4 << 10;

impl Worker<'_> {
    /// Pushes config and layers of a new image; returns its manifest with its digest and its blobs.
    pub(super) fn push_parts(
        &mut self,
        repository: &str,
    ) -> Result<(String, Vec<u8>, Vec<String>)> {
        let layers = 1 + self.random.index(2);
        let name = format!("{} image {}", self.name, self.made + 1);
        let config =
            json!({"architecture": "amd64", "os": "linux", "config": {"Labels": {"name": name}}});
        let config = Content::Text(config.to_string());
        let mut described = Vec::new();
        let mut blobs = Vec::new();
        for layer in 0..=layers {
            let (kind, content) = match layer {
                0 => (CONFIG_TYPE, config.clone()),
                _ => (LAYER_TYPE, self.fresh()),
            };
            let length = bytes_of(&content).len();
            let digest = self.push_blob(repository, content)?;
            described.push(json!({"mediaType": kind, "digest": digest, "size": length}));
            blobs.push(digest);
        }
        self.made += 1;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST_TYPE,
            "config": described[0], "layers": described[1..],
        });
        let (digest, bytes) = self.recorder.content(Content::Text(manifest.to_string()));
        self.recorder.parts(&digest, blobs.clone());
        Ok((digest, bytes, blobs))
    }

    /// Pushes bytes in one of the ways that the specification has.
    pub(super) fn push_blob(&mut self, repository: &str, content: Content) -> Result<String> {
        let (digest, bytes) = self.recorder.content(content);
        let way = self.random.below(3);
        if way == 0 {
            let change = Change {
                method: "POST",
                path: format!("/v2/{repository}/blobs/uploads/?digest={digest}"),
                headers: &[("Content-Type", "application/octet-stream")],
                body: &bytes,
                status: 201,
                effects: vec![(blob(repository, &digest), Some(digest.clone()))],
            };
            self.recorder.change(change)?;
            return Ok(digest);
        }
        let number = self.recorder.begin(repository, &digest)?;
        let mut sent = 0;
        if way == 2 && bytes.len() > 1 {
            sent = bytes.len() / 2;
            self.recorder.append(number, &bytes[..sent], sent)?;
        }
        self.recorder.close(number, &bytes[sent..], bytes.len())?;
        Ok(digest)
    }

    pub(super) fn put_manifest(
        &self,
        repository: &str,
        path: String,
        digest: &str,
        bytes: &[u8],
        tags: &[String],
    ) -> Result<()> {
        let there = Some(digest.to_owned());
        let manifest = Subject::Manifest {
            repository: repository.to_owned(),
            digest: digest.to_owned(),
        };
        let tags = tags.iter().map(|tag| Subject::Tag {
            repository: repository.to_owned(),
            tag: tag.clone(),
        });
        let change = Change {
            method: "PUT",
            path,
            headers: &[("Content-Type", MANIFEST_TYPE)],
            body: bytes,
            status: 201,
            effects: [manifest]
                .into_iter()
                .chain(tags)
                .map(|subject| (subject, there.clone()))
                .collect(),
        };
        self.recorder.change(change).map(drop)
    }

    pub(super) fn delete(&self, path: String, effects: Vec<(Subject, Value)>) -> Result<()> {
        let change = Change {
            method: "DELETE",
            path,
            headers: &[],
            body: b"",
            status: 202,
            effects,
        };
        self.recorder.change(change).map(drop)
    }

    pub(super) fn fresh(&mut self) -> Content {
        let length = match self.random.below(10) {
            0..=3 => 1 + usize::try_from(self.random.below(INLINE_BYTES)).unwrap_or_default(),
            4..=8 => MIDDLE_BYTES,
            _ => LARGE_BYTES,
        };
        self.noise(length)
    }

    pub(super) fn large(&mut self) -> Content {
        self.noise(LARGE_BYTES)
    }

    fn noise(&mut self, length: usize) -> Content {
        Content::Noise {
            name: format!("{} {}", self.name, self.random.next()),
            length,
        }
    }

    pub(super) fn text(&self, digest: &str) -> Vec<u8> {
        let content = self.recorder.known(digest);
        content.map_or_else(Vec::new, |content| bytes_of(&content))
    }
}
