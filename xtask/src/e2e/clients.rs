//! The clients of a story that all of them go through: how each logs in and out, pushes and pulls.
//! Whatever they push is tiny and made here.

use std::process::Command;

use anyhow::{Context, Result};

use super::containerd::Containerd;
use super::docker::Docker;
use super::podman::podman;
use super::workbench::Workbench;
use crate::users::{PASSWORD, USER};
use crate::{command, image};

/// Somebody who logs in.
pub(super) struct Who {
    pub(super) user: String,
    pub(super) password: String,
}

impl Who {
    pub(super) fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }

    fn pair(&self) -> String {
        format!("{}:{}", self.user, self.password)
    }
}

/// What a client does, and what is particular about it.
pub(super) struct Client {
    pub(super) name: &'static str,
    /// Keeps a login; none where each command is told who asks.
    pub(super) login: Option<fn(&Stage, &Who) -> Result<Command>>,
    pub(super) logout: Option<fn(&Stage) -> Result<Command>>,
    /// Whether a login with a wrong password fails at once.
    pub(super) checks_login: bool,
    /// Whether it asks at all without a login where the challenge is Basic.
    pub(super) asks_without_login: bool,
    /// Pushes its image to this repository, with the tag `one`.
    pub(super) push: fn(&Stage, &str, Option<&Who>) -> Result<Command>,
    /// Pulls that of this repository.
    pub(super) pull: fn(&Stage, &str, Option<&Who>) -> Result<Command>,
    /// Whether its images are charts, which have a name of their own below the repository.
    pub(super) charts: bool,
}

impl Client {
    /// Where an image is that was pushed to a repository.
    pub(super) fn path(&self, repository: &str) -> String {
        if self.charts {
            format!("/v2/{repository}/harbour/manifests/1.0.0")
        } else {
            format!("/v2/{repository}/manifests/one")
        }
    }
}

/// Clients that need no root.
pub(super) const PROGRAMS: &[Client] = &[
    Client {
        name: "skopeo",
        login: Some(|stage, who| stage.log_in("skopeo", &["login", "--tls-verify=false"], who)),
        logout: Some(|stage| stage.with("skopeo", &["logout", &stage.bench.host()])),
        checks_login: true,
        asks_without_login: true,
        push: |stage, repository, _| {
            let copy = ["--insecure-policy", "copy", "--dest-tls-verify=false"];
            let local = format!("oci:{}", stage.local());
            let remote = format!("docker://{}", stage.one(repository));
            stage.with("skopeo", &[&copy[..], &[&local, &remote]].concat())
        },
        pull: |stage, repository, _| {
            let copy = ["--insecure-policy", "copy", "--src-tls-verify=false"];
            let local = format!("dir:{}", stage.pulled("skopeo"));
            let remote = format!("docker://{}", stage.one(repository));
            stage.with("skopeo", &[&copy[..], &[&remote, &local]].concat())
        },
        charts: false,
    },
    Client {
        name: "podman",
        login: Some(|stage, who| {
            let mut command = podman(stage.bench)?;
            command.args(["login", "--tls-verify=false"]);
            command.args(["-u", &who.user, "-p", &who.password, &stage.bench.host()]);
            Ok(command)
        }),
        logout: Some(|stage| {
            let mut command = podman(stage.bench)?;
            command.args(["logout", &stage.bench.host()]);
            Ok(command)
        }),
        checks_login: true,
        asks_without_login: true,
        push: |stage, repository, _| {
            let mut command = podman(stage.bench)?;
            let target = stage.one(repository);
            command.args(["push", "--tls-verify=false", IMPORTED, &target]);
            Ok(command)
        },
        pull: |stage, repository, _| {
            let mut command = podman(stage.bench)?;
            command.args(["pull", "--tls-verify=false", &stage.one(repository)]);
            Ok(command)
        },
        charts: false,
    },
    Client {
        name: "crane",
        login: Some(|stage, who| stage.log_in("crane", &["auth", "login"], who)),
        logout: Some(|stage| stage.with("crane", &["auth", "logout", &stage.bench.host()])),
        // It only writes down what it is told.
        checks_login: false,
        asks_without_login: true,
        push: |stage, repository, _| {
            let local = stage.layout.directory.to_string_lossy();
            stage.with("crane", &["push", &local, &stage.one(repository)])
        },
        pull: |stage, repository, _| {
            let pull = ["pull", &stage.one(repository), &stage.pulled("crane.tar")];
            stage.with("crane", &pull)
        },
        charts: false,
    },
    Client {
        name: "oras",
        login: Some(|stage, who| stage.log_in("oras", &["login", "--plain-http"], who)),
        logout: Some(|stage| stage.with("oras", &["logout", &stage.bench.host()])),
        checks_login: true,
        asks_without_login: true,
        push: |stage, repository, _| {
            let copy = ["cp", "--from-oci-layout", &stage.local()];
            let to = ["--to-plain-http", &stage.one(repository)];
            stage.with("oras", &[&copy[..], &to].concat())
        },
        pull: |stage, repository, _| {
            let copy = ["cp", "--from-plain-http", &stage.one(repository)];
            let local = format!("{}:one", stage.pulled("oras"));
            stage.with("oras", &[&copy[..], &["--to-oci-layout", &local]].concat())
        },
        charts: false,
    },
    Client {
        name: "regctl",
        login: Some(|stage, who| stage.log_in("regctl", &["registry", "login"], who)),
        logout: Some(|stage| stage.with("regctl", &["registry", "logout", &stage.bench.host()])),
        checks_login: true,
        asks_without_login: true,
        push: |stage, repository, _| {
            let local = format!("ocidir://{}", stage.local());
            stage.with("regctl", &["image", "copy", &local, &stage.one(repository)])
        },
        pull: |stage, repository, _| {
            let local = format!("ocidir://{}:one", stage.pulled("regctl"));
            stage.with("regctl", &["image", "copy", &stage.one(repository), &local])
        },
        charts: false,
    },
    Client {
        name: "helm",
        login: Some(|stage, who| stage.log_in("helm", &["registry", "login", "--plain-http"], who)),
        logout: Some(|stage| stage.with("helm", &["registry", "logout", &stage.bench.host()])),
        checks_login: true,
        asks_without_login: true,
        push: |stage, repository, _| {
            let charts = format!("oci://{}", stage.bench.at(repository));
            stage.with("helm", &["push", CHART, &charts, "--plain-http"])
        },
        pull: |stage, repository, _| {
            let chart = format!("oci://{}/harbour", stage.bench.at(repository));
            let pull = ["pull", &chart, "--version", "1.0.0", "--plain-http"];
            let folder = stage.pulled("helm");
            stage.with("helm", &[&pull[..], &["-d", &folder]].concat())
        },
        charts: true,
    },
];

