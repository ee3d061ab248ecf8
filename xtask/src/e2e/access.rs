//! Who may do what, by real clients: each goes through the same story on registries that are
//! public to read or private, with tokens of the registry itself or with Basic alone.

use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::clients::{Client, DAEMONS, PROGRAMS, SEED, Stage, Who};
use super::workbench::Workbench;
use crate::command;
use crate::users::{GUEST, PASSWORD, USER};

/// Longest time that a client may take to understand that it may not: some try
/// again and again for most of a minute where they take the answer for another.
const REFUSAL_LIMIT: Duration = Duration::from_secs(30);
/// Lines of the registry's log, one a request, that a refusal may cost: no client asks for ever.
const REFUSAL_LINES: usize = 60;
/// Of these, each client says one when it is told that it may not.
const REFUSALS: &[&str] = &[
    "unauthorized",
    "denied",
    "401",
    "403",
    "no basic auth",
    "basic credential not found",
    "invalid username/password",
    "authorization failed",
];

/// A registry's way to tell clients to log in.
#[derive(Clone, Copy, PartialEq)]
enum Challenge {
    Basic,
    Bearer,
}

pub(super) fn play_tokens(bench: &Workbench) -> Result<()> {
    let stage = Stage::for_programs(bench)?;
    play_public(&stage, PROGRAMS, Challenge::Bearer)?;
    stage.finish()
}

pub(super) fn play_tokens_with_daemons(bench: &Workbench) -> Result<()> {
    let stage = Stage::for_daemons(bench)?;
    play_public(&stage, DAEMONS, Challenge::Bearer)?;
    stage.finish()
}

pub(super) fn play_basic(bench: &Workbench) -> Result<()> {
    let stage = Stage::for_programs(bench)?;
    play_public(&stage, PROGRAMS, Challenge::Basic)?;
    stage.finish()
}

pub(super) fn play_basic_with_daemons(bench: &Workbench) -> Result<()> {
    let stage = Stage::for_daemons(bench)?;
    play_public(&stage, DAEMONS, Challenge::Basic)?;
    stage.finish()
}

pub(super) fn play_private(bench: &Workbench) -> Result<()> {
    let stage = Stage::for_programs(bench)?;
    play_accounts(&stage, PROGRAMS)?;
    stage.finish()
}

pub(super) fn play_private_with_daemons(bench: &Workbench) -> Result<()> {
    let stage = Stage::for_daemons(bench)?;
    play_accounts(&stage, DAEMONS)?;
    stage.finish()
}

/// Everybody may pull; `GUEST` may do no more when logged in, `USER` everything.
fn play_public(stage: &Stage, clients: &[Client], challenge: Challenge) -> Result<()> {
    expect_challenge(stage.bench, challenge)?;
    for client in clients {
        public(stage, client, challenge).with_context(|| client.name)?;
    }
    Ok(())
}

fn public(stage: &Stage, client: &Client, challenge: Challenge) -> Result<()> {
    let repository = format!("public/by-{}", client.name);
    let mut pull = (client.pull)(stage, SEED, None)?;
    if challenge == Challenge::Bearer || client.asks_without_login {
        command::capture(&mut pull).context("a pull without a login")?;
    } else {
        refuse(stage.bench, &mut pull).context("a pull without a login")?;
    }
    refuse(stage.bench, &mut (client.push)(stage, &repository, None)?)
        .context("a push without a login")?;
    if client.checks_login
        && let Some(login) = client.login
    {
        refuse(stage.bench, &mut login(stage, &Who::new(USER, "wrong"))?)
            .context("a login with a wrong password")?;
    }

    let guest = Who::new(GUEST, PASSWORD);
    as_somebody(stage, client, &guest, || {
        command::capture(&mut (client.pull)(stage, SEED, Some(&guest))?)?;
        refuse(
            stage.bench,
            &mut (client.push)(stage, &repository, Some(&guest))?,
        )
    })
    .context("somebody who may only pull")?;
    ensure!(
        stage.bench.status_for_user(&client.path(&repository))? == 404,
        "something was pushed by who may not push"
    );

    pushes_and_pulls(stage, client, &Who::new(USER, PASSWORD), &repository)?;
    // To another repository: where the image is already, some find nothing left to push.
    let elsewhere = format!("public/after-{}", client.name);
    refuse(stage.bench, &mut (client.push)(stage, &elsewhere, None)?)
        .context("a push after the logout")
}

