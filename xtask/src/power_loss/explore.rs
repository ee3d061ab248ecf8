//! The exploration: one crash after the other is mounted, a registry is started on it, and what
//! it shows is held against the history.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::check::{Check, Expected};
use super::crash::{self, Crash, Disk, Flushes};
use super::disk::Mounted;
use super::record::Recording;
use crate::command;
use crate::registry::Registry;

/// Violations after which looking further helps nobody.
const ENOUGH: usize = 5;
const DATABASE_CHECK_LIMIT: Duration = Duration::from_secs(30);
const DATABASE_SOUND: &str = "is sound after an unclean stop";
const DATABASE_DAMAGED: &str = "database is damaged";

/// Where and with what states are explored.
pub(super) struct Explorer<'a> {
    pub(super) recording: &'a Recording,
    pub(super) expected: &'a Expected,
    pub(super) binary: &'a Path,
    pub(super) seed: u64,
    /// Scratch space.
    pub(super) folder: PathBuf,
    /// Where disks with violations are kept.
    pub(super) kept: PathBuf,
}

/// What was found.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) states: u32,
    /// States with violations, in words.
    pub(super) violations: Vec<String>,
}

impl Explorer<'_> {
    /// Explores so many states, or one of them alone.
    pub(super) fn explore(&self, states: u32, only: Option<u32>) -> Result<Findings> {
        let mut findings = Findings::default();
        let name = self.recording.kind.name();
        let begun = Instant::now();
        self.each(states, only, Flushes::Honoured, |crash, disk, violations| {
            findings.states += 1;
            if findings.states.is_multiple_of(100) {
                let took = begun.elapsed().as_secs();
                println!("    {name}: {} of {states} states after {took} s", findings.states);
            }
            if violations.is_empty() {
                return Ok(true);
            }
            let image = self.keep(crash, disk)?;
            let text = format!(
                "{name}, seed {} state {} (after {} of {} entries, {:?}), kept in {}:\n      {}\n      \
                 again: cargo xtask power-loss --filesystem {name} --recording {} --seed {} --states \
                 {states} --state {}",
                self.seed,
                crash.number,
                crash.position,
                self.recording.entries,
                crash.kept,
                image.display(),
                violations.join("\n      "),
                self.kept.display(),
                self.seed,
                crash.number
            );
            println!("    VIOLATION {text}");
            findings.violations.push(text);
            Ok(findings.violations.len() < ENOUGH)
        })?;
        Ok(findings)
    }

    /// Explores states of a disk that lies about flushes; returns how many are looked at and how
    /// many of them lost something. What is asked is whether the check would find it.
    pub(super) fn prove(&self, states: u32) -> Result<(u32, u32)> {
        let (mut looked_at, mut found) = (0, 0);
        self.each(states, None, Flushes::Lied, |_, _, violations| {
            looked_at += 1;
            found += u32::from(!violations.is_empty());
            Ok(true)
        })?;
        Ok((looked_at, found))
    }

    fn each(
        &self,
        states: u32,
        only: Option<u32>,
        flushes: Flushes,
        mut then: impl FnMut(&Crash, &mut Disk, Vec<String>) -> Result<bool>,
    ) -> Result<()> {
        std::fs::create_dir_all(&self.folder)?;
        let history = &self.expected.history;
        let log = self.recording.log()?;
        let durable = self.folder.join("durable.img");
        let mut disk = Disk::new(&self.recording.base(), log, self.seed, flushes, &durable)?;
        let image = self.folder.join("crashed.img");
        for crash in crash::plan(self.seed, states, flushes, history, self.recording.entries) {
            if only.is_some_and(|only| only != crash.number) {
                continue;
            }
            disk.write(&crash, &image)?;
            let violations = self.look(&image, &crash)?;
            if !then(&crash, &mut disk, violations)? {
                break;
            }
        }
        Ok(())
    }

    fn look(&self, image: &Path, crash: &Crash) -> Result<Vec<String>> {
        let at = self.folder.join("mounted");
        let mounted = match Mounted::new(self.recording.kind, image, &at) {
            Ok(mounted) => mounted,
            Err(error) => return Ok(vec![format!("the file system is lost: {error:#}")]),
        };
        let violations = self.look_at(&mounted.data(), crash);
        mounted.unmount()?;
        // One that cannot be spoken to is a violation as well, not a failure of the suite.
        Ok(violations.unwrap_or_else(|error| vec![format!("{error:#}")]))
    }

    fn look_at(&self, data: &Path, crash: &Crash) -> Result<Vec<String>> {
        let unclean =
            std::fs::metadata(data.join("roadstead.db-wal")).is_ok_and(|log| log.len() > 0);
        let registry = Registry::start_on(self.binary, data)
            .context("the registry does not start after the crash")?;
        let mut violations = Check::new(self.expected, registry.address(), crash.position)
            .run()
            .with_context(|| format!("the registry does not answer:\n{}", registry.log_tail()))?;
        if unclean {
            let told = command::until(DATABASE_CHECK_LIMIT, || {
                let log = registry.log();
                Ok(log.contains(DATABASE_SOUND) || log.contains(DATABASE_DAMAGED))
            })?;
            if !told {
                bail!(
                    "the database was not looked through:\n{}",
                    registry.log_tail()
                );
            }
        }
        let log = registry.log();
        let bad = |line: &&str| line.contains(" ERROR ") || line.contains("lost flushed bytes");
        violations.extend(
            log.lines()
                .filter(bad)
                .map(|line| format!("the log says {line}")),
        );
        registry.stop().context("the registry does not stop")?;
        Ok(violations)
    }

    /// Keeps the disk of a violation as it was before it was mounted, and the recording.
    fn keep(&self, crash: &Crash, disk: &mut Disk) -> Result<PathBuf> {
        self.recording.keep(&self.kept)?;
        let image = self.kept.join(format!("state-{}.img", crash.number));
        disk.write(crash, &image)?;
        Ok(image)
    }
}
