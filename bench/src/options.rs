//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::case::{AS_IT_COMES, DISTRIBUTION, NGINX, ROADSTEAD};
use crate::peer::{Contestant, Kind};

/// Measures Roadstead beside other servers, and prints ratios.
#[derive(Parser)]
#[command(name = "roadstead-bench", version, args_override_self = true)]
pub(crate) struct Options {
    /// Cases or groups (reads, writes, access, logins, footprint, lists) to run; all where none is named
    #[arg(long = "case", value_name = "NAME")]
    pub(crate) cases: Vec<String>,
    /// Servers to run beside Roadstead; all that are found where none is named
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) against: Vec<String>,
    /// Length of a round
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    seconds: f64,
    /// Rounds of each server, in turn with the others
    #[arg(long, default_value_t = 3)]
    pub(crate) rounds: u32,
    /// Small content and one short round: shows that everything works, the figures mean little
    #[arg(long)]
    pub(crate) quick: bool,
    /// Manifests in the database whose start is measured
    #[arg(long, default_value_t = 20_000)]
    pub(crate) manifests: u32,
    /// Roadstead's binary, of a release build
    #[arg(long, value_name = "FILE", default_value = "target/release/roadstead")]
    pub(crate) roadstead: PathBuf,
    /// nginx
    #[arg(long, value_name = "FILE", default_value = "nginx")]
    nginx: PathBuf,
    /// `registry` of distribution 3
    #[arg(long, value_name = "FILE")]
    distribution: Option<PathBuf>,
    /// `registry` of distribution 2
    #[arg(long, value_name = "FILE", default_value = "docker-registry")]
    distribution_2: PathBuf,
    /// zot
    #[arg(long, value_name = "FILE")]
    zot: Option<PathBuf>,
    /// Another registry that takes distribution's configuration, another build of Roadstead too
    #[arg(long, value_name = "NAME=FILE")]
    other: Vec<String>,
}

impl Options {
    /// The same with what `--quick` means.
    pub(crate) fn settled(mut self) -> Result<Self> {
        if self.quick {
            self.rounds = 1;
            self.seconds = self.seconds.min(0.2);
        }
        if self.rounds == 0 || !self.seconds.is_finite() || self.seconds <= 0.0 {
            bail!("--rounds and --seconds must be above 0");
        }
        Ok(self)
    }

    /// Length of a round.
    pub(crate) fn length(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Size of the largest blob.
    pub(crate) fn large_bytes(&self) -> usize {
        if self.quick { 8 << 20 } else { 256 << 20 }
    }

    /// The servers that are here, Roadstead first, and a line for each that is not.
    ///
    /// # Errors
    /// Where Roadstead is not here, or a name is none.
    pub(crate) fn contestants(&self) -> Result<(Vec<Contestant>, Vec<String>)> {
        let roadstead = find(&self.roadstead)
            .with_context(|| format!("there is no {}: build it first", self.roadstead.display()))?;
        let mut wanted: Vec<(String, Kind, Option<PathBuf>)> = vec![
            (NGINX.to_owned(), Kind::Nginx, Some(self.nginx.clone())),
            (
                DISTRIBUTION.to_owned(),
                Kind::Distribution,
                self.distribution.clone(),
            ),
            (
                "distribution 2".to_owned(),
                Kind::Distribution,
                Some(self.distribution_2.clone()),
            ),
            ("zot".to_owned(), Kind::Zot, self.zot.clone()),
        ];
        for other in &self.other {
            let (name, file) = other.split_once('=').context("--other is NAME=FILE")?;
            wanted.push((
                name.to_owned(),
                Kind::Distribution,
                Some(PathBuf::from(file)),
            ));
        }
        let is_wanted = |name: &str| {
            let mut named = self.against.iter().map(|wanted| wanted.to_lowercase());
            self.against.is_empty() || named.any(|wanted| short(&wanted) == short(name))
        };
        let known = |name: &String| wanted.iter().any(|(known, ..)| short(known) == short(name));
        if let Some(name) = self
            .against
            .iter()
            .find(|name| !known(name) && *name != "none")
        {
            bail!("--against {name}: there is no such server");
        }
        let mut found: Vec<Contestant> = [
            (ROADSTEAD, Kind::Roadstead),
            (AS_IT_COMES, Kind::RoadsteadAsItComes),
        ]
        .map(|(name, kind)| Contestant {
            name: name.to_owned(),
            kind,
            program: roadstead.clone(),
        })
        .into();
        let mut missing = Vec::new();
        for (name, kind, program) in wanted {
            if !is_wanted(&name) {
                continue;
            }
            match program.as_deref().map(|program| (program, find(program))) {
                Some((_, Some(program))) => found.push(Contestant {
                    name,
                    kind,
                    program,
                }),
                Some((program, None)) => {
                    missing.push(format!(
                        "{name} is missing: no program {}",
                        program.display()
                    ));
                }
                None if name == DISTRIBUTION => {
                    missing.push(format!("{name} is missing: --distribution FILE names it"));
                }
                None => {}
            }
        }
        Ok((found, missing))
    }
}

/// How a server is named on the command line: `distribution 3` is `distribution-3`.
fn short(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

/// A path as it is, a bare name from `PATH` and from where system programs live.
fn find(program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return std::path::absolute(program)
            .ok()
            .filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|candidate| candidate.is_file())
}