/// Clients that are daemons.
pub(super) const DAEMONS: &[Client] = &[
    Client {
        name: "docker",
        login: Some(|stage, who| {
            let mut command = stage.docker()?.command()?;
            command.args(["login", "-u", &who.user, "-p", &who.password]);
            command.arg(stage.bench.host());
            Ok(command)
        }),
        logout: Some(|stage| {
            let mut command = stage.docker()?.command()?;
            command.args(["logout", &stage.bench.host()]);
            Ok(command)
        }),
        checks_login: true,
        asks_without_login: false,
        push: |stage, repository, _| {
            let target = stage.one(repository);
            stage.docker()?.run(&["tag", IMPORTED, &target])?;
            let mut command = stage.docker()?.command()?;
            command.args(["push", &target]);
            Ok(command)
        },
        pull: |stage, repository, _| {
            let mut command = stage.docker()?.command()?;
            command.args(["pull", &stage.one(repository)]);
            Ok(command)
        },
        charts: false,
    },
    Client {
        name: "ctr",
        login: None,
        logout: None,
        checks_login: false,
        asks_without_login: true,
        push: |stage, repository, who| {
            let pair = who.map(Who::pair);
            stage
                .containerd()?
                .push(pair.as_deref(), &stage.one(repository))
        },
        pull: |stage, repository, who| {
            let pair = who.map(Who::pair);
            stage
                .containerd()?
                .pull(pair.as_deref(), &stage.one(repository))
        },
        charts: false,
    },
];

/// The image that podman and docker push.
const IMPORTED: &str = "localhost/e2e:local";
/// The chart that helm pushes.
const CHART: &str = "harbour-1.0.0.tgz";
/// The repository whose image is there before the story begins.
pub(super) const SEED: &str = "seed/app";

/// What the clients push and where they run.
pub(super) struct Stage<'a> {
    pub(super) bench: &'a Workbench<'a>,
    layout: image::Layout,
    docker: Option<Docker<'a>>,
    containerd: Option<Containerd<'a>>,
}

