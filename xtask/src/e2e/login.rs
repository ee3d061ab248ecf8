//! A registry that wants a password: every client logs in, pushes and pulls; a wrong password
//! and no password are refused. docker, which needs root, is a scenario of its own.

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::docker::Docker;
use super::podman::podman;
use super::workbench::Workbench;
use crate::users::{PASSWORD, USER};
use crate::{command, image};

pub(super) fn play(bench: &Workbench) -> Result<()> {
    let answer = bench.ask("GET", "/v2/")?;
    ensure!(
        answer.status == 401,
        "a registry with passwords answers {}",
        answer.status
    );
    let challenge = answer.header("WWW-Authenticate").unwrap_or_default();
    ensure!(
        challenge.starts_with("Basic realm="),
        "the challenge is `{challenge}`"
    );

    let layout = image::write_image(&bench.path("image"), "one", &[20_000])?;
    let local = format!("oci:{}:one", layout.directory.display());
    by_skopeo(bench, &local)?;
    by_crane(bench, &layout.directory.to_string_lossy())?;
    by_podman(bench)?;
    by_regctl(bench)?;
    by_oras(bench)?;
    by_helm(bench)
}

fn by_skopeo(bench: &Workbench, local: &str) -> Result<()> {
    let skopeo = || -> Result<Command> {
        let mut command = bench.client("skopeo")?;
        command.arg("--insecure-policy");
        Ok(command)
    };
    let target = format!("docker://{}", bench.at("e2e/login:skopeo"));
    let copy = ["copy", "--dest-tls-verify=false", local, &target];
    command::refused(skopeo()?.args(copy))?;
    let login = ["login", "--tls-verify=false", "-u", USER];
    command::refused(skopeo()?.args(login).args(["-p", "wrong", &bench.host()]))?;
    command::capture(skopeo()?.args(login).args(["-p", PASSWORD, &bench.host()]))?;
    command::capture(skopeo()?.args(copy))?;
    command::capture(skopeo()?.args(["inspect", "--tls-verify=false", &target]))?;
    command::capture(skopeo()?.args(["logout", &bench.host()]))?;
    Ok(())
}

fn by_crane(bench: &Workbench, layout: &str) -> Result<()> {
    let target = bench.at("e2e/login:crane");
    command::refused(bench.client("crane")?.args(["push", layout, &target]))?;
    let login = ["auth", "login", &bench.host(), "-u", USER, "-p", PASSWORD];
    command::capture(bench.client("crane")?.args(login))?;
    command::capture(bench.client("crane")?.args(["push", layout, &target]))?;
    command::capture(
        bench
            .client("crane")?
            .args(["validate", "--fast", "--remote", &target]),
    )?;
    command::capture(
        bench
            .client("crane")?
            .args(["auth", "logout", &bench.host()]),
    )?;
    Ok(())
}

fn by_podman(bench: &Workbench) -> Result<()> {
    let login = ["login", "--tls-verify=false", "-u", USER];
    command::refused(
        podman(bench)?
            .args(login)
            .args(["-p", "wrong", &bench.host()]),
    )?;
    command::capture(
        podman(bench)?
            .args(login)
            .args(["-p", PASSWORD, &bench.host()]),
    )?;
    let target = bench.at("e2e/login:podman");
    let archive = bench.path("podman.tar");
    image::write_archive(&archive, "login", 20_000)?;
    let import = ["import", &archive.to_string_lossy(), &target];
    command::capture(podman(bench)?.args(import))?;
    let push = ["push", "--tls-verify=false", &target];
    command::capture(podman(bench)?.args(push))?;
    command::capture(podman(bench)?.args(["pull", "--tls-verify=false", &target]))?;
    command::capture(podman(bench)?.args(["logout", &bench.host()]))?;
    Ok(())
}

pub(super) fn play_docker(bench: &Workbench) -> Result<()> {
    let docker = Docker::start(bench)?;
    let target = bench.at("e2e/login:docker");
    let archive = bench.path("root.tar");
    image::write_archive(&archive, "login", 20_000)?;
    docker.run(&["import", &archive.to_string_lossy(), &target])?;
    command::refused(docker.command()?.args(["push", &target]))?;
    let login = ["login", "-u", USER, "-p"];
    command::refused(docker.command()?.args(login).args(["wrong", &bench.host()]))?;
    docker.run(&[&login[..], &[PASSWORD, &bench.host()]].concat())?;
    docker.run(&["push", &target])?;
    docker.run(&["rmi", &target])?;
    docker.run(&["pull", &target])?;
    docker.run(&["logout", &bench.host()])?;
    command::refused(docker.command()?.args(["pull", &target]))?;
    docker.stop()
}

fn by_regctl(bench: &Workbench) -> Result<()> {
    let host = bench.host();
    let regctl = || bench.client("regctl");
    let plain = [
        "registry",
        "set",
        &host,
        "--tls",
        "disabled",
        "--skip-check",
    ];
    command::capture(regctl()?.args(plain))?;
    let list = ["tag", "ls", &bench.at("e2e/login")];
    command::refused(regctl()?.args(list))?;
    let login = ["registry", "login", &host, "-u", USER, "-p", PASSWORD];
    command::capture(regctl()?.args(login))?;
    command::capture(regctl()?.args(list))?;
    let (source, target) = (
        bench.at("e2e/login:crane"),
        bench.at("e2e/login-copy:regctl"),
    );
    command::capture(regctl()?.args(["image", "copy", &source, &target]))?;
    command::capture(regctl()?.args(["registry", "logout", &host]))?;
    Ok(())
}

fn by_oras(bench: &Workbench) -> Result<()> {
    std::fs::write(bench.path("cargo.txt"), "twelve barrels of herring")?;
    let target = bench.at("e2e/login:oras");
    let push = ["push", "--plain-http", &target, "cargo.txt:text/plain"];
    command::refused(bench.client("oras")?.args(push))?;
    let host = bench.host();
    let login = [
        "login",
        "--plain-http",
        "-u",
        USER,
        "--password-stdin",
        &host,
    ];
    with_password(bench.client("oras")?.args(login))?;
    command::capture(bench.client("oras")?.args(push))?;
    command::capture(bench.client("oras")?.args(["logout", &host]))?;
    Ok(())
}

fn by_helm(bench: &Workbench) -> Result<()> {
    let chart = bench.path("harbour");
    std::fs::create_dir_all(&chart)?;
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: harbour\nversion: 1.0.0\n",
    )?;
    command::capture(bench.client("helm")?.arg("package").arg(&chart))?;
    let charts = format!("oci://{}", bench.at("e2e/login"));
    let push = ["push", "harbour-1.0.0.tgz", &charts, "--plain-http"];
    command::refused(bench.client("helm")?.args(push))?;
    let host = bench.host();
    let login = [
        "registry",
        "login",
        &host,
        "--plain-http",
        "-u",
        USER,
        "--password-stdin",
    ];
    with_password(bench.client("helm")?.args(login))?;
    command::capture(bench.client("helm")?.args(push))?;
    Ok(())
}

/// Runs a command that reads the password from its standard input.
fn with_password(command: &mut Command) -> Result<()> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("the client takes no input")?;
    input.write_all(PASSWORD.as_bytes())?;
    drop(input);
    let status = child.wait()?;
    ensure!(status.success(), "the login ended with {status}");
    Ok(())
}
