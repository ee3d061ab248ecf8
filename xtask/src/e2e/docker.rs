//! docker: a daemon of our own (no network rules, no bridge, vfs), an image imported, pushed,
//! removed, pulled back, copied into another repository, and a manifest list.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::daemon::Daemon;
use super::workbench::{Workbench, expect_all};
use crate::{command, image, tools};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let docker = Docker::start(bench)?;
    let archive = bench.path("root.tar");
    image::write_archive(&archive, "docker", 300_000)?;
    let one = bench.at("e2e/docker:one");
    docker.run(&["import", &archive.to_string_lossy(), &one])?;
    let said = docker.run(&["push", &one])?;
    let pushed = bench.digest("e2e/docker", "one")?;
    expect_all(&said, &[&pushed])?;

    docker.run(&["rmi", &one])?;
    expect_all(&docker.run(&["pull", &one])?, &[&pushed])?;
    let format = [
        "image",
        "inspect",
        "--format",
        "{{index .RepoDigests 0}}",
        &one,
    ];
    expect_all(&docker.run(&format)?, &[&pushed])?;

    let two = bench.at("e2e/copied/by-docker:two");
    docker.run(&["tag", &one, &two])?;
    let said = docker.run(&["push", &two])?;
    // The layer is known to be in the first repository, so the daemon mounts it from there.
    expect_all(&said, &["Mounted from e2e/docker", &pushed])?;

    let list = bench.at("e2e/docker:list");
    docker.run(&["manifest", "create", "--insecure", &list, &one])?;
    let digest = docker.run(&["manifest", "push", "--insecure", &list])?;
    let digest = digest.lines().last().unwrap_or_default();
    bench.expect_digest("e2e/docker", "list", digest)?;
    ensure!(
        docker.run(&["pull", &list])?.contains(digest),
        "pulled another list"
    );
    bench.expect_tags("e2e/docker", &["list", "one"])?;
    docker.stop()
}

/// A daemon of docker, ended when dropped.
pub(super) struct Docker<'a> {
    bench: &'a Workbench<'a>,
    socket: String,
    daemon: Daemon,
}

impl<'a> Docker<'a> {
    /// Starts a daemon below the scenario's folder.
    ///
    /// # Errors
    /// Where it does not answer within 60 s; the error carries the end of its log.
    pub(super) fn start(bench: &'a Workbench<'a>) -> Result<Self> {
        let socket = format!("unix://{}", bench.path("docker.sock").display());
        let mut command = bench.client("dockerd")?;
        command
            .args(["--iptables=false", "--ip6tables=false", "--bridge=none"])
            .args(["--storage-driver=vfs", "--host", &socket])
            .arg("--data-root")
            .arg(bench.path("docker-data"))
            .arg("--exec-root")
            .arg(bench.path("docker-exec"))
            .arg("--pidfile")
            .arg(bench.path("docker.pid"));
        let version = || -> Result<Command> {
            let mut version = client(bench, &socket)?;
            version.arg("version");
            Ok(version)
        };
        let daemon = Daemon::start(command, bench.path("dockerd.log"), version)?;
        Ok(Self {
            bench,
            socket,
            daemon,
        })
    }

    /// Runs a docker command against this daemon.
    ///
    /// # Errors
    /// Those of the command.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        command::capture(self.command()?.args(arguments))
    }

    /// A docker command against this daemon.
    ///
    /// # Errors
    /// Where there is no docker.
    pub(super) fn command(&self) -> Result<Command> {
        client(self.bench, &self.socket)
    }

    /// Ends the daemon, with the containerd that it started.
    ///
    /// # Errors
    /// Where it does not end within 30 s.
    pub(super) fn stop(self) -> Result<()> {
        self.daemon.stop()
    }
}

fn client(bench: &Workbench, socket: &str) -> Result<Command> {
    let path = tools::find("docker").context("there is a dockerd but no docker")?;
    let mut command = bench.at_home(&path);
    command.args(["--host", socket]);
    Ok(command)
}
