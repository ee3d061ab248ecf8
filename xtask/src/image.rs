//! Images made here, without network: an OCI layout on disk, written byte by byte.
//!
//! Layers are uncompressed tar archives that hold one file of pseudo-random bytes, so that a
//! layer's digest is its diff id and nothing on the way can make it smaller. The same name and
//! size always give the same image.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub(crate) const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
/// Archives are written in steps of this size; a counter makes each step different.
const STEP_BYTES: usize = 1 << 20;
const TAR_BLOCK_BYTES: usize = 512;

/// A blob of a layout.
#[derive(Clone)]
pub(crate) struct Blob {
    pub(crate) digest: String,
    pub(crate) size_bytes: u64,
}

/// An OCI layout directory with one tagged entry.
pub(crate) struct Layout {
    pub(crate) directory: PathBuf,
    /// Digest of the entry: an image manifest or an index.
    pub(crate) digest: String,
    /// The layers, in the order in which they were asked for.
    pub(crate) layers: Vec<Blob>,
}

/// Writes a layout with one image of the given layer sizes in bytes, tagged `tag`.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_image(directory: &Path, tag: &str, layer_sizes: &[u64]) -> Result<Layout> {
    prepare(directory)?;
    let (manifest, layers) = add_image(directory, tag, "amd64", layer_sizes)?;
    write_entry(directory, tag, MANIFEST_TYPE, &manifest)?;
    Ok(Layout {
        directory: directory.to_owned(),
        digest: manifest.digest,
        layers,
    })
}

/// Writes a layout with an index of two images, for amd64 and arm64, tagged `tag`.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_index(directory: &Path, tag: &str, layer_bytes: u64) -> Result<Layout> {
    prepare(directory)?;
    let mut entries = Vec::new();
    let mut layers = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let name = format!("{tag}-{architecture}");
        let (manifest, own) = add_image(directory, &name, architecture, &[layer_bytes])?;
        let mut entry = descriptor(MANIFEST_TYPE, &manifest);
        entry["platform"] = json!({"os": "linux", "architecture": architecture});
        entries.push(entry);
        layers.extend(own);
    }
    let index = json!({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries});
    let index = add_json(directory, &index)?;
    write_entry(directory, tag, INDEX_TYPE, &index)?;
    Ok(Layout {
        directory: directory.to_owned(),
        digest: index.digest,
        layers,
    })
}

/// Writes a tar archive with one file of `size_bytes` bytes, and says what it hashes to.
///
/// # Errors
/// Those of the file system.
pub(crate) fn write_archive(path: &Path, seed: &str, size_bytes: u64) -> Result<Blob> {
    let mut file = File::create(path)?;
    let mut hash = Sha256::new();
    let mut total = 0;
    let mut put = |bytes: &[u8]| -> Result<()> {
        hash.update(bytes);
        total += bytes.len() as u64;
        Ok(file.write_all(bytes)?)
    };
    put(&tar_header(seed, size_bytes))?;
    let mut step = noise(seed);
    let mut left = size_bytes;
    while left > 0 {
        step[..8].copy_from_slice(&left.to_le_bytes());
        let length = usize::try_from(left).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        put(&step[..length])?;
        left -= length as u64;
    }
    let block = TAR_BLOCK_BYTES as u64;
    let padding = usize::try_from((block - size_bytes % block) % block)?;
    put(&vec![0; padding + 2 * TAR_BLOCK_BYTES])?;
    Ok(Blob {
        digest: format!("sha256:{}", hex(&hash.finalize())),
        size_bytes: total,
    })
}

/// The digest of bytes in memory.
pub(crate) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(&Sha256::digest(bytes)))
}

/// The digest of a file, read in steps.
///
/// # Errors
/// Those of the file system.
pub(crate) fn digest_file(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut step = vec![0; STEP_BYTES];
    loop {
        let length = file.read(&mut step)?;
        if length == 0 {
            return Ok(format!("sha256:{}", hex(&hash.finalize())));
        }
        hash.update(&step[..length]);
    }
}

