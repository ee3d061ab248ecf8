//! A file has one subject and at most 400 lines. Test files are exempt; a long table is named here.

use std::path::Path;

use anyhow::Result;

use super::{Finding, source};

const MAX_LINES: usize = 400;
/// Files that are one long table.
const TABLES: &[&str] = &[];

/// Finds files that are too long, and exemptions that are no longer needed.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in source::all(root)? {
        let lines = file.text.lines().count();
        let table = TABLES.iter().any(|table| Path::new(table) == file.path);
        if lines > MAX_LINES && !table && !file.is_test() {
            let message = format!("has {lines} lines, the limit is {MAX_LINES}");
            findings.push(Finding::new(&file.path, message));
        }
        if lines <= MAX_LINES && table {
            findings.push(Finding::new(
                &file.path,
                "needs no exemption from the length limit",
            ));
        }
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::findings_in;

    #[test]
    fn long_files_are_found_unless_they_are_tests() {
        let limit = "\n".repeat(MAX_LINES);
        let long = "\n".repeat(MAX_LINES + 1);
        let tree = [
            ("crates/a/src/long.rs", long.as_str()),
            ("crates/a/src/limit.rs", limit.as_str()),
            ("crates/a/src/tests.rs", long.as_str()),
            ("crates/a/tests/pull.rs", long.as_str()),
        ];
        let found = findings_in(check, &tree);
        assert_eq!(
            found,
            ["crates/a/src/long.rs: has 401 lines, the limit is 400"]
        );
    }
}
