//! TLS, where Go clients speak HTTP/2: push, pull and list over a certificate that the clients
//! are told to trust; without that they refuse the registry.

use std::process::Command;

use anyhow::{Result, ensure};

use super::workbench::{CERTIFICATE, Workbench, expect_all};
use crate::{command, image};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let layout = image::write_image(&bench.path("image"), "one", &[3_000_000, 20])?;
    let source = layout.directory.to_string_lossy();
    let one = bench.at("e2e/tls:one");
    command::refused(bench.client("crane")?.args(["push", &source, &one]))?;
    command::capture(trusting(bench, "crane")?.args(["push", &source, &one]))?;
    let digest = command::capture(trusting(bench, "crane")?.args(["digest", &one]))?;
    ensure!(
        digest == layout.digest,
        "pushed {}, there is {digest}",
        layout.digest
    );

    let pulled = bench.path("pulled");
    let local = format!("oci:{}:one", pulled.display());
    let remote = format!("docker://{one}");
    let copy = [
        "--insecure-policy",
        "copy",
        "--preserve-digests",
        &remote,
        &local,
    ];
    command::capture(trusting(bench, "skopeo")?.args(copy))?;
    for layer in &layout.layers {
        let found = image::digest_file(&image::blob_path(&pulled, &layer.digest))?;
        ensure!(
            found == layer.digest,
            "pulled {found} in place of {}",
            layer.digest
        );
    }

    let copied = bench.at("e2e/copied/over-tls:one");
    command::capture(trusting(bench, "regctl")?.args(["image", "copy", &one, &copied]))?;
    let tags = ["repo", "tags", &bench.at("e2e/copied/over-tls")];
    expect_all(
        &command::capture(trusting(bench, "oras")?.args(tags))?,
        &["one"],
    )
}

/// A client that trusts the registry's certificate.
fn trusting(bench: &Workbench, program: &str) -> Result<Command> {
    let mut command = bench.client(program)?;
    command.env("SSL_CERT_FILE", bench.path(CERTIFICATE));
    Ok(command)
}
