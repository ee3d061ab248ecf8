//! What clients keep of a login: docker a token to get others with, which outlives the tokens that
//! it gets and ends with the password, and pull secrets, which hold a name and a password.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::access::{add_user, refuse, set_password};
use super::clients::{SEED, Stage, Who};
use super::podman::podman;
use super::workbench::Workbench;
use crate::command;
use crate::users::BASIC;

/// The file with a pull secret, in a folder of its own.
const SECRET: &str = "secret/config.json";

/// docker logs in once; docker, crane and oras live on what it keeps.
pub(super) fn play_docker(bench: &Workbench) -> Result<()> {
    let stage = Stage::for_daemons(bench)?;
    let mut who = Who::new("alice", "before");
    add_user(bench, &who)?;
    let docker = stage.docker()?;
    let host = bench.host();
    docker.run(&["login", "-u", &who.user, "-p", &who.password, &host])?;
    let kept = std::fs::read_to_string(bench.path("home/docker/config.json"))?;
    let kept: Value = serde_json::from_str(&kept)?;
    let entry = &kept["auths"][host.as_str()];
    ensure!(
        entry["identitytoken"].is_string(),
        "docker was given no token to keep: it keeps {:?}",
        entry.as_object().map(|entry| entry.keys())
    );

    let image = stage.one(SEED);
    let digest = ["digest", image.as_str()];
    let fetch = ["manifest", "fetch", "--plain-http", image.as_str()];
    let commands = || -> Result<Vec<Command>> {
        let mut pull = docker.command()?;
        pull.args(["pull", &image]);
        Ok(vec![
            pull,
            stage.with("crane", &digest)?,
            stage.with("oras", &fetch)?,
        ])
    };
    for mut command in commands()? {
        command::capture(&mut command).context("with docker's login")?;
    }
    let log = bench.registry().log();
    ensure!(
        log.contains("method=\"POST\" route=\"token\""),
        "nobody asked for a token by that of docker"
    );
    // Whoever changes a password wants others out, not only in a month.
    who.password = "after".to_owned();
    set_password(bench, "passwd", &who)?;
    for mut command in commands()? {
        refuse(bench, &mut command).context("with a login of before the password changed")?;
    }
    docker.run(&["login", "-u", &who.user, "-p", &who.password, &host])?;
    for mut command in commands()? {
        command::capture(&mut command).context("with a new login")?;
    }
    stage.finish()
}

/// A pull secret as Kubernetes has it, for clients that were never logged in.
pub(super) fn play_secret(bench: &Workbench) -> Result<()> {
    let stage = Stage::for_programs(bench)?;
    let file = bench.path(SECRET);
    let folder = bench.path("secret");
    std::fs::create_dir_all(&folder)?;
    let secret = json!({"auths": {bench.host(): {"auth": BASIC}}});
    std::fs::write(&file, secret.to_string())?;
    let path = file.to_string_lossy();
    let image = stage.one(SEED);
    let remote = format!("docker://{image}");
    let chart = format!("oci://{}/harbour", bench.at(SEED));

    let mut crane = stage.with("crane", &["validate", "--remote", &image])?;
    crane.env("DOCKER_CONFIG", &folder);
    let inspect = ["inspect", "--tls-verify=false", "--authfile", &path];
    let skopeo = stage.with("skopeo", &[&inspect[..], &[&remote]].concat())?;
    let mut podman = podman(bench)?;
    podman.args(["pull", "--tls-verify=false", "--authfile", &path, &image]);
    let fetch = ["manifest", "fetch", "--plain-http", "--registry-config"];
    let oras = stage.with("oras", &[&fetch[..], &[&path, &image]].concat())?;
    let mut regctl = stage.with("regctl", &["manifest", "head", &image])?;
    regctl.env("DOCKER_CONFIG", &folder);
    let show = ["show", "chart", "--plain-http", "--registry-config"];
    let helm = stage.with("helm", &[&show[..], &[&path, &chart]].concat())?;
    for mut command in [crane, skopeo, podman, oras, regctl, helm] {
        command::capture(&mut command)?;
    }
    refuse(bench, &mut stage.with("crane", &["digest", &image])?)
}
