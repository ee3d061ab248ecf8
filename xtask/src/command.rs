//! Running other programs: captured output, a deadline, and an error that shows what was said.
//!
//! A program that passes its deadline is killed, so a client that hangs fails its step instead of
//! the whole run. Output goes to unnamed files, not pipes: nobody has to drain it meanwhile.

use std::fs::File;
use std::io::{Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Longest time a captured command may take that does not say otherwise.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(10);
/// How much of a failed command's output an error shows, in bytes from its end.
const SHOWN_BYTES: usize = 4_000;

/// What a command said.
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs with inherited output and no deadline.
///
/// # Errors
/// Where the program cannot start or its exit code is not 0.
pub(crate) fn show(command: &mut Command) -> Result<()> {
    let line = describe(command);
    println!("    $ {line}");
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// Runs with captured output and returns what went to its standard output, trimmed.
///
/// # Errors
/// Where the program cannot start, passes the deadline, or its exit code is not 0; the error
/// carries the end of its output.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    capture_within(DEADLINE, command)
}

/// The same with another deadline.
///
/// # Errors
/// Those of [`capture`].
pub(crate) fn capture_within(limit: Duration, command: &mut Command) -> Result<String> {
    let line = describe(command);
    let output = attempt_within(limit, command)?;
    if !output.status.success() {
        let said = format!("{}\n{}", output.stdout.trim(), output.stderr.trim());
        bail!(
            "`{line}` ended with {}:\n{}",
            output.status,
            tail(said.trim())
        );
    }
    Ok(output.stdout.trim().to_owned())
}

/// Runs with captured output and expects a refusal; returns everything that it said.
///
/// # Errors
/// Where the program cannot start, passes the deadline, or succeeds.
pub(crate) fn refused(command: &mut Command) -> Result<String> {
    let line = describe(command);
    let output = attempt(command)?;
    if output.status.success() {
        bail!("`{line}` succeeded, it should have been refused");
    }
    Ok(format!(
        "{}\n{}",
        output.stdout.trim(),
        output.stderr.trim()
    ))
}

/// Runs with captured output, whatever its exit code.
///
/// # Errors
/// Where the program cannot start or passes the deadline.
pub(crate) fn attempt(command: &mut Command) -> Result<Output> {
    attempt_within(DEADLINE, command)
}

/// The same with another deadline.
///
/// # Errors
/// Those of [`attempt`].
pub(crate) fn attempt_within(limit: Duration, command: &mut Command) -> Result<Output> {
    let line = describe(command);
    let mut stdout = tempfile::tempfile()?;
    let mut stderr = tempfile::tempfile()?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let Some(status) = wait(&mut child, limit)? else {
        child.kill()?;
        child.wait()?;
        bail!("`{line}` was still running after {} s", limit.as_secs());
    };
    Ok(Output {
        status,
        stdout: contents(&mut stdout)?,
        stderr: contents(&mut stderr)?,
    })
}

/// Waits for the end of a child; `None` where the time is up first.
///
/// # Errors
/// Those of the operating system.
pub(crate) fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let mut ended = None;
    until(limit, || {
        ended = child.try_wait()?;
        Ok(ended.is_some())
    })?;
    Ok(ended)
}

/// Asks again and again until a condition holds; false where the time is up first.
///
/// # Errors
/// Those of the condition.
pub(crate) fn until(limit: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<bool> {
    let begun = Instant::now();
    loop {
        if condition()? {
            return Ok(true);
        }
        if begun.elapsed() > limit {
            return Ok(false);
        }
        std::thread::sleep(POLL);
    }
}

/// The last lines of a long text.
pub(crate) fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(SHOWN_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

fn contents(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn describe(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        line.push(' ');
        line.push_str(&argument.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_failure_shows_both_streams() {
        let error = capture(&mut shell("echo one; echo two >&2; exit 3")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("one") && text.contains("two") && text.contains('3'),
            "{text}"
        );
    }

    #[test]
    fn a_refusal_is_expected_where_asked_for() {
        assert!(
            refused(&mut shell("echo no; exit 1"))
                .unwrap()
                .contains("no")
        );
        assert!(refused(&mut shell("true")).is_err());
    }

    #[test]
    fn a_command_past_its_deadline_is_killed() {
        let error = capture_within(Duration::ZERO, &mut shell("exec sleep 600")).unwrap_err();
        assert!(
            error.to_string().contains("was still running after 0 s"),
            "{error}"
        );
    }

    #[test]
    fn waiting_ends_at_the_limit() {
        assert!(!until(Duration::ZERO, || Ok(false)).unwrap());
    }
}
