//! Builders for content: blobs, images, indexes, artifacts.

use serde_json::{Value, json};

use super::content::{noise, sha256};

pub(crate) const OCI_IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const DOCKER_IMAGE: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

/// Bytes and what they are called.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: String,
    pub(crate) media_type: String,
}

impl Blob {
    pub(crate) fn new(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self {
            digest: sha256(&bytes),
            media_type: media_type.to_owned(),
            bytes,
        }
    }

    pub(crate) fn layer(seed: &str, length: usize) -> Self {
        Self::new(
            "application/vnd.oci.image.layer.v1.tar+gzip",
            noise(seed, length),
        )
    }

    pub(crate) fn descriptor(&self) -> Value {
        descriptor(&self.media_type, &self.digest, self.bytes.len() as u64)
    }
}

pub(crate) fn descriptor(media_type: &str, digest: &str, size: u64) -> Value {
    json!({ "mediaType": media_type, "digest": digest, "size": size })
}

/// A manifest as it is pushed.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: String,
}

impl Manifest {
    pub(crate) fn new(media_type: &str, document: &Value) -> Self {
        Self::raw(media_type, serde_json::to_vec(document).unwrap())
    }

    /// Any bytes, said to be of this type.
    pub(crate) fn raw(media_type: &str, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self {
            media_type: media_type.to_owned(),
            digest: sha256(&bytes),
            bytes,
        }
    }

    /// An OCI index that names these manifests.
    pub(crate) fn index(children: &[&Manifest]) -> Self {
        let children: Vec<Value> = children.iter().map(|child| child.descriptor()).collect();
        Self::new(
            OCI_INDEX,
            &json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children }),
        )
    }

    pub(crate) fn descriptor(&self) -> Value {
        descriptor(&self.media_type, &self.digest, self.bytes.len() as u64)
    }

    /// The same document with these top-level members added or replaced; null removes one.
    pub(crate) fn with(&self, members: &Value) -> Self {
        let mut document = self.document();
        merge(&mut document, members);
        Self::new(&self.media_type, &document)
    }

    pub(crate) fn document(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

/// An image with everything that it needs.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    pub(crate) config: Blob,
    pub(crate) layers: Vec<Blob>,
    pub(crate) manifest: Manifest,
}

impl Image {
    /// A small image of one layer, told apart by its seed.
    pub(crate) fn new(seed: &str) -> Self {
        Self::of(seed, vec![Blob::layer(seed, 1500)])
    }

    /// An image of these layers.
    pub(crate) fn of(seed: &str, layers: Vec<Blob>) -> Self {
        let config = json!({ "architecture": "amd64", "os": "linux", "author": seed,
            "rootfs": { "type": "layers", "diff_ids": [] } });
        let config = Blob::new(
            "application/vnd.oci.image.config.v1+json",
            serde_json::to_vec(&config).unwrap(),
        );
        let named: Vec<Value> = layers.iter().map(Blob::descriptor).collect();
        let document = json!({ "schemaVersion": 2, "mediaType": OCI_IMAGE,
            "config": config.descriptor(), "layers": named });
        Self {
            config,
            layers,
            manifest: Manifest::new(OCI_IMAGE, &document),
        }
    }

    /// The same image as docker writes it.
    pub(crate) fn docker(seed: &str) -> Self {
        let mut image = Self::new(seed);
        image.config.media_type = "application/vnd.docker.container.image.v1+json".to_owned();
        image.layers[0].media_type = "application/vnd.docker.image.rootfs.diff.tar.gzip".to_owned();
        let document = json!({ "schemaVersion": 2, "mediaType": DOCKER_IMAGE,
            "config": image.config.descriptor(), "layers": [image.layers[0].descriptor()] });
        image.manifest = Manifest::new(DOCKER_IMAGE, &document);
        image
    }

    /// The image with these members in its manifest.
    pub(crate) fn with(mut self, members: &Value) -> Self {
        self.manifest = self.manifest.with(members);
        self
    }

    /// Config and layers.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.config).chain(&self.layers)
    }
}

/// Lays one JSON document over another: objects member by member, null removes.
pub(crate) fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                if value.is_null() {
                    into.remove(key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, from) => *into = from.clone(),
    }
}
