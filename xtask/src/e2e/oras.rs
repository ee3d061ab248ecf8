//! oras: artifacts of loose files, attached artifacts and their discovery, an index, copies with
//! everything attached, blobs, deletes.

use anyhow::{Result, ensure};

use super::workbench::{Workbench, expect_all};
use crate::{command, image};

const KIND: &str = "application/vnd.example.cargo";
const ATTACHED_KIND: &str = "application/vnd.example.bill";

pub(super) fn play(bench: &Workbench) -> Result<()> {
    // oras wants relative names; its working directory is the scenario's folder.
    std::fs::write(bench.path("cargo.txt"), "twelve barrels of herring")?;
    std::fs::write(bench.path("bill.txt"), "paid in full")?;
    let one = bench.at("e2e/oras:one");
    let cargo = "cargo.txt:text/plain";
    run(bench, &["push", "--artifact-type", KIND, &one, cargo])?;
    let digest = bench.digest("e2e/oras", "one")?;
    run(bench, &["tag", &one, "two"])?;
    bench.expect_digest("e2e/oras", "two", &digest)?;
    expect_all(
        &run(bench, &["repo", "tags", &bench.at("e2e/oras")])?,
        &["one", "two"],
    )?;
    expect_all(&run(bench, &["repo", "ls", &bench.host()])?, &["e2e/oras"])?;

    run(
        bench,
        &[
            "attach",
            "--artifact-type",
            ATTACHED_KIND,
            &one,
            "bill.txt:text/plain",
        ],
    )?;
    let found = run(bench, &["discover", "--format", "json", &one])?;
    expect_all(&found, &[ATTACHED_KIND])?;
    let filter = [
        "discover",
        "--format",
        "json",
        "--artifact-type",
        "application/none",
        &one,
    ];
    ensure!(
        !run(bench, &filter)?.contains(ATTACHED_KIND),
        "a filter lets everything through"
    );

    let pulled = bench.path("pulled");
    run(bench, &["pull", "-o", &pulled.to_string_lossy(), &one])?;
    ensure!(
        std::fs::read(pulled.join("cargo.txt"))? == b"twelve barrels of herring",
        "pulled another file"
    );

    let copied = bench.at("e2e/copied/by-oras:one");
    let plain = [
        "cp",
        "-r",
        "--from-plain-http",
        "--to-plain-http",
        &one,
        &copied,
    ];
    command::capture(bench.client("oras")?.args(plain))?;
    bench.expect_digest("e2e/copied/by-oras", "one", &digest)?;
    expect_all(
        &run(bench, &["discover", "--format", "json", &copied])?,
        &[ATTACHED_KIND],
    )?;

    run(
        bench,
        &[
            "manifest",
            "index",
            "create",
            &bench.at("e2e/oras:index"),
            "one",
        ],
    )?;
    expect_all(
        &run(bench, &["manifest", "fetch", &bench.at("e2e/oras:index")])?,
        &[&digest],
    )?;

    let blob = image::digest(b"paid in full");
    let address = format!("{}@{blob}", bench.at("e2e/blobs/by-oras"));
    run(bench, &["blob", "push", &address, "bill.txt"])?;
    run(bench, &["blob", "fetch", "-o", "fetched.txt", &address])?;
    ensure!(
        std::fs::read(bench.path("fetched.txt"))? == b"paid in full",
        "fetched another blob"
    );
    run(bench, &["blob", "delete", "--force", &address])?;
    let answer = bench.ask("HEAD", &format!("/v2/e2e/blobs/by-oras/blobs/{blob}"))?;
    ensure!(
        answer.status == 404,
        "a deleted blob answers {}",
        answer.status
    );

    run(bench, &["manifest", "delete", "--force", &copied])?;
    bench.expect_gone("e2e/copied/by-oras", &digest)
}

fn run(bench: &Workbench, arguments: &[&str]) -> Result<String> {
    command::capture(bench.client("oras")?.args(arguments).arg("--plain-http"))
}
