//! crane: push and pull of layouts, tags, copies between repositories, an index appended to,
//! a layer appended to an image, deletes, and its own validation of what it pulls.

use anyhow::{Result, ensure};

use super::workbench::{Workbench, expect_all};
use crate::{command, image};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let layout = image::write_image(&bench.path("image"), "one", &[300_000, 20])?;
    let one = bench.at("e2e/crane:one");
    run(bench, &["push", &layout.directory.to_string_lossy(), &one])?;
    bench.expect_digest("e2e/crane", "one", &layout.digest)?;
    ensure!(
        run(bench, &["digest", &one])? == layout.digest,
        "crane computes another digest"
    );
    run(bench, &["validate", "--fast", "--remote", &one])?;

    run(bench, &["tag", &one, "two"])?;
    bench.expect_tags("e2e/crane", &["one", "two"])?;
    expect_all(
        &run(bench, &["ls", &bench.at("e2e/crane")])?,
        &["one", "two"],
    )?;

    run(bench, &["copy", &one, &bench.at("e2e/copied/by-crane:one")])?;
    bench.expect_digest("e2e/copied/by-crane", "one", &layout.digest)?;
    expect_all(
        &run(bench, &["catalog", &bench.host()])?,
        &["e2e/crane", "e2e/copied/by-crane"],
    )?;

    let pulled = bench.path("pulled");
    run(
        bench,
        &["pull", "--format=oci", &one, &pulled.to_string_lossy()],
    )?;
    for layer in &layout.layers {
        let digest = image::digest_file(&image::blob_path(&pulled, &layer.digest))?;
        ensure!(digest == layer.digest, "a pulled layer is {digest}");
    }

    let archive = bench.path("more.tar");
    image::write_archive(&archive, "more", 5_000)?;
    let more = bench.at("e2e/crane:more");
    run(
        bench,
        &[
            "append",
            "-b",
            &one,
            "-f",
            &archive.to_string_lossy(),
            "-t",
            &more,
        ],
    )?;
    let index = bench.at("e2e/crane:index");
    run(
        bench,
        &["index", "append", "-m", &one, "-m", &more, "-t", &index],
    )?;
    expect_all(&run(bench, &["manifest", &index])?, &[&layout.digest])?;
    run(
        bench,
        &["copy", &index, &bench.at("e2e/copied/by-crane:index")],
    )?;
    let digest = bench.digest("e2e/crane", "index")?;
    bench.expect_digest("e2e/copied/by-crane", "index", &digest)?;

    run(bench, &["delete", &bench.at("e2e/crane:two")])?;
    bench.expect_gone("e2e/crane", "two")?;
    run(
        bench,
        &[
            "delete",
            &format!("{}@{digest}", bench.at("e2e/copied/by-crane")),
        ],
    )?;
    bench.expect_gone("e2e/copied/by-crane", &digest)
}

fn run(bench: &Workbench, arguments: &[&str]) -> Result<String> {
    command::capture(bench.client("crane")?.args(arguments))
}
