//! The bench program (`bench/`), built like the binary that it measures, with what it compares to.

use std::process::Command;

use anyhow::Result;

use crate::report::Report;
use crate::tools::Tools;
use crate::{command, test};

/// Provides nginx and distribution 3, builds, and measures; distribution 2 only where it is there
/// (Debian's `docker-registry`), for its package starts a service that takes Roadstead's port.
///
/// # Errors
/// Where a build fails or the bench program does.
pub(crate) fn run(report: &mut Report, arguments: &[String]) -> Result<()> {
    let asks = ["--help", "-h", "--version"];
    let only_asks = arguments.iter().any(|word| asks.contains(&word.as_str()));
    let wanted = ["nginx", "registry", "openssl"];
    let tools = Tools::provide(if only_asks { &[] } else { &wanted });
    report.step("bench", |report| {
        // Each by itself: together, features that one wants would be in the other.
        command::show(test::cargo().args(["build", "--release", "--package", "roadstead"]))?;
        command::show(test::cargo().args(["build", "--release", "--package", "roadstead-bench"]))?;
        let built = test::target_directory().join("release");
        let mut bench = Command::new(built.join("roadstead-bench"));
        bench.arg("--roadstead").arg(built.join("roadstead"));
        if !only_asks {
            for program in wanted {
                match tools.path(program) {
                    Ok(path) if program == "registry" => {
                        bench.arg("--distribution").arg(path);
                    }
                    Ok(_) => {}
                    Err(reason) => report.skip(program, &reason)?,
                }
            }
        }
        command::show(bench.args(arguments))
    })
}
