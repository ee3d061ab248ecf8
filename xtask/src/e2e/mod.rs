//! Real clients against the real binary. Each scenario is one file that drives one client, or
//! one story that a client must survive; it gets a registry and a folder of its own.
//!
//! A scenario pushes, pulls, lists, copies and deletes as far as its client can, and compares
//! digests all the way: with the image made here, and with what the registry says afterwards.
//! Every file that a client keeps (storage, credentials, configuration) is in the scenario's
//! folder, every daemon ends with the scenario, also when it fails.

mod buildah;
mod crane;
mod docker;
mod helm;
mod large;
mod login;
mod oras;
mod podman;
mod regctl;
mod resume;
mod skopeo;
mod workbench;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::registry;
use crate::report::Report;
use crate::tools::Tools;
use workbench::Workbench;

/// One story, and the programs without which it cannot be told.
struct Scenario {
    name: &'static str,
    programs: &'static [&'static str],
    /// Configuration of its registry beyond the default.
    needs_login: bool,
    play: fn(&Workbench) -> Result<()>,
}

const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "crane",
        programs: &["crane"],
        needs_login: false,
        play: crane::play,
    },
    Scenario {
        name: "skopeo",
        programs: &["skopeo"],
        needs_login: false,
        play: skopeo::play,
    },
    Scenario {
        name: "regctl",
        programs: &["regctl"],
        needs_login: false,
        play: regctl::play,
    },
    Scenario {
        name: "oras",
        programs: &["oras"],
        needs_login: false,
        play: oras::play,
    },
    Scenario {
        name: "helm",
        programs: &["helm"],
        needs_login: false,
        play: helm::play,
    },
    Scenario {
        name: "podman",
        programs: &["podman"],
        needs_login: false,
        play: podman::play,
    },
    Scenario {
        name: "buildah",
        programs: &["buildah"],
        needs_login: false,
        play: buildah::play,
    },
    Scenario {
        name: "docker",
        programs: &["dockerd"],
        needs_login: false,
        play: docker::play,
    },
    Scenario {
        name: "resume",
        programs: &["skopeo"],
        needs_login: false,
        play: resume::play,
    },
    Scenario {
        name: "large",
        programs: &["crane"],
        needs_login: false,
        play: large::play,
    },
    Scenario {
        name: "login",
        programs: &[
            "dockerd", "podman", "skopeo", "crane", "oras", "regctl", "helm",
        ],
        needs_login: true,
        play: login::play,
    },
];

/// Plays the named scenarios, or all of them.
///
/// # Errors
/// Where a name is unknown, or a scenario fails.
pub(crate) fn run(report: &mut Report, named: &[String], binary: Option<PathBuf>) -> Result<()> {
    if let Some(name) = named
        .iter()
        .find(|name| !SCENARIOS.iter().any(|s| s.name == **name))
    {
        let known: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        bail!(
            "no scenario is called {name}; there are {}",
            known.join(", ")
        );
    }
    let chosen: Vec<&Scenario> = SCENARIOS
        .iter()
        .filter(|scenario| named.is_empty() || named.iter().any(|name| name == scenario.name))
        .collect();
    let programs: Vec<&str> = chosen
        .iter()
        .flat_map(|scenario| scenario.programs)
        .copied()
        .collect();
    let mut tools = Tools::default();
    report.step("clients", |_| {
        tools = Tools::provide(&programs);
        Ok(())
    })?;
    let mut path = PathBuf::new();
    report.step("build", |_| {
        path = registry::binary(binary)?;
        Ok(())
    })?;
    for scenario in chosen {
        let name = format!("e2e {}", scenario.name);
        let missing = scenario
            .programs
            .iter()
            .find_map(|program| tools.path(program).err());
        match missing {
            Some(reason) => report.skip(&name, &reason)?,
            None => report.step(&name, |_| {
                let bench = Workbench::new(&tools, &path, scenario.needs_login)?;
                let outcome = (scenario.play)(&bench);
                bench.finish(outcome)
            })?,
        }
    }
    Ok(())
}