/// Nobody may do anything without a login; a local user and a robot may do everything.
fn play_accounts(stage: &Stage, clients: &[Client]) -> Result<()> {
    expect_challenge(stage.bench, Challenge::Bearer)?;
    let registry = stage.bench.registry();
    let user = Who::new("alice", "correct: horse – 馬");
    add_user(stage.bench, &user)?;
    let create = registry
        .administer(&["robot", "create"])
        .arg("ci")
        .output()?;
    let key = String::from_utf8(create.stdout)?.trim().to_owned();
    ensure!(key.starts_with("rsd_"), "the robot's key is not shown");
    let robot = Who::new("ci", &key);
    for client in clients {
        private(stage, client, &user, &robot).with_context(|| client.name)?;
    }
    Ok(())
}

fn private(stage: &Stage, client: &Client, user: &Who, robot: &Who) -> Result<()> {
    refuse(stage.bench, &mut (client.pull)(stage, SEED, None)?)
        .context("a pull without a login")?;
    for who in [user, robot] {
        let repository = format!("private/by-{}/for-{}", client.name, who.user);
        pushes_and_pulls(stage, client, who, &repository)?;
        refuse(stage.bench, &mut (client.pull)(stage, &repository, None)?)
            .context("a pull after the logout")?;
    }
    Ok(())
}

fn pushes_and_pulls(stage: &Stage, client: &Client, who: &Who, repository: &str) -> Result<()> {
    as_somebody(stage, client, who, || {
        command::capture(&mut (client.push)(stage, repository, Some(who))?)?;
        let status = stage.bench.status_for_user(&client.path(repository))?;
        ensure!(status == 200, "what was pushed answers {status}");
        command::capture(&mut (client.pull)(stage, repository, Some(who))?)?;
        Ok(())
    })
    .with_context(|| format!("what {} may do", who.user))
}

/// Does something between login and logout.
fn as_somebody(
    stage: &Stage,
    client: &Client,
    who: &Who,
    action: impl FnOnce() -> Result<()>,
) -> Result<()> {
    if let Some(login) = client.login {
        command::capture(&mut login(stage, who)?)?;
    }
    action()?;
    if let Some(logout) = client.logout {
        command::capture(&mut logout(stage)?)?;
    }
    Ok(())
}

/// Runs a command that the registry must refuse, and the client must understand.
///
/// # Errors
/// Where it succeeds, fails for another reason, or takes too long or too many requests.
pub(super) fn refuse(bench: &Workbench, command: &mut Command) -> Result<()> {
    let lines = || bench.registry().log().lines().count();
    let before = lines();
    let output = command::attempt_within(REFUSAL_LIMIT, command)?;
    ensure!(!output.status.success(), "it should have been refused");
    let said = format!("{}\n{}", output.stdout, output.stderr).to_lowercase();
    ensure!(
        REFUSALS.iter().any(|word| said.contains(word)),
        "it failed for another reason than a refusal:\n{}",
        command::tail(&said)
    );
    let asked = lines() - before;
    ensure!(asked <= REFUSAL_LINES, "it took {asked} requests to refuse");
    Ok(())
}

fn expect_challenge(bench: &Workbench, expected: Challenge) -> Result<()> {
    let answer = bench.ask("GET", "/v2/")?;
    let challenge = answer.header("WWW-Authenticate").unwrap_or_default();
    let start = match expected {
        Challenge::Basic => "Basic realm=".to_owned(),
        Challenge::Bearer => format!("Bearer realm=\"http://{}/auth/token\"", bench.host()),
    };
    ensure!(
        answer.status == 401 && challenge.starts_with(&start),
        "the answer is {} with the challenge `{challenge}`",
        answer.status
    );
    Ok(())
}

/// Adds a local user while the registry serves.
///
/// # Errors
/// Those of the command.
pub(super) fn add_user(bench: &Workbench, who: &Who) -> Result<()> {
    set_password(bench, "add", who)
}

/// Runs `user add` or `user passwd`.
///
/// # Errors
/// Where it fails.
pub(super) fn set_password(bench: &Workbench, action: &str, who: &Who) -> Result<()> {
    let mut child = bench
        .registry()
        .administer(&["user", action])
        .args([&who.user, "--password-stdin"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut input = child.stdin.take().context("the command takes no input")?;
    input.write_all(who.password.as_bytes())?;
    drop(input);
    let status = child.wait()?;
    ensure!(status.success(), "`user {action}` ended with {status}");
    Ok(())
}
