//! helm: a chart packaged, pushed, shown, pulled and compared.

use anyhow::{Result, ensure};

use super::workbench::{Workbench, expect_all};
use crate::{command, image};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let chart = bench.path("harbour");
    std::fs::create_dir_all(chart.join("templates"))?;
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: harbour\nversion: 1.2.3\ndescription: a chart to carry\n",
    )?;
    std::fs::write(chart.join("values.yaml"), "berths: 3\n")?;
    run(bench, &["package", &chart.to_string_lossy()])?;
    let packed = image::digest_file(&bench.path("harbour-1.2.3.tgz"))?;

    let charts = format!("oci://{}", bench.at("e2e/charts"));
    run(
        bench,
        &["push", "harbour-1.2.3.tgz", &charts, "--plain-http"],
    )?;
    bench.expect_tags("e2e/charts/harbour", &["1.2.3"])?;

    let harbour = format!("{charts}/harbour");
    let show = [
        "show",
        "chart",
        &harbour,
        "--version",
        "1.2.3",
        "--plain-http",
    ];
    expect_all(&run(bench, &show)?, &["a chart to carry"])?;
    let folder = bench.path("pulled");
    std::fs::create_dir_all(&folder)?;
    // Without a version helm lists the tags and takes the newest.
    run(
        bench,
        &[
            "pull",
            &harbour,
            "--plain-http",
            "-d",
            &folder.to_string_lossy(),
        ],
    )?;
    let pulled = image::digest_file(&folder.join("harbour-1.2.3.tgz"))?;
    ensure!(pulled == packed, "pulled chart {pulled}, pushed {packed}");
    Ok(())
}

fn run(bench: &Workbench, arguments: &[&str]) -> Result<String> {
    command::capture(bench.client("helm")?.args(arguments))
}
