//! Real clients against the real binary. Each scenario is one file that drives one client, or
//! one story that a client must survive; it gets a registry and a folder of its own.
//!
//! A scenario pushes, pulls, lists, copies and deletes as far as its client can, and compares
//! digests all the way: with the image made here, and with what the registry says afterwards.
//! Every file that a client keeps (storage, credentials, configuration) is in the scenario's
//! folder, every daemon ends with the scenario, also when it fails.

mod access;
mod buildah;
mod certificate;
mod clients;
mod containerd;
mod crane;
mod daemon;
mod docker;
mod folder;
mod helm;
mod identity;
mod large;
mod login;
mod oras;
mod podman;
mod regctl;
mod resume;
mod skopeo;
mod tls;
mod workbench;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::registry;
use crate::report::Report;
use crate::tools::Tools;
use workbench::{Setup, Workbench};

/// One story, and the programs without which it cannot be told.
struct Scenario {
    name: &'static str,
    programs: &'static [&'static str],
    setup: Setup,
    play: fn(&Workbench) -> Result<()>,
}

const SCENARIOS: &[Scenario] = &[
    open("crane", &["crane"], crane::play),
    open("skopeo", &["skopeo"], skopeo::play),
    open("regctl", &["regctl"], regctl::play),
    open("oras", &["oras"], oras::play),
    open("helm", &["helm"], helm::play),
    open("podman", &["podman"], podman::play),
    open("buildah", &["buildah"], buildah::play),
    open("docker", &["dockerd"], docker::play),
    open("resume", &["skopeo"], resume::play),
    open("large", &["crane"], large::play),
    Scenario {
        name: "tls",
        programs: &["openssl", "crane", "skopeo", "regctl", "oras"],
        setup: Setup::Tls,
        play: tls::play,
    },
    Scenario {
        name: "login",
        programs: &["podman", "skopeo", "crane", "oras", "regctl", "helm"],
        setup: Setup::Password,
        play: login::play,
    },
    // Apart from the others, because they need no root.
    Scenario {
        name: "docker-login",
        programs: &["dockerd"],
        setup: Setup::Password,
        play: login::play_docker,
    },
    access("access-tokens", PROGRAMS, PUBLIC, access::play_tokens),
    access("access-basic", PROGRAMS, PUBLIC_BASIC, access::play_basic),
    access("access-private", PROGRAMS, PRIVATE, access::play_private),
    access(
        "access-tokens-daemons",
        DAEMONS,
        PUBLIC,
        access::play_tokens_with_daemons,
    ),
    access(
        "access-basic-daemons",
        DAEMONS,
        PUBLIC_BASIC,
        access::play_basic_with_daemons,
    ),
    access(
        "access-private-daemons",
        DAEMONS,
        PRIVATE,
        access::play_private_with_daemons,
    ),
    access("pull-secret", PROGRAMS, PRIVATE, identity::play_secret),
    access(
        "identity-token",
        &["skopeo", "dockerd", "containerd", "crane", "oras"],
        PRIVATE,
        identity::play_docker,
    ),
    access(
        "certificate",
        &["openssl", "skopeo", "podman", "oras", "regctl", "helm"],
        Setup::Certificates,
        certificate::play,
    ),
    access(
        "certificate-ctr",
        &["openssl", "skopeo", "containerd"],
        Setup::Certificates,
        certificate::play_ctr,
    ),
];

/// The clients of the stories about access.
const PROGRAMS: &[&str] = &["skopeo", "podman", "crane", "oras", "regctl", "helm"];
/// Those that need root, and what they get their images with.
const DAEMONS: &[&str] = &["skopeo", "dockerd", "containerd"];

const PUBLIC: Setup = Setup::Access {
    preset: "public-read",
    tokens: true,
};
const PUBLIC_BASIC: Setup = Setup::Access {
    preset: "public-read",
    tokens: false,
};
const PRIVATE: Setup = Setup::Access {
    preset: "private",
    tokens: true,
};

/// A scenario on a registry with rules.
const fn access(
    name: &'static str,
    programs: &'static [&'static str],
    setup: Setup,
    play: fn(&Workbench) -> Result<()>,
) -> Scenario {
    Scenario {
        name,
        programs,
        setup,
        play,
    }
}

/// A scenario on a registry that anybody may use.
const fn open(
    name: &'static str,
    programs: &'static [&'static str],
    play: fn(&Workbench) -> Result<()>,
) -> Scenario {
    Scenario {
        name,
        programs,
        setup: Setup::Open,
        play,
    }
}

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
                let bench = Workbench::new(&tools, &path, scenario.setup)?;
                let outcome = (scenario.play)(&bench);
                bench.finish(outcome)
            })?,
        }
    }
    Ok(())
}
