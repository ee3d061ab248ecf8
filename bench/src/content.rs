//! What is pushed and pulled: random bytes, and manifests that name them.

use serde_json::json;
use sha2::{Digest as _, Sha256};

/// The repository that the read cases read.
pub(crate) const REPOSITORY: &str = "bench/content";
/// The tag of its manifest.
pub(crate) const TAG: &str = "v1";
/// The type of every manifest here.
pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";

const MANIFEST_BYTES: usize = 1_200;
const SMALL_BYTES: usize = 4 << 10;
const MIDDLE_BYTES: usize = 1 << 20;

/// Bytes and their digest.
pub(crate) struct Blob {
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: String,
}

impl Blob {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        let digest = digest(&bytes);
        Self { bytes, digest }
    }
}

/// A stream of random bytes that a seed decides.
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next 64 bits (xorshift64*).
    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`, which is not 0.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        for part in bytes.chunks_mut(8) {
            part.copy_from_slice(self.next().to_le_bytes().get(..part.len()).unwrap_or(&[]));
        }
        bytes
    }
}

/// What the read cases read.
pub(crate) struct Content {
    pub(crate) manifest: Blob,
    pub(crate) config: Blob,
    pub(crate) small: Blob,
    pub(crate) middle: Blob,
    pub(crate) large: Blob,
}

impl Content {
    /// Makes it; the largest blob has `large_bytes`.
    pub(crate) fn new(large_bytes: usize) -> Self {
        let mut noise = Noise::new(1);
        let config = Blob::new(
            br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers"}}"#.to_vec(),
        );
        let small = Blob::new(noise.bytes(SMALL_BYTES));
        let manifest = manifest(&config, &[&small], Some(MANIFEST_BYTES));
        Self {
            manifest,
            config,
            small,
            middle: Blob::new(noise.bytes(MIDDLE_BYTES)),
            large: Blob::new(noise.bytes(large_bytes)),
        }
    }
}

/// The manifest of an image, padded to `length` bytes where that is given.
pub(crate) fn manifest(config: &Blob, layers: &[&Blob], length: Option<usize>) -> Blob {
    let write = |padding: usize| {
        let layers: Vec<_> = layers
            .iter()
            .map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer))
            .collect();
        let text = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor("application/vnd.oci.image.config.v1+json", config),
            "layers": layers,
            "annotations": { "org.example.padding": "x".repeat(padding) },
        });
        text.to_string().into_bytes()
    };
    let bare = write(0);
    let padding = length.map_or(0, |length| length.saturating_sub(bare.len()));
    Blob::new(write(padding))
}

fn descriptor(media_type: &str, blob: &Blob) -> serde_json::Value {
    json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.bytes.len() })
}

/// The SHA-256 of bytes as a digest of OCI.
pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_is_valid_and_of_the_stated_length() {
        let content = Content::new(100_000);
        assert_eq!(content.manifest.bytes.len(), MANIFEST_BYTES);
        let media_type = roadstead_oci::MediaType::parse(MANIFEST_TYPE).unwrap();
        let parsed = roadstead_oci::Manifest::parse(Some(&media_type), &content.manifest.bytes);
        assert!(parsed.is_ok(), "{parsed:?}");
    }

    #[test]
    fn noise_depends_on_its_seed_alone() {
        assert_eq!(Noise::new(7).bytes(99), Noise::new(7).bytes(99));
        assert_ne!(Noise::new(7).bytes(99), Noise::new(8).bytes(99));
        assert!((0..1_000).all(|seed| Noise::new(seed).below(10) < 10));
    }
}
