//! What goes wrong below the registry: disks that are full, small, read-only or failing, system
//! calls that return errors, files that are damaged behind its back.
//!
//! Every test starts the real binary. What only root may do (mounts, tracing), or a program that is
//! not there, is skipped with a line; where the environment says `CI=true` a skip is a failure.
//! Cases are numbered as in the black-box tests. `cargo xtask faults` runs the long form.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test reports a broken expectation by panicking"
)]

#[path = "../harness/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the harness serves several suites, each of which uses its part"
)]
mod harness;

mod cgroup;
mod confined;
mod damage;
mod database;
mod inject;
mod mount;
mod push;
mod reads;
mod room;
mod tracer;
mod truncate;

/// Whether a test cannot run here, which it then says.
fn skipped(what: &str, reason: Option<String>) -> bool {
    let Some(reason) = reason else {
        return false;
    };
    println!("skipped {what}: {reason}");
    assert!(
        !std::env::var("CI").is_ok_and(|value| value == "true" || value == "1"),
        "CI may skip nothing, but skipped {what}: {reason}"
    );
    true
}

/// Why these programs cannot be used: one is missing, or this is not root.
fn needs(programs: &[&str]) -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("not root".to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &str| {
        let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        folders.any(|folder| folder.join(program).is_file())
    };
    let missing = programs.iter().find(|program| !there(program))?;
    Some(format!("no {missing} here"))
}
