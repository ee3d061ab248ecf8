//! buildah: an image built from nothing, committed straight into the registry, pulled, pushed
//! under another name, and a manifest list pushed whole.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::workbench::Workbench;
use crate::{command, image};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let cargo = bench.path("cargo.txt");
    std::fs::write(&cargo, "twelve barrels of herring")?;
    let container = run(bench, &["from", "scratch"])?;
    run(
        bench,
        &["copy", &container, &cargo.to_string_lossy(), "/cargo.txt"],
    )?;
    run(bench, &["config", "--label", "made=here", &container])?;
    let one = bench.at("e2e/buildah:one");
    let target = format!("docker://{one}");
    let pushed = push(
        bench,
        &["commit", "--tls-verify=false"],
        &[&container, &target],
    )?;
    bench.expect_digest("e2e/buildah", "one", &pushed)?;
    run(bench, &["rm", &container])?;

    run(bench, &["pull", "--tls-verify=false", &one])?;
    let inspect = [
        "inspect",
        "--type",
        "image",
        "--format",
        "{{.FromImageDigest}}",
        &one,
    ];
    let pulled = run(bench, &inspect)?;
    ensure!(pulled == pushed, "pulled {pulled}, pushed {pushed}");

    let two = format!("docker://{}", bench.at("e2e/copied/by-buildah:two"));
    push(bench, &["push", "--tls-verify=false"], &[&one, &two])?;
    bench.expect_tags("e2e/copied/by-buildah", &["two"])?;

    let index = image::write_index(&bench.path("index"), "index", 10_000)?;
    run(bench, &["manifest", "create", "list"])?;
    let layout = format!("oci:{}:index", index.directory.display());
    run(bench, &["manifest", "add", "--all", "list", &layout])?;
    let list = format!("docker://{}", bench.at("e2e/buildah:list"));
    let arguments = ["manifest", "push", "--all", "--tls-verify=false"];
    let digest = push(bench, &arguments, &["list", &list])?;
    bench.expect_digest("e2e/buildah", "list", &digest)?;
    bench.expect_tags("e2e/buildah", &["list", "one"])
}

/// Runs a command that pushes, and returns the digest that buildah says it pushed.
fn push(bench: &Workbench, command: &[&str], arguments: &[&str]) -> Result<String> {
    let file = bench.path("digest");
    if command[0] == "commit" {
        // `commit` writes the image's id, not the manifest's digest: ask the registry.
        run(bench, &[command, arguments].concat())?;
        return bench.digest("e2e/buildah", "one");
    }
    let digest = format!("--digestfile={}", file.display());
    run(bench, &[command, &[digest.as_str()], arguments].concat())?;
    std::fs::read_to_string(&file).context("buildah wrote no digest")
}

fn run(bench: &Workbench, arguments: &[&str]) -> Result<String> {
    command::capture(buildah(bench)?.args(arguments))
}

fn buildah(bench: &Workbench) -> Result<Command> {
    let mut command = bench.client("buildah")?;
    command
        .arg("--root")
        .arg(bench.path("buildah-storage"))
        .arg("--runroot")
        .arg(bench.path("buildah-run"))
        .args(["--storage-driver", "vfs"])
        .env("BUILDAH_ISOLATION", "chroot");
    Ok(command)
}
