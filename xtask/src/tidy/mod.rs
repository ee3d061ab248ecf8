//! Rules of the source tree that no compiler checks. Each rule is a function from a tree to
//! findings, so that each can be tested on a made-up tree.

mod arrows;
mod documents;
mod grants;
mod length;
mod lockfile;
mod names;
mod source;
mod words;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Something in the tree that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    path: PathBuf,
    message: String,
}

type Rule = fn(&Path) -> Result<Vec<Finding>>;

const RULES: &[(&str, Rule)] = &[
    ("crate arrows", arrows::check),
    ("file length", length::check),
    ("module names", names::check),
    ("unfinished code", words::check),
    ("grants", grants::check),
    ("minimum versions", lockfile::check),
    ("documents", documents::check),
];

/// Checks all rules and prints every finding.
///
/// # Errors
/// Where there is at least one finding, or the tree cannot be read.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut total = 0;
    for (name, rule) in RULES {
        let findings = rule(root)?;
        for finding in &findings {
            println!(
                "    {}: {} ({name})",
                finding.path.display(),
                finding.message
            );
        }
        total += findings.len();
    }
    if total > 0 {
        bail!("{total} findings");
    }
    Ok(())
}

impl Finding {
    fn new(path: impl Into<PathBuf>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

/// A tree for the tests of rules.
#[cfg(test)]
pub(crate) fn made_up_tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

/// What a rule finds in a made-up tree, as `path: message`.
#[cfg(test)]
pub(crate) fn findings_in(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
    let tree = made_up_tree(files);
    let findings = rule(tree.path()).unwrap();
    findings
        .iter()
        .map(|found| format!("{}: {}", found.path.display(), found.message))
        .collect()
}
