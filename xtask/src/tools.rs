//! The programs that steps need, and how they get here: Debian packages by apt, Go programs by
//! `go install` at pinned versions into `.tools/` (ignored by git), each version its own folder.
//!
//! A program that cannot be had is a reason in words, and the step that wanted it is skipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::{command, test};

/// Longest time that one installation may take. The biggest client is three minutes of work for
/// two idle cores, but a slow network or a busy machine makes more of it.
pub(crate) const INSTALL_DEADLINE: Duration = Duration::from_secs(1_800);

/// A program of a Debian package.
pub(crate) struct Packaged {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    /// Whether it does nothing for anybody but root.
    pub(crate) needs_root: bool,
}

/// A program built from a Go module.
pub(crate) struct GoProgram {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
}

/// What Debian has: container clients, what sets clocks, makes certificates and disks and traces,
/// proxies to stand behind, of which one is measured beside, and a directory to log in by.
pub(crate) const PACKAGED: &[Packaged] = &[
    Packaged {
        program: "dockerd",
        package: "docker.io",
        needs_root: true,
    },
    Packaged {
        program: "containerd",
        package: "containerd",
        needs_root: true,
    },
    Packaged {
        program: "podman",
        package: "podman",
        needs_root: false,
    },
    Packaged {
        program: "skopeo",
        package: "skopeo",
        needs_root: false,
    },
    Packaged {
        program: "buildah",
        package: "buildah",
        needs_root: false,
    },
    Packaged {
        program: "nginx",
        package: "nginx",
        needs_root: false,
    },
    Packaged {
        program: "haproxy",
        package: "haproxy",
        needs_root: false,
    },
    Packaged {
        program: "faketime",
        package: "faketime",
        needs_root: false,
    },
    Packaged {
        program: "openssl",
        package: "openssl",
        needs_root: false,
    },
    Packaged {
        program: "slapd",
        package: "slapd",
        needs_root: false,
    },
    Packaged {
        program: "qemu-storage-daemon",
        package: "qemu-system-common",
        needs_root: true,
    },
    Packaged {
        program: "fusermount3",
        package: "fuse3",
        needs_root: true,
    },
    Packaged {
        program: "mkfs.ext4",
        package: "e2fsprogs",
        needs_root: true,
    },
    Packaged {
        program: "mkfs.xfs",
        package: "xfsprogs",
        needs_root: true,
    },
    Packaged {
        program: "strace",
        package: "strace",
        needs_root: false,
    },
];

/// Pinned clients, the conformance suite, an ACME server, and the registry that figures are held
/// against.
pub(crate) const GO_PROGRAMS: &[GoProgram] = &[
    GoProgram {
        program: "crane",
        package: "github.com/google/go-containerregistry/cmd/crane",
        version: "v0.22.1",
    },
    GoProgram {
        program: "oras",
        package: "oras.land/oras/cmd/oras",
        version: "v1.3.6",
    },
    GoProgram {
        program: "regctl",
        package: "github.com/regclient/regclient/cmd/regctl",
        version: "v0.11.7",
    },
    GoProgram {
        program: "helm",
        package: "helm.sh/helm/v4/cmd/helm",
        version: "v4.3.1",
    },
    GoProgram {
        program: "conformance",
        package: "github.com/opencontainers/distribution-spec/conformance",
        version: "v0.0.0-20260831232431-97274622c111",
    },
    GoProgram {
        program: "pebble",
        package: "github.com/letsencrypt/pebble/v2/cmd/pebble",
        version: "v2.10.3",
    },
    GoProgram {
        program: "registry",
        package: "github.com/distribution/distribution/v3/cmd/registry",
        version: "v3.1.1",
    },
];

/// The programs that could be had, and for the others why not.
#[derive(Default)]
pub(crate) struct Tools {
    found: BTreeMap<&'static str, PathBuf>,
    missing: BTreeMap<&'static str, String>,
}

