//! A push that dies in the middle: skopeo is killed while it sends a big layer. What was whole
//! by then is there, what was not is not, and the same push again goes through.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::skopeo;
use super::workbench::Workbench;
use crate::registry::stop_by_force;
use crate::{command, image};

const SMALL_BYTES: u64 = 20_000;
const BIG_BYTES: u64 = 512 << 20;
/// The push is cut once this much is in the registry's storage.
const CUT_AT_BYTES: u64 = 64 << 20;
const CUT_LIMIT: Duration = Duration::from_secs(60);

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let layout = image::write_image(&bench.path("image"), "one", &[SMALL_BYTES, BIG_BYTES])?;
    let (small, big) = (&layout.layers[0].digest, &layout.layers[1].digest);
    let source = format!("oci:{}:one", layout.directory.display());
    let target = format!("docker://{}", bench.at("e2e/resume:one"));

    let mut first = bench
        .client("skopeo")?
        .args([
            "--insecure-policy",
            "copy",
            "--preserve-digests",
            "--dest-tls-verify=false",
        ])
        .args([&source, &target])
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let data = bench.registry().data();
    let cut = command::until(CUT_LIMIT, || {
        ensure!(
            first.try_wait()?.is_none(),
            "skopeo was done before it could be interrupted"
        );
        Ok(stored_bytes(&data) > CUT_AT_BYTES && status(bench, small)? == 200)
    });
    stop_by_force(&mut first);
    ensure!(
        cut?,
        "skopeo did not send {CUT_AT_BYTES} bytes in {} s",
        CUT_LIMIT.as_secs()
    );

    bench.expect_gone("e2e/resume", "one")?;
    ensure!(status(bench, big)? == 404, "half a layer is visible");
    skopeo::copy(bench, &[&source, &target])?;
    bench.expect_digest("e2e/resume", "one", &layout.digest)?;

    let pulled = bench.path("pulled");
    skopeo::copy(bench, &[&target, &format!("oci:{}:one", pulled.display())])?;
    let found = image::digest_file(&image::blob_path(&pulled, big))?;
    ensure!(found == *big, "pulled {found} in place of {big}");
    Ok(())
}

fn status(bench: &Workbench, digest: &str) -> Result<u16> {
    Ok(bench
        .ask("HEAD", &format!("/v2/e2e/resume/blobs/{digest}"))?
        .status)
}

/// Bytes in files below a folder; what vanishes while it looks counts as nothing.
fn stored_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => stored_bytes(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
