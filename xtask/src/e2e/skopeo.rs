//! skopeo: copies from and to a layout, between repositories, of an index whole, lists and
//! deletes.

use anyhow::{Result, ensure};

use super::workbench::{Workbench, expect_all};
use crate::{command, image};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let layout = image::write_image(&bench.path("image"), "one", &[300_000, 20])?;
    let index = image::write_index(&bench.path("index"), "index", 10_000)?;
    let remote = |rest: &str| format!("docker://{}", bench.at(rest));

    let local = format!("oci:{}:one", layout.directory.display());
    copy(bench, &[&local, &remote("e2e/skopeo:one")])?;
    bench.expect_digest("e2e/skopeo", "one", &layout.digest)?;
    let local = format!("oci:{}:index", index.directory.display());
    copy(bench, &["--all", &local, &remote("e2e/skopeo:index")])?;
    bench.expect_digest("e2e/skopeo", "index", &index.digest)?;
    bench.expect_tags("e2e/skopeo", &["index", "one"])?;
    let said = run(
        bench,
        &["list-tags", "--tls-verify=false", &remote("e2e/skopeo")],
    )?;
    expect_all(&said, &["\"one\"", "\"index\""])?;

    let said = run(
        bench,
        &["inspect", "--tls-verify=false", &remote("e2e/skopeo:one")],
    )?;
    expect_all(&said, &[&layout.digest, &layout.layers[0].digest])?;

    copy(
        bench,
        &[
            "--all",
            &remote("e2e/skopeo:index"),
            &remote("e2e/copied/by-skopeo:index"),
        ],
    )?;
    bench.expect_digest("e2e/copied/by-skopeo", "index", &index.digest)?;

    let pulled = bench.path("pulled");
    let local = format!("oci:{}:one", pulled.display());
    copy(bench, &[&remote("e2e/skopeo:one"), &local])?;
    for digest in [
        &layout.digest,
        &layout.layers[0].digest,
        &layout.layers[1].digest,
    ] {
        let found = image::digest_file(&image::blob_path(&pulled, digest))?;
        ensure!(found == *digest, "pulled {found} in place of {digest}");
    }

    run(
        bench,
        &["delete", "--tls-verify=false", &remote("e2e/skopeo:one")],
    )?;
    bench.expect_gone("e2e/skopeo", "one")?;
    bench.expect_tags("e2e/skopeo", &["index"])
}

/// `skopeo copy` that may not rewrite anything on the way.
pub(super) fn copy(bench: &Workbench, arguments: &[&str]) -> Result<String> {
    let mut all = vec!["copy", "--preserve-digests"];
    all.extend(["--src-tls-verify=false", "--dest-tls-verify=false"]);
    all.extend(arguments);
    run(bench, &all)
}

fn run(bench: &Workbench, arguments: &[&str]) -> Result<String> {
    command::capture(
        bench
            .client("skopeo")?
            .arg("--insecure-policy")
            .args(arguments),
    )
}
