//! No macro that stands for code not written yet, nor one for looking at values while writing.

use std::path::Path;

use anyhow::Result;

use super::{Finding, source};

/// Names of macros, without the `!` so that this file does not find itself.
const FORBIDDEN: &[&str] = &["todo", "unimplemented", "dbg"];

/// Finds calls of these macros, in tests too.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in source::all(root)? {
        for (number, line) in file.code_with_tests() {
            for name in FORBIDDEN.iter().filter(|name| calls(line, name)) {
                let message = format!("line {number}: `{name}` must not stay in the code");
                findings.push(Finding::new(&file.path, message));
            }
        }
    }
    Ok(findings)
}

fn calls(line: &str, name: &str) -> bool {
    let call = format!("{name}!");
    line.match_indices(&call).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::findings_in;

    #[test]
    fn unfinished_code_is_found_and_comments_are_not() {
        let text = FORBIDDEN
            .iter()
            .map(|name| format!("{name}!();\n"))
            .collect::<String>();
        let text = format!("{text}// {}!\nmy_{}!();\n", FORBIDDEN[0], FORBIDDEN[0]);
        let found = findings_in(check, &[("crates/a/src/lib.rs", &text)]);
        assert_eq!(found.len(), FORBIDDEN.len(), "{found:?}");
        assert!(
            found[2].starts_with("crates/a/src/lib.rs: line 3:"),
            "{found:?}"
        );
    }
}
