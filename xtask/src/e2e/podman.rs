//! podman: an image imported, pushed, removed, pulled back, tagged into another repository, and
//! a manifest list pushed whole. Its storage is in the scenario's folder (vfs: no kernel help).

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::folder::PODMAN_RUN;
use super::workbench::{Workbench, expect_all};
use crate::{command, image};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let archive = bench.path("root.tar");
    image::write_archive(&archive, "podman", 300_000)?;
    let one = bench.at("e2e/podman:one");
    run(bench, &["import", &archive.to_string_lossy(), &one])?;
    let pushed = push(bench, &["push", "--tls-verify=false"], &[&one])?;
    bench.expect_digest("e2e/podman", "one", &pushed)?;

    run(bench, &["rmi", &one])?;
    run(bench, &["pull", "--tls-verify=false", &one])?;
    let format = ["image", "inspect", "--format", "{{.Digest}}", &one];
    let pulled = run(bench, &format)?;
    ensure!(pulled == pushed, "pulled {pulled}, pushed {pushed}");

    let two = bench.at("e2e/copied/by-podman:two");
    run(bench, &["tag", &one, &two])?;
    let copied = push(bench, &["push", "--tls-verify=false"], &[&two])?;
    ensure!(
        copied == pushed,
        "the copy is {copied}, the original {pushed}"
    );
    let tags = [
        "search",
        "--list-tags",
        "--tls-verify=false",
        &bench.at("e2e/podman"),
    ];
    expect_all(&run(bench, &tags)?, &["one"])?;

    let index = image::write_index(&bench.path("index"), "index", 10_000)?;
    let list = bench.at("e2e/podman:list");
    run(bench, &["manifest", "create", "list"])?;
    let layout = format!("oci:{}:index", index.directory.display());
    run(bench, &["manifest", "add", "--all", "list", &layout])?;
    let target = format!("docker://{list}");
    let arguments = ["manifest", "push", "--all", "--tls-verify=false"];
    let digest = push(bench, &arguments, &["list", &target])?;
    bench.expect_digest("e2e/podman", "list", &digest)?;
    run(
        bench,
        &["pull", "--tls-verify=false", "--arch", "arm64", &list],
    )?;
    bench.expect_tags("e2e/podman", &["list", "one"])
}

/// Pushes, and returns the digest that podman says it pushed.
fn push(bench: &Workbench, command: &[&str], arguments: &[&str]) -> Result<String> {
    let file = bench.path("digest");
    let digest = format!("--digestfile={}", file.display());
    run(bench, &[command, &[digest.as_str()], arguments].concat())?;
    std::fs::read_to_string(&file).context("podman wrote no digest")
}

fn run(bench: &Workbench, arguments: &[&str]) -> Result<String> {
    command::capture(podman(bench)?.args(arguments))
}

/// A podman that keeps everything in the scenario's folder.
pub(super) fn podman(bench: &Workbench) -> Result<Command> {
    let mut command = bench.client("podman")?;
    command
        .arg("--root")
        .arg(bench.path("podman-storage"))
        .arg("--runroot")
        .arg(bench.path("podman-run"))
        .arg("--tmpdir")
        .arg(bench.path(PODMAN_RUN))
        .args(["--storage-driver", "vfs", "--events-backend", "none"])
        .args(["--cgroup-manager", "cgroupfs"]);
    Ok(command)
}