impl<'a> Stage<'a> {
    /// Gives the programs their images, and the registry the one of [`SEED`].
    ///
    /// # Errors
    /// Those of the programs.
    pub(super) fn for_programs(bench: &'a Workbench<'a>) -> Result<Self> {
        let stage = Self::new(bench)?;
        command::capture(podman(bench)?.args(["import", &stage.archive()?, IMPORTED]))?;
        let host = bench.host();
        let set = ["registry", "set", &host, "--tls", "disabled"];
        command::capture(stage.with("regctl", &set)?.arg("--skip-check"))?;
        let chart = bench.path("harbour");
        std::fs::create_dir_all(&chart)?;
        std::fs::create_dir_all(stage.pulled("helm"))?;
        std::fs::write(
            chart.join("Chart.yaml"),
            "apiVersion: v2\nname: harbour\nversion: 1.0.0\n",
        )?;
        command::capture(&mut stage.with("helm", &["package", &chart.to_string_lossy()])?)?;
        let charts = format!("oci://{}", bench.at(SEED));
        let push = ["push", CHART, &charts, "--plain-http"];
        let who = ["--username", USER, "--password", PASSWORD];
        command::capture(stage.with("helm", &push)?.args(who))?;
        Ok(stage)
    }

    /// Starts the daemons and gives them their images, and the registry the one of [`SEED`].
    ///
    /// # Errors
    /// Where a daemon does not start.
    pub(super) fn for_daemons(bench: &'a Workbench<'a>) -> Result<Self> {
        let mut stage = Self::new(bench)?;
        let docker = Docker::start(bench)?;
        docker.run(&["import", &stage.archive()?, IMPORTED])?;
        stage.docker = Some(docker);
        stage.containerd = Some(Containerd::start(bench, &stage.layout)?);
        Ok(stage)
    }

    fn new(bench: &'a Workbench<'a>) -> Result<Self> {
        let stage = Self {
            bench,
            layout: image::write_image(&bench.path("image"), "one", &[20_000])?,
            docker: None,
            containerd: None,
        };
        let copy = ["--insecure-policy", "copy", "--dest-tls-verify=false"];
        let local = format!("oci:{}", stage.local());
        let remote = format!("docker://{}", stage.one(SEED));
        let who = format!("{USER}:{PASSWORD}");
        let rest = ["--dest-creds", &who, &local, &remote];
        command::capture(stage.with("skopeo", &copy)?.args(rest))?;
        Ok(stage)
    }

    /// Ends the daemons.
    ///
    /// # Errors
    /// Where one does not end.
    pub(super) fn finish(self) -> Result<()> {
        if let Some(docker) = self.docker {
            docker.stop()?;
        }
        self.containerd.map_or(Ok(()), Containerd::stop)
    }

    /// The image of a repository.
    pub(super) fn one(&self, repository: &str) -> String {
        self.bench.at(&format!("{repository}:one"))
    }

    /// A program with its first arguments.
    ///
    /// # Errors
    /// Where it is missing.
    pub(super) fn with(&self, program: &str, arguments: &[&str]) -> Result<Command> {
        let mut command = self.bench.client(program)?;
        command.args(arguments);
        Ok(command)
    }

    /// Docker's daemon.
    ///
    /// # Errors
    /// Where the scenario started none.
    pub(super) fn docker(&self) -> Result<&Docker<'a>> {
        self.docker.as_ref().context("there is no dockerd here")
    }

    fn containerd(&self) -> Result<&Containerd<'a>> {
        let containerd = self.containerd.as_ref();
        containerd.context("there is no containerd here")
    }

    fn log_in(&self, program: &str, arguments: &[&str], who: &Who) -> Result<Command> {
        let mut command = self.with(program, arguments)?;
        command.args(["-u", &who.user, "-p", &who.password, &self.bench.host()]);
        Ok(command)
    }

    /// The layout's image, by path and tag.
    fn local(&self) -> String {
        format!("{}:one", self.layout.directory.display())
    }

    /// Where a client puts what it pulls.
    fn pulled(&self, client: &str) -> String {
        let name = format!("pulled-{client}");
        self.bench.path(&name).to_string_lossy().into_owned()
    }

    /// A file system to import.
    fn archive(&self) -> Result<String> {
        let path = self.bench.path("root.tar");
        image::write_archive(&path, "root", 20_000)?;
        Ok(path.to_string_lossy().into_owned())
    }
}
