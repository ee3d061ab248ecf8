//! A layer of 2 GiB goes up and comes down, and the registry's memory does not notice.

use std::fs::File;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::workbench::Workbench;
use crate::{command, image};

const LAYER_BYTES: u64 = 2 << 30;
/// Far below the layer, far above what a registry that streams needs.
const MAX_OWN_BYTES: u64 = 256 << 20;

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let layout = image::write_image(&bench.path("image"), "big", &[LAYER_BYTES])?;
    let big = bench.at("e2e/large:big");
    let source = layout.directory.to_string_lossy();
    let mut push = bench.client("crane")?;
    let pushing = watch(
        bench,
        push.args(["push", &source, &big]).stdout(Stdio::null()),
    )?;
    bench.expect_digest("e2e/large", "big", &layout.digest)?;
    // Not needed any more, and the disk of a small machine is glad of it.
    std::fs::remove_dir_all(&layout.directory)?;

    let pulled = bench.path("pulled.tar");
    let layer = &layout.layers[0];
    let blob = format!("{}@{}", bench.at("e2e/large"), layer.digest);
    let mut pull = bench.client("crane")?;
    let pulling = watch(
        bench,
        pull.args(["blob", &blob]).stdout(File::create(&pulled)?),
    )?;
    let found = image::digest_file(&pulled)?;
    ensure!(
        found == layer.digest,
        "pulled {found} in place of {}",
        layer.digest
    );

    println!(
        "    own memory: {} MiB pushing, {} MiB pulling",
        pushing >> 20,
        pulling >> 20
    );
    let most = pushing.max(pulling);
    ensure!(
        most < MAX_OWN_BYTES,
        "the registry held {most} bytes of memory"
    );
    Ok(())
}

/// Runs a client to its end; returns the most memory that the registry held meanwhile, in bytes.
fn watch(bench: &Workbench, client: &mut Command) -> Result<u64> {
    let said = bench.path("client.log");
    let mut child = client.stderr(File::create(&said)?).spawn()?;
    let mut most = 0;
    let watched = command::until(command::DEADLINE, || {
        let held = bench
            .registry()
            .anonymous_bytes()
            .context("cannot read its memory")?;
        most = most.max(held);
        Ok(child.try_wait()?.is_some())
    });
    let ended = finish(&mut child, watched);
    ended.with_context(|| std::fs::read_to_string(&said).unwrap_or_default())?;
    Ok(most)
}

fn finish(child: &mut Child, watched: Result<bool>) -> Result<()> {
    if !matches!(watched, Ok(true)) {
        child.kill()?;
    }
    let status = child.wait()?;
    ensure!(
        watched?,
        "the client was still running after {} s",
        command::DEADLINE.as_secs()
    );
    ensure!(status.success(), "the client ended with {status}");
    Ok(())
}