impl Tools {
    /// Finds or installs the programs of these names.
    pub(crate) fn provide(wanted: &[&str]) -> Self {
        let mut tools = Self::default();
        tools.provide_packaged(wanted);
        for program in GO_PROGRAMS
            .iter()
            .filter(|program| wanted.contains(&program.program))
        {
            match go_program(program) {
                Ok(path) => {
                    tools.found.insert(program.program, path);
                }
                Err(error) => {
                    tools.missing.insert(program.program, one_line(&error));
                }
            }
        }
        tools
    }

    /// Where a program is.
    ///
    /// # Errors
    /// The reason why it is missing.
    pub(crate) fn path(&self, program: &str) -> Result<&Path, String> {
        match (self.found.get(program), self.missing.get(program)) {
            (Some(path), _) => Ok(path),
            (None, Some(reason)) => Err(reason.clone()),
            (None, None) => Err(format!("{program} was not asked for")),
        }
    }

    fn provide_packaged(&mut self, wanted: &[&str]) {
        let wanted: Vec<&Packaged> = PACKAGED
            .iter()
            .filter(|packaged| wanted.contains(&packaged.program))
            .collect();
        let absent: Vec<&str> = wanted
            .iter()
            .filter(|packaged| find(packaged.program).is_none())
            .map(|packaged| packaged.package)
            .collect();
        let reason = match install_packages(&absent) {
            Ok(()) => "its Debian package brought no such program".to_owned(),
            Err(error) => one_line(&error),
        };
        for packaged in wanted {
            match find(packaged.program) {
                Some(_) if packaged.needs_root && !is_root() => {
                    let reason = format!("{} does nothing for who is not root", packaged.program);
                    self.missing.insert(packaged.program, reason);
                }
                Some(path) => {
                    self.found.insert(packaged.program, path);
                }
                None => {
                    self.missing.insert(packaged.program, reason.clone());
                }
            }
        }
    }
}

/// Looks a program up on `PATH` and where system programs live.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/go/bin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}

/// Installs Debian packages.
///
/// # Errors
/// Where this is not a Debian system, not root, or apt refuses.
pub(crate) fn install_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let names = packages.join(" ");
    let apt = find("apt-get").with_context(|| format!("no apt-get here to install {names}"))?;
    if !is_root() {
        anyhow::bail!("not root: install {names} by hand");
    }
    println!("    installing {names}");
    let retry = ["-o", "Acquire::Retries=3"];
    command::capture(Command::new(&apt).args(retry).arg("update"))?;
    command::capture_within(
        INSTALL_DEADLINE,
        Command::new(&apt)
            .args(retry)
            .args(["install", "--yes", "--no-install-recommends"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    Ok(())
}

fn go_program(wanted: &GoProgram) -> Result<PathBuf> {
    let directory = test::root()
        .join(".tools")
        .join(format!("{}-{}", wanted.program, wanted.version));
    let path = directory.join(wanted.program);
    if path.is_file() {
        return Ok(path);
    }
    let go = match find("go") {
        Some(go) => go,
        None => {
            install_packages(&["golang-go"])?;
            find("go").context("the Debian package golang-go brought no go")?
        }
    };
    println!("    building {} {}", wanted.program, wanted.version);
    let install = || {
        command::capture_within(
            INSTALL_DEADLINE,
            Command::new(&go)
                .arg("install")
                .arg(format!("{}@{}", wanted.package, wanted.version))
                .current_dir(std::env::temp_dir())
                .env("GOBIN", &directory)
                .env("CGO_ENABLED", "0"),
        )
    };
    // Alone of the installers here, go does not try a download again by itself.
    if install().is_err() {
        println!("    building {} once more", wanted.program);
        install()?;
    }
    Ok(path)
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn one_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let last = text
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default();
    match text.lines().next() {
        Some(first) if first != last => format!("{first} {last}"),
        _ => last.to_owned(),
    }
}
