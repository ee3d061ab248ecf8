//! The Rust files of the tree, and which parts of them are test code.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold our Rust code.
const FOLDERS: &[&str] = &["crates", "xtask", "fuzz", "bench"];

/// One Rust file.
pub(crate) struct Source {
    /// Path from the root of the tree.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

impl Source {
    /// Whether the whole file is test code: `tests.rs`, or anything below a `tests` folder.
    pub(crate) fn is_test(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == "tests.rs")
            || self
                .path
                .parent()
                .is_some_and(|folder| folder.iter().any(|part| part == "tests"))
    }

    /// Lines with their numbers from 1, comments cut off, up to the test module at the end.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .take_while(|(_, line)| line.trim_end() != "#[cfg(test)]")
            .map(|(index, line)| (index + 1, without_comment(line)))
    }

    /// All lines with their numbers from 1, comments cut off.
    pub(crate) fn code_with_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, without_comment(line)))
    }
}

/// Reads all Rust files, in order of path.
///
/// # Errors
/// Those of the file system.
pub(crate) fn all(root: &Path) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for folder in FOLDERS {
        collect(&root.join(folder), &mut paths)?;
    }
    paths.sort();
    let mut sources = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
        sources.push(Source { path, text });
    }
    Ok(sources)
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, paths)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// Cuts a line comment off; a `//` right after a colon is taken for an address in a string.
fn without_comment(line: &str) -> &str {
    let start = line
        .match_indices("//")
        .find(|(at, _)| !line[..*at].ends_with(':'));
    start.map_or(line, |(at, _)| &line[..at])
}

#[cfg(test)]
mod tests {
    use super::without_comment;

    #[test]
    fn comments_are_cut_and_addresses_are_not() {
        assert_eq!(without_comment("let a = 1; // why"), "let a = 1; ");
        assert_eq!(
            without_comment("let a = \"https://b\";"),
            "let a = \"https://b\";"
        );
    }
}
