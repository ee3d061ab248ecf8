//! Measures Roadstead beside the servers that it is compared with, in one run, and prints ratios.
//!
//! Started by `cargo xtask bench`; docs/performance.md says what each case is. Servers run at the
//! same time and are asked in turn, so that whatever else the machine does meets all of them. The
//! middle of the rounds counts.
//!
//! Read first: `case.rs` (the cases and their targets), `load.rs` (how a server is kept busy) and
//! `peer/config.rs` (with what configuration).

mod access;
mod case;
mod content;
mod database;
mod figure;
mod footprint;
mod histogram;
mod http;
mod lists;
mod load;
mod logins;
mod machine;
mod options;
mod peer;
mod procfs;
mod ranks;
mod reads;
mod results;
mod table;
mod writes;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::case::{Case, ROADSTEAD};
use crate::options::Options;
use crate::results::Results;

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roadstead-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<()> {
    let options = options.settled()?;
    let cases = case::select(&options.cases)
        .map_err(|name| anyhow::anyhow!("--case {name}: there is no such case or group"))?;
    let machine = machine::description();
    // Everything of the run is in here, so that one removal is enough.
    let directory = tempfile::Builder::new()
        .prefix("roadstead-bench-")
        .tempdir()?;
    end_on_signals(directory.path().to_owned())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let results = runtime.block_on(measure(&cases, &options, directory.path()))?;
    println!("{machine}.\n");
    if options.quick {
        println!("A quick run: less content than the titles say, and figures that mean little.\n");
    }
    println!("{}", results.tables());
    results.conclude()
}

async fn measure(cases: &[&'static Case], options: &Options, directory: &Path) -> Result<Results> {
    let (contestants, missing) = options.contestants()?;
    for line in missing {
        eprintln!("{line}");
    }
    let of = |group: &str| -> Vec<&'static Case> {
        cases
            .iter()
            .copied()
            .filter(|case| case.group == group)
            .collect()
    };
    let mut results = Results::default();
    let (reads, writes) = (of("reads"), of("writes"));
    reads::run(&reads, &contestants, options, directory, &mut results).await?;
    writes::run(&writes, &contestants, options, directory, &mut results).await?;
    // What has no peer to be compared with.
    let roadstead = contestants.first().context("nothing to measure")?;
    let (cost, attacks) = (of("access"), of("logins"));
    access::run(&cost, roadstead, options, directory, &mut results).await?;
    for case in attacks {
        eprintln!("{}", case.name);
        let figure = logins::measure(case.name, roadstead, options, directory).await;
        results.take(
            case,
            figure.map(|figure| vec![(ROADSTEAD.to_owned(), figure)]),
        );
    }
    for case in of("footprint").into_iter().chain(of("lists")) {
        eprintln!("{}", case.name);
        let figure = if case.group == "lists" {
            lists::measure(case.name, roadstead, options, directory).await
        } else {
            footprint::measure(case.name, roadstead, options, directory).await
        };
        results.take(
            case,
            figure.map(|figure| vec![(ROADSTEAD.to_owned(), figure)]),
        );
    }
    Ok(results)
}

/// Ends the servers with this program when somebody ends it.
fn end_on_signals(directory: PathBuf) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot handle signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot handle signals")?;
    drop(entered);
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        peer::end_all();
        let _ = std::fs::remove_dir_all(directory);
        std::process::exit(1);
    });
    Ok(())
}
