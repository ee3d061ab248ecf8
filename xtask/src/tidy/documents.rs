//! Documents keep step with the tree: the ones that must be there are, ARCHITECTURE.md stays
//! short enough to be read whole, and the paths that documents name exist.

use std::path::Path;

use anyhow::Result;

use super::Finding;

const REQUIRED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "LICENSE",
];
/// Documents whose paths describe the tree as it is; the changelog describes the past.
const DESCRIPTIONS: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
];
const ARCHITECTURE: &str = "ARCHITECTURE.md";
const MAX_LINES: usize = 400;
/// A word in backquotes that begins so is a path of the tree.
const PATHS: &[&str] = &[
    "crates/", "xtask/", "docs/", "fuzz/", "bench/", "deploy/", ".ci/",
];

/// Finds documents that are missing, too long, or name a path that is not there.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for name in REQUIRED.iter().filter(|name| !root.join(name).is_file()) {
        findings.push(Finding::new(name, "is missing"));
    }
    for name in DESCRIPTIONS.iter().filter(|name| root.join(name).is_file()) {
        let text = std::fs::read_to_string(root.join(name))?;
        let lines = text.lines().count();
        if *name == ARCHITECTURE && lines > MAX_LINES {
            let message = format!("has {lines} lines, the limit is {MAX_LINES}");
            findings.push(Finding::new(name, message));
        }
        for path in named_paths(&text).filter(|path| !root.join(path).exists()) {
            findings.push(Finding::new(
                name,
                format!("names `{path}`, which is not there"),
            ));
        }
    }
    Ok(findings)
}

/// Paths in backquotes; one with a placeholder, a brace or a star stands for several.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|word| {
        PATHS.iter().any(|start| word.starts_with(start))
            && !word.contains(['<', '{', '*', '…', ' ', '\n'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::findings_in;

    #[test]
    fn missing_documents_and_dead_paths_are_found() {
        let long = "\n".repeat(MAX_LINES + 1);
        let text = "See `crates/a/src/lib.rs`, `crates/b.rs`, `crates/{x,y}` and `cargo`.";
        let tree = [
            ("README.md", text),
            ("ARCHITECTURE.md", &long),
            ("CONTRIBUTING.md", ""),
            ("SECURITY.md", ""),
            ("LICENSE", ""),
            ("crates/a/src/lib.rs", ""),
        ];
        assert_eq!(
            findings_in(check, &tree),
            [
                "CHANGELOG.md: is missing",
                "README.md: names `crates/b.rs`, which is not there",
                "ARCHITECTURE.md: has 401 lines, the limit is 400",
            ]
        );
    }
}
