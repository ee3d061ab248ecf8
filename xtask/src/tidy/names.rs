//! Modules are named by the nouns of the specification, never by what any code could be called.

use std::path::Path;

use anyhow::Result;

use super::{Finding, source};

const FORBIDDEN: &[&str] = &[
    "util", "utils", "common", "helper", "helpers", "manager", "misc", "types",
];

/// Finds files, folders and inline modules with such names.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for file in source::all(root)? {
        let stem = file.path.with_extension("");
        for part in stem.iter().filter_map(|part| part.to_str()) {
            if FORBIDDEN.contains(&part) {
                let message = format!("no module may be called `{part}`");
                findings.push(Finding::new(&file.path, message));
            }
        }
        for (number, line) in file.code_with_tests() {
            if let Some(name) = inline_module(line).filter(|name| FORBIDDEN.contains(name)) {
                let message = format!("line {number}: no module may be called `{name}`");
                findings.push(Finding::new(&file.path, message));
            }
        }
    }
    Ok(findings)
}

/// The name of a module whose body begins on this line.
fn inline_module(line: &str) -> Option<&str> {
    let line = line.trim().strip_suffix('{')?;
    let (before, name) = line.split_once("mod ")?;
    let visible = before.is_empty() || before.starts_with("pub");
    visible.then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::findings_in;

    #[test]
    fn nameless_modules_are_found() {
        let tree = [
            ("crates/a/src/utils.rs", ""),
            (
                "crates/a/src/lib.rs",
                "pub(crate) mod common {\n}\nmod upload {}\n",
            ),
            ("crates/a/tests/helpers/mod.rs", ""),
            ("crates/a/src/media_type.rs", ""),
        ];
        assert_eq!(
            findings_in(check, &tree),
            [
                "crates/a/src/lib.rs: line 1: no module may be called `common`",
                "crates/a/src/utils.rs: no module may be called `utils`",
                "crates/a/tests/helpers/mod.rs: no module may be called `helpers`",
            ]
        );
    }
}