/// Where a layout keeps a blob.
pub(crate) fn blob_path(directory: &Path, digest: &str) -> PathBuf {
    directory.join("blobs").join(digest.replace(':', "/"))
}

fn prepare(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory.join("blobs/sha256"))?;
    Ok(std::fs::write(
        directory.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?)
}

fn add_image(
    directory: &Path,
    name: &str,
    architecture: &str,
    layer_sizes: &[u64],
) -> Result<(Blob, Vec<Blob>)> {
    let mut layers = Vec::new();
    for (position, size_bytes) in layer_sizes.iter().enumerate() {
        let unfinished = directory.join("unfinished");
        let layer = write_archive(&unfinished, &format!("{name}-{position}"), *size_bytes)?;
        std::fs::rename(&unfinished, blob_path(directory, &layer.digest))?;
        layers.push(layer);
    }
    let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
    let config = add_json(
        directory,
        &json!({
            "architecture": architecture,
            "os": "linux",
            "config": {"Labels": {"name": name}},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        }),
    )?;
    let descriptors: Vec<Value> = layers
        .iter()
        .map(|layer| descriptor(LAYER_TYPE, layer))
        .collect();
    let manifest = add_json(
        directory,
        &json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": descriptor(CONFIG_TYPE, &config),
            "layers": descriptors,
        }),
    )?;
    Ok((manifest, layers))
}

fn write_entry(directory: &Path, tag: &str, media_type: &str, blob: &Blob) -> Result<()> {
    let mut entry = descriptor(media_type, blob);
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    Ok(std::fs::write(
        directory.join("index.json"),
        index.to_string(),
    )?)
}

fn add_json(directory: &Path, value: &Value) -> Result<Blob> {
    let bytes = value.to_string();
    let blob = Blob {
        digest: digest(bytes.as_bytes()),
        size_bytes: bytes.len() as u64,
    };
    std::fs::write(blob_path(directory, &blob.digest), bytes)?;
    Ok(blob)
}

fn descriptor(media_type: &str, blob: &Blob) -> Value {
    json!({"mediaType": media_type, "digest": blob.digest, "size": blob.size_bytes})
}

/// A ustar header for one regular file; sizes beyond 8 GiB would need another format.
fn tar_header(name: &str, size_bytes: u64) -> [u8; TAR_BLOCK_BYTES] {
    let mut header = [0; TAR_BLOCK_BYTES];
    let mut put = |at: usize, text: &str| {
        header[at..at + text.len()].copy_from_slice(text.as_bytes());
    };
    put(0, &name[..name.len().min(99)]);
    put(100, "0000644");
    put(108, "0000000");
    put(116, "0000000");
    put(124, &format!("{size_bytes:011o}"));
    put(136, "00000000000");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar");
    put(263, "00");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    let sum = format!("{sum:06o}\0 ");
    header[148..156].copy_from_slice(sum.as_bytes());
    header
}

/// One step of bytes that no compression shrinks (xorshift, seeded by a name).
fn noise(seed: &str) -> Vec<u8> {
    let start = Sha256::digest(seed.as_bytes());
    let mut state = start
        .iter()
        .take(8)
        .fold(1, |sum: u64, byte| (sum << 8) | u64::from(*byte))
        | 1;
    let mut bytes = Vec::with_capacity(STEP_BYTES);
    while bytes.len() < STEP_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_gives_the_same_image() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = write_image(one.path(), "v1", &[1_000]).unwrap();
        let second = write_image(two.path(), "v1", &[1_000]).unwrap();
        assert_eq!(first.digest, second.digest);
        assert_eq!(
            digest_file(&blob_path(one.path(), &first.digest)).unwrap(),
            first.digest
        );
    }

    #[test]
    fn an_archive_is_whole_blocks_and_its_header_sums_up() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("archive");
        let blob = write_archive(&path, "seed", 513).unwrap();
        assert_eq!(blob.size_bytes, 5 * TAR_BLOCK_BYTES as u64);
        assert_eq!(digest_file(&path).unwrap(), blob.digest);
        let listed = std::process::Command::new("tar")
            .arg("tf")
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&listed.stdout), "seed\n");
    }
}
