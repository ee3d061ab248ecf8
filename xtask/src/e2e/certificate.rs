//! Clients that show a certificate: one name may do everything, another pull, nobody else anything.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::access::refuse;
use super::containerd::Containerd;
use super::podman::podman;
use super::workbench::{CERTIFICATE, Workbench};
use crate::{command, image};

/// The name in the certificate of whoever may do everything.
pub(super) const CAPTAIN: &str = "captain";
/// In that of whoever may only pull.
pub(super) const HAND: &str = "deckhand";

/// The authority that clients' certificates lead to.
pub(super) const AUTHORITY: &str = "authority";

/// Makes an authority and the certificates of both in a folder.
///
/// # Errors
/// Those of openssl.
pub(super) fn make(openssl: &Path, folder: &Path) -> Result<()> {
    let run = |arguments: &str| {
        let mut command = Command::new(openssl);
        command.current_dir(folder);
        command::capture(command.args(arguments.split_whitespace()))
    };
    let key = "-nodes -newkey ec -pkeyopt ec_paramgen_curve:P-256";
    run(&format!(
        "req -x509 {key} -days 2 -subj /CN={AUTHORITY} -keyout {AUTHORITY}.key -out {AUTHORITY}.pem"
    ))?;
    std::fs::write(
        folder.join("client.ext"),
        "extendedKeyUsage = clientAuth\nbasicConstraints = CA:false\n",
    )?;
    for name in [CAPTAIN, HAND] {
        // The names that podman and skopeo look for in a folder of certificates.
        let own = folder.join(name);
        std::fs::create_dir_all(&own)?;
        run(&format!(
            "req {key} -subj /CN={name} -keyout {name}/client.key -out {name}.csr"
        ))?;
        run(&format!(
            "x509 -req -days 2 -in {name}.csr -CA {AUTHORITY}.pem -CAkey {AUTHORITY}.key \
             -CAcreateserial -extfile client.ext -out {name}/client.cert"
        ))?;
        std::fs::copy(folder.join(CERTIFICATE), own.join("registry.crt"))?;
    }
    // Whoever shows none still knows the registry.
    let nobody = folder.join("nobody");
    std::fs::create_dir_all(&nobody)?;
    std::fs::copy(folder.join(CERTIFICATE), nobody.join("registry.crt"))?;
    Ok(())
}

/// Pushes and pulls by somebody, or by nobody.
struct Client {
    name: &'static str,
    push: fn(&Workbench, Option<&str>, &str) -> Result<Command>,
    pull: fn(&Workbench, Option<&str>, &str) -> Result<Command>,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "skopeo",
        push: |bench, who, target| {
            skopeo(
                bench,
                "--dest-cert-dir",
                who,
                [&local(bench, "oci:"), &docker(target)],
            )
        },
        pull: |bench, who, target| {
            skopeo(
                bench,
                "--src-cert-dir",
                who,
                [&docker(target), &pulled(bench, "dir:", "skopeo")],
            )
        },
    },
    Client {
        name: "podman",
        push: |bench, who, target| {
            let mut command = podman(bench)?;
            command.args([
                "push",
                "--cert-dir",
                &folder(bench, who),
                "localhost/e2e:local",
                target,
            ]);
            Ok(command)
        },
        pull: |bench, who, target| {
            let mut command = podman(bench)?;
            command.args(["pull", "--cert-dir", &folder(bench, who), target]);
            Ok(command)
        },
    },
    Client {
        name: "oras",
        push: |bench, who, target| {
            oras(
                bench,
                "--to",
                who,
                &["--from-oci-layout", &local(bench, ""), target],
            )
        },
        pull: |bench, who, target| {
            oras(
                bench,
                "--from",
                who,
                &["--to-oci-layout", target, &pulled(bench, "", "oras:one")],
            )
        },
    },
    Client {
        name: "regctl",
        push: |bench, who, target| regctl(bench, who, &local(bench, "ocidir://"), target),
        pull: |bench, who, target| {
            regctl(
                bench,
                who,
                target,
                &pulled(bench, "ocidir://", "regctl:one"),
            )
        },
    },
    Client {
        name: "helm",
        push: |bench, who, target| {
            helm(bench, who, &["push", "harbour-1.0.0.tgz", &charts(target)])
        },
        pull: |bench, who, target| {
            let chart = format!("{}/harbour", charts(target));
            let folder = pulled(bench, "", "helm");
            helm(
                bench,
                who,
                &["pull", &chart, "--version", "1.0.0", "-d", &folder],
            )
        },
    },
];

