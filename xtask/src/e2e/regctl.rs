//! regctl: images, an index made on the registry, artifacts with a subject and their referrers,
//! blobs, copies with referrers, deletes of tags and manifests.

use anyhow::{Result, ensure};

use super::workbench::{Workbench, expect_all};
use crate::{command, image};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    run(
        bench,
        &["registry", "set", &bench.host(), "--tls", "disabled"],
    )?;
    let layout = image::write_image(&bench.path("image"), "one", &[300_000, 20])?;
    let local = format!("ocidir://{}:one", layout.directory.display());
    let one = bench.at("e2e/regctl:one");
    run(bench, &["image", "copy", &local, &one])?;
    bench.expect_digest("e2e/regctl", "one", &layout.digest)?;
    ensure!(
        run(bench, &["image", "digest", &one])? == layout.digest,
        "regctl says another digest"
    );
    run(bench, &["image", "copy", &one, &bench.at("e2e/regctl:two")])?;
    expect_all(
        &run(bench, &["tag", "ls", &bench.at("e2e/regctl")])?,
        &["one", "two"],
    )?;
    expect_all(
        &run(bench, &["repo", "ls", &bench.host()])?,
        &["e2e/regctl"],
    )?;

    let other = image::write_image(&bench.path("other"), "other", &[1_000])?;
    let local = format!("ocidir://{}:other", other.directory.display());
    run(
        bench,
        &["image", "copy", &local, &bench.at("e2e/regctl:other")],
    )?;
    let index = bench.at("e2e/regctl:index");
    let (first, second) = (one.as_str(), &bench.at("e2e/regctl:other"));
    run(
        bench,
        &["index", "create", &index, "--ref", first, "--ref", second],
    )?;
    expect_all(
        &run(bench, &["manifest", "get", "--format", "raw-body", &index])?,
        &[&layout.digest, &other.digest],
    )?;

    let note = bench.path("note.txt");
    std::fs::write(&note, "signed off by the harbour master")?;
    let note = note.to_string_lossy();
    let kind = "application/vnd.example.note";
    run(
        bench,
        &[
            "artifact",
            "put",
            "--subject",
            &one,
            "--artifact-type",
            kind,
            "--file",
            &note,
        ],
    )?;
    expect_all(&run(bench, &["artifact", "list", &one])?, &[kind])?;
    let copied = bench.at("e2e/copied/by-regctl:one");
    run(bench, &["image", "copy", "--referrers", &one, &copied])?;
    bench.expect_digest("e2e/copied/by-regctl", "one", &layout.digest)?;
    expect_all(&run(bench, &["artifact", "list", &copied])?, &[kind])?;

    let layer = &layout.layers[0];
    let head = ["blob", "head", &bench.at("e2e/regctl"), &layer.digest];
    run(bench, &head)?;
    let pulled = format!("ocidir://{}:one", bench.path("pulled").display());
    run(bench, &["image", "copy", &one, &pulled])?;
    let found = image::digest_file(&image::blob_path(&bench.path("pulled"), &layer.digest))?;
    ensure!(
        found == layer.digest,
        "pulled {found} in place of {}",
        layer.digest
    );

    run(bench, &["tag", "delete", &bench.at("e2e/regctl:two")])?;
    bench.expect_gone("e2e/regctl", "two")?;
    bench.expect_digest("e2e/regctl", "one", &layout.digest)?;
    run(bench, &["tag", "delete", &index])?;
    let digest = format!("{}@{}", bench.at("e2e/regctl"), other.digest);
    run(bench, &["manifest", "delete", &digest])?;
    bench.expect_gone("e2e/regctl", &other.digest)
}

fn run(bench: &Workbench, arguments: &[&str]) -> Result<String> {
    command::capture(bench.client("regctl")?.args(arguments))
}
