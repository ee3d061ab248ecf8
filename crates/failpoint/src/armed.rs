//! What a point does in a test's build: count how often it is passed, and at the wanted passage
//! kill the process or fail.
//!
//! `ROADSTEAD_FAIL="storage::flush::bytes=kill@3;storage::append::written=error@1"`: a kill is a
//! SIGKILL of the process by itself; `error` is EIO, `full` is ENOSPC. Each point is told of on
//! standard error when it is passed for the first time, and when it acts.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;
use rustix::process::{Signal, getpid, kill_process};

use crate::{POINTS, Point};

/// The environment variable that says which points act.
pub const VARIABLE: &str = "ROADSTEAD_FAIL";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Kill,
    Fail(Errno),
}

/// Which points act, and when.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Spec(Vec<Armed>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Armed {
    index: usize,
    action: Action,
    /// Counted from 1.
    passage: u64,
}

/// A part of the variable that names no point or no action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError(String);

impl std::fmt::Display for SpecError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = &self.0;
        write!(
            f,
            "{VARIABLE}: {part:?} is no <point>=<action>@<passage> with the action kill, or error \
             or full where the point can fail, and a passage from 1"
        )
    }
}

impl std::error::Error for SpecError {}

impl Spec {
    /// Reads `<point>=<action>@<passage>`, several with `;` between them.
    ///
    /// # Errors
    /// The first part that is not so.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let parts = text.split(';').map(str::trim);
        let armed = parts
            .filter(|part| !part.is_empty())
            .map(|part| parse(part).ok_or_else(|| SpecError(part.to_owned())));
        armed.collect::<Result<_, _>>().map(Self)
    }
}

fn parse(part: &str) -> Option<Armed> {
    let (name, rest) = part.split_once('=')?;
    let (action, passage) = rest.split_once('@')?;
    let index = POINTS.iter().position(|point| point.name == name)?;
    let fails = POINTS.get(index)?.fails;
    let action = match action {
        "kill" => Action::Kill,
        "error" if fails => Action::Fail(Errno::IO),
        "full" if fails => Action::Fail(Errno::NOSPC),
        _ => return None,
    };
    let passage = passage.parse().ok().filter(|passage| *passage > 0)?;
    Some(Armed {
        index,
        action,
        passage,
    })
}

static SPEC: OnceLock<Spec> = OnceLock::new();
static PASSED: [AtomicU64; POINTS.len()] = [const { AtomicU64::new(0) }; POINTS.len()];

/// Lets the points act as the environment says. To be called once, before anything else.
///
/// # Errors
/// [`SpecError`].
pub fn arm() -> Result<(), SpecError> {
    let text = std::env::var(VARIABLE).unwrap_or_default();
    let spec = Spec::parse(&text)?;
    // A second call changes nothing.
    drop(SPEC.set(spec));
    Ok(())
}

/// Passes a point that can only kill.
pub fn pass(index: usize) {
    let failed = act(index);
    debug_assert!(failed.is_none(), "refused by `parse`");
}

/// Passes a point that can fail.
///
/// # Errors
/// Where it is to fail at this passage.
pub fn pass_or_fail(index: usize) -> io::Result<()> {
    act(index).map_or(Ok(()), |errno| Err(errno.into()))
}

fn act(index: usize) -> Option<Errno> {
    // Tools that do not arm anything pass points too.
    let spec = SPEC.get()?;
    let (point, passed) = (POINTS.get(index)?, PASSED.get(index)?);
    let passage = passed.fetch_add(1, Ordering::Relaxed) + 1;
    if passage == 1 {
        tell("passed", point, passage);
    }
    let armed = spec
        .0
        .iter()
        .find(|armed| armed.index == index && armed.passage == passage)?;
    match armed.action {
        Action::Kill => {
            tell("killed", point, passage);
            // Where even that fails, an abort ends it all the same.
            let _ = kill_process(getpid(), Signal::KILL);
            std::process::abort()
        }
        Action::Fail(errno) => {
            tell("failed", point, passage);
            Some(errno)
        }
    }
}

fn tell(what: &str, point: &Point, passage: u64) {
    eprintln!("failpoint: {what} {}@{passage}", point.name);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test reports by panicking")]

    use super::*;

    #[test]
    fn a_specification_names_points_actions_and_passages() {
        let spec =
            Spec::parse("storage::flush::bytes=kill@3; storage::append::written=full@1;").unwrap();
        let found: Vec<_> = spec
            .0
            .iter()
            .map(|armed| (POINTS[armed.index].name, armed.action, armed.passage))
            .collect();
        let expected = [
            ("storage::flush::bytes", Action::Kill, 3),
            ("storage::append::written", Action::Fail(Errno::NOSPC), 1),
        ];
        assert_eq!(found, expected);
        assert_eq!(Spec::parse(""), Ok(Spec::default()));
    }

    #[test]
    fn what_is_no_specification_is_refused() {
        for wrong in [
            "storage::flush::bytes",
            "storage::flush::bytes=kill",
            "storage::flush::bytes=kill@0",
            "storage::flush::bytes=kill@x",
            "storage::flush::bytes=pause@1",
            "storage::nowhere=kill@1",
            // It cannot fail.
            "server::answer::ready=error@1",
        ] {
            assert_eq!(Spec::parse(wrong), Err(SpecError(wrong.to_owned())));
        }
    }

    #[test]
    fn every_point_is_listed_once() {
        for (index, point) in POINTS.iter().enumerate() {
            assert_eq!(crate::index_of(point.name, point.fails), index);
        }
    }
}