pub(super) fn play(bench: &Workbench) -> Result<()> {
    image::write_image(&bench.path("image"), "one", &[20_000])?;
    let archive = bench.path("root.tar");
    image::write_archive(&archive, "root", 20_000)?;
    let import = ["import", &archive.to_string_lossy(), "localhost/e2e:local"];
    command::capture(podman(bench)?.args(import))?;
    let chart = bench.path("harbour");
    std::fs::create_dir_all(&chart)?;
    std::fs::create_dir_all(pulled(bench, "", "helm"))?;
    std::fs::write(
        chart.join("Chart.yaml"),
        "apiVersion: v2\nname: harbour\nversion: 1.0.0\n",
    )?;
    command::capture(bench.client("helm")?.arg("package").arg(&chart))?;
    for client in CLIENTS {
        let push = |who: Option<&str>, target: &str| (client.push)(bench, who, target);
        let pull = |who: Option<&str>, target: &str| (client.pull)(bench, who, target);
        story(bench, client.name, &push, &pull).with_context(|| client.name)?;
    }
    Ok(())
}

pub(super) fn play_ctr(bench: &Workbench) -> Result<()> {
    let layout = image::write_image(&bench.path("image"), "one", &[20_000])?;
    let containerd = Containerd::start(bench, &layout)?;
    let run = |action: &'static str| {
        let containerd = &containerd;
        move |who: Option<&str>, target: &str| {
            containerd.over_tls(action, &folder(bench, who), who.is_some(), target)
        }
    };
    story(bench, "ctr", &run("push"), &run("pull"))?;
    containerd.stop()
}

/// Makes the command by which somebody, or nobody, pushes or pulls an image.
type Action<'a> = &'a dyn Fn(Option<&str>, &str) -> Result<Command>;

fn story(bench: &Workbench, name: &str, push: Action, pull: Action) -> Result<()> {
    let target = bench.at(&format!("e2e/certificate/{name}:one"));
    let other = bench.at(&format!("e2e/refused/{name}:one"));
    let (captain, hand) = (Some(CAPTAIN), Some(HAND));
    command::capture(&mut push(captain, &target)?).context("a push")?;
    command::capture(&mut pull(captain, &target)?).context("a pull")?;
    command::capture(&mut pull(hand, &target)?).context("a pull by another")?;
    refuse(bench, &mut push(hand, &other)?).context("a push by another")?;
    refuse(bench, &mut pull(None, &target)?).context("a pull by nobody")
}

fn skopeo(bench: &Workbench, option: &str, who: Option<&str>, copy: [&str; 2]) -> Result<Command> {
    let mut command = bench.client("skopeo")?;
    command
        .args(["--insecure-policy", "copy", option, &folder(bench, who)])
        .args(copy);
    Ok(command)
}

fn oras(bench: &Workbench, side: &str, who: Option<&str>, copy: &[&str]) -> Result<Command> {
    let mut command = bench.client("oras")?;
    let folder = folder(bench, who);
    command.args([
        "cp",
        &format!("{side}-ca-file"),
        &format!("{folder}/registry.crt"),
    ]);
    if who.is_some() {
        command.args([
            &format!("{side}-cert-file"),
            &format!("{folder}/client.cert"),
        ]);
        command.args([&format!("{side}-key-file"), &format!("{folder}/client.key")]);
    }
    command.args(copy);
    Ok(command)
}

/// regctl wants certificates in its configuration, and themselves in place of their files.
fn regctl(bench: &Workbench, who: Option<&str>, from: &str, to: &str) -> Result<Command> {
    let folder = folder(bench, who);
    let text = |name: &str| std::fs::read_to_string(format!("{folder}/{name}"));
    let (certificate, key) = match who {
        Some(_) => (text("client.cert")?, text("client.key")?),
        None => (String::new(), String::new()),
    };
    let mut set = bench.client("regctl")?;
    set.args(["registry", "set", "--skip-check", &bench.host()])
        .args(["--cacert", &text("registry.crt")?])
        .args(["--client-cert", &certificate, "--client-key", &key]);
    command::capture(&mut set)?;
    let mut command = bench.client("regctl")?;
    command.args(["image", "copy", from, to]);
    Ok(command)
}

fn helm(bench: &Workbench, who: Option<&str>, arguments: &[&str]) -> Result<Command> {
    let mut command = bench.client("helm")?;
    let folder = folder(bench, who);
    command
        .args(arguments)
        .args(["--ca-file", &format!("{folder}/registry.crt")]);
    if who.is_some() {
        command.args(["--cert-file", &format!("{folder}/client.cert")]);
        command.args(["--key-file", &format!("{folder}/client.key")]);
    }
    Ok(command)
}

/// Where charts go: to a repository below that of an image.
fn charts(target: &str) -> String {
    let repository = target.rsplit_once(':').map_or(target, |(name, _)| name);
    format!("oci://{repository}")
}

/// The folder with somebody's certificate, or without any.
fn folder(bench: &Workbench, who: Option<&str>) -> String {
    let folder = bench.path(who.unwrap_or("nobody"));
    folder.to_string_lossy().into_owned()
}

fn local(bench: &Workbench, scheme: &str) -> String {
    format!("{scheme}{}:one", bench.path("image").display())
}

fn pulled(bench: &Workbench, scheme: &str, name: &str) -> String {
    format!(
        "{scheme}{}",
        bench.path(&format!("pulled-{name}")).display()
    )
}

fn docker(target: &str) -> String {
    format!("docker://{target}")
}
