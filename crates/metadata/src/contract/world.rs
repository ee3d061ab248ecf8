//! The things that tests name: numbered blobs, manifests and sessions, and how they are built.

use bytes::Bytes;
use roadstead_oci::{Algorithm, Digest, MediaType, RepositoryName, Tag};
use uuid::Uuid;

use super::{HOUR, MANIFEST_TYPE, START};
use crate::{
    Advance, Edge, FinishUpload, NewManifest, NewUpload, Origin, Place, Progress, UploadId,
};

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn media_type(text: &str) -> MediaType {
    MediaType::parse(text).unwrap()
}

fn numbered(algorithm: Algorithm, kind: u8, n: u32) -> Digest {
    let mut hash = vec![kind; algorithm.digest_len()];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    Digest::from_bytes(algorithm, &hash).unwrap()
}

/// The digest of blob `n`. Odd ones use another algorithm.
pub(crate) fn blob(n: u32) -> Digest {
    numbered(algorithm(n), 0xb1, n)
}

/// The digest of manifest `n`. Odd ones use another algorithm.
pub(crate) fn manifest_digest(n: u32) -> Digest {
    numbered(algorithm(n), 0xab, n)
}

fn algorithm(n: u32) -> Algorithm {
    if n.is_multiple_of(2) {
        Algorithm::Sha256
    } else {
        Algorithm::Sha512
    }
}

/// The bytes of blob `n`.
pub(crate) fn content(n: u32) -> Bytes {
    Bytes::from(format!("blob {n}"))
}

pub(crate) fn upload_id(n: u128) -> UploadId {
    UploadId::from_uuid(Uuid::from_u128(n))
}

pub(crate) fn key(n: u128) -> Uuid {
    Uuid::from_u128(n | 1 << 64)
}

pub(crate) fn origin() -> Origin {
    Origin {
        actor: "ada".to_owned(),
        request_id: "r-1".to_owned(),
        ..Origin::default()
    }
}

pub(crate) fn new_upload(repository: &RepositoryName, id: UploadId, key: Uuid) -> NewUpload<'_> {
    NewUpload {
        repository,
        id,
        key,
        principal: "ada",
        algorithm: Algorithm::Sha256,
        start: progress(0),
        boot_id: "boot-1",
        expires_at: START.plus(HOUR),
        sessions_max: 100,
    }
}

pub(crate) fn progress(offset: u64) -> Progress {
    Progress {
        offset,
        hash_state: Bytes::from(format!("hash {offset}")),
        store_state: Bytes::from(format!("store {offset}")),
    }
}

pub(crate) fn advance(offset: u64) -> Advance {
    Advance {
        progress: progress(offset),
        durable: None,
        boot_id: "boot-1".to_owned(),
        expires_at: START.plus(HOUR),
    }
}

pub(crate) fn finish(
    repository: &str,
    n: u32,
    upload: Option<(UploadId, u64)>,
    place: Place,
) -> FinishUpload {
    FinishUpload {
        repository: name(repository),
        upload,
        digest: blob(n),
        size_bytes: content(n).len() as u64,
        place,
        origin: origin(),
    }
}

/// Manifest `n`, which names nothing yet.
pub(crate) fn manifest(repository: &str, n: u32) -> NewManifest {
    NewManifest {
        repository: name(repository),
        digest: manifest_digest(n),
        media_type: media_type(MANIFEST_TYPE),
        artifact_type: None,
        subject: None,
        body: manifest_body(n),
        referrer: None,
        blobs: Vec::new(),
        children: Vec::new(),
        tags: Vec::new(),
        overwrite: true,
        origin: origin(),
    }
}

pub(crate) fn manifest_body(n: u32) -> Bytes {
    Bytes::from(format!("{{\"manifest\":{n}}}"))
}

/// What a manifest is built of.
impl NewManifest {
    pub(crate) fn with_blob(self, n: u32) -> NewManifest {
        self.naming(n, true)
    }

    /// Names a blob that need not be there.
    pub(crate) fn with_optional_blob(self, n: u32) -> NewManifest {
        self.naming(n, false)
    }

    pub(crate) fn naming(mut self, n: u32, required: bool) -> NewManifest {
        self.blobs.push(Edge {
            digest: blob(n),
            size_bytes: content(n).len() as u64,
            required,
        });
        self
    }

    pub(crate) fn with_child(self, n: u32) -> NewManifest {
        self.containing(n, true)
    }

    /// Names a child that need not be there.
    pub(crate) fn with_optional_child(self, n: u32) -> NewManifest {
        self.containing(n, false)
    }

    pub(crate) fn containing(mut self, n: u32, required: bool) -> NewManifest {
        self.children.push(Edge {
            digest: manifest_digest(n),
            size_bytes: manifest_body(n).len() as u64,
            required,
        });
        self
    }

    pub(crate) fn tagged(mut self, name: &str) -> NewManifest {
        self.tags.push(tag(name));
        self
    }

    pub(crate) fn with_subject(mut self, n: u32, artifact_type: &str) -> NewManifest {
        self.subject = Some(manifest_digest(n));
        self.artifact_type = Some(artifact_type.to_owned());
        self.referrer = Some(Bytes::from(format!("{{\"of\":\"{}\"}}", self.digest)));
        self
    }
}
