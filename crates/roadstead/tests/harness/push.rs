//! What users do: push and pull blobs, manifests and images.

use super::{Answer, Image, Manifest, Registry, sha256};

impl Registry {
    /// Pushes bytes the way most clients do: a session, then everything in the closing request.
    pub(crate) fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = sha256(bytes);
        let session = self.session(repository);
        self.close_upload(&session, &digest, bytes).expect(201);
        digest
    }

    /// Begins an upload and returns its location.
    pub(crate) fn session(&self, repository: &str) -> String {
        let answer = self
            .post(format!("/v2/{repository}/blobs/uploads/"))
            .send()
            .expect(202);
        answer.need("location").to_owned()
    }

    /// The closing PUT, with these last bytes.
    pub(crate) fn close_upload(&self, session: &str, digest: &str, bytes: &[u8]) -> Answer {
        self.put(with_query(session, &format!("digest={digest}")))
            .body(bytes)
            .send()
    }

    /// PUTs a manifest under a tag or digest.
    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Answer {
        self.put(format!("/v2/{repository}/manifests/{reference}"))
            .header("Content-Type", &manifest.media_type)
            .body(&manifest.bytes)
            .send()
    }

    /// Pushes a manifest under its own digest.
    pub(crate) fn push_manifest(&self, repository: &str, manifest: &Manifest) {
        self.put_manifest(repository, &manifest.digest, manifest)
            .expect(201);
    }

    /// Pushes the config and layers of an image.
    pub(crate) fn push_blobs_of(&self, repository: &str, image: &Image) {
        for blob in image.blobs() {
            self.push_blob(repository, &blob.bytes);
        }
    }

    /// Pushes an image under a tag.
    pub(crate) fn push_image(&self, repository: &str, tag: &str, image: &Image) {
        self.push_blobs_of(repository, image);
        self.put_manifest(repository, tag, &image.manifest)
            .expect(201)
            .expect_header("docker-content-digest", &image.manifest.digest);
    }

    /// Pushes an image under a tag as somebody who has a name and a password.
    pub(crate) fn push_image_as(
        &self,
        (user, password): (&str, &str),
        repository: &str,
        tag: &str,
        image: &Image,
    ) {
        for blob in image.blobs() {
            self.post(format!(
                "/v2/{repository}/blobs/uploads/?digest={}",
                blob.digest
            ))
            .basic(user, password)
            .body(&blob.bytes)
            .send()
            .expect(201);
        }
        self.put(format!("/v2/{repository}/manifests/{tag}"))
            .header("Content-Type", &image.manifest.media_type)
            .basic(user, password)
            .body(&image.manifest.bytes)
            .send()
            .expect(201);
    }

    /// Pulls an image by a reference and checks every byte of it.
    pub(crate) fn pull_image(&self, repository: &str, reference: &str, image: &Image) {
        let answer = self
            .get(format!("/v2/{repository}/manifests/{reference}"))
            .header("Accept", &image.manifest.media_type)
            .send()
            .expect(200)
            .expect_header("content-type", &image.manifest.media_type)
            .expect_header("docker-content-digest", &image.manifest.digest);
        assert_eq!(answer.body, image.manifest.bytes);
        for blob in image.blobs() {
            assert_eq!(self.pull_blob(repository, &blob.digest), blob.bytes);
        }
    }

    /// The bytes of a blob.
    pub(crate) fn pull_blob(&self, repository: &str, digest: &str) -> Vec<u8> {
        self.get(format!("/v2/{repository}/blobs/{digest}"))
            .send()
            .expect(200)
            .body
    }

    /// Whether a blob is there.
    pub(crate) fn has_blob(&self, repository: &str, digest: &str) -> bool {
        let answer = self.head(format!("/v2/{repository}/blobs/{digest}")).send();
        assert!([200, 404].contains(&answer.status), "{answer:?}");
        answer.status == 200
    }

    /// The tags of a repository, all pages.
    pub(crate) fn tags(&self, repository: &str) -> Vec<String> {
        self.pages(&format!("/v2/{repository}/tags/list"), "tags")
    }

    /// Every page of a list of names, joined.
    pub(crate) fn pages(&self, target: &str, member: &str) -> Vec<String> {
        let mut names = Vec::new();
        let mut next = Some(target.to_owned());
        while let Some(target) = next {
            let answer = self.get(&target).send().expect(200);
            let page = answer.json();
            let page = page[member]
                .as_array()
                .unwrap_or_else(|| panic!("{answer:?}"));
            names.extend(page.iter().map(|name| name.as_str().unwrap().to_owned()));
            next = answer.next();
        }
        names
    }
}

/// Adds a query to a target that may have one already.
pub(crate) fn with_query(target: &str, query: &str) -> String {
    let mark = if target.contains('?') { '&' } else { '?' };
    format!("{target}{mark}{query}")
}
