//! A grant proves that somebody was authorised, so only `auth` may make one. The type has to live
//! in `oci`, below everybody, where the compiler cannot forbid the call: this rule does.

use std::path::Path;

use anyhow::Result;

use super::Finding;
use super::source::{self, Source};

/// Where the type lives.
const HOME: &str = "crates/oci/src/grant.rs";
/// Who may call its constructor.
const ISSUER: &str = "crates/auth";
/// The type.
const GRANT: &str = "Grant";

/// Finds calls of the constructor outside `auth` and test code.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let sources = source::all(root)?;
    let Some(home) = sources.iter().find(|file| file.path == Path::new(HOME)) else {
        return Ok(vec![Finding::new(
            HOME,
            "is where the grant lives, and it is not there",
        )]);
    };
    let constructors = constructors(home);
    if constructors.is_empty() {
        return Ok(vec![Finding::new(
            HOME,
            "has no constructor that this rule can guard",
        )]);
    }
    let mut findings = Vec::new();
    for file in sources.iter().filter(|file| !may_issue(file)) {
        for (number, line) in file.code() {
            for name in constructors.iter().filter(|name| calls(line, name)) {
                let message = format!("line {number}: only auth may call {GRANT}::{name}");
                findings.push(Finding::new(&file.path, message));
            }
            if renames(line) {
                let message = format!("line {number}: {GRANT} must keep its name");
                findings.push(Finding::new(&file.path, message));
            }
        }
    }
    Ok(findings)
}

fn may_issue(file: &Source) -> bool {
    file.is_test() || file.path == Path::new(HOME) || file.path.starts_with(ISSUER)
}

/// Public functions of the file that take no `self`.
fn constructors(home: &Source) -> Vec<String> {
    let code: String = home.code().map(|(_, line)| format!("{line}\n")).collect();
    let mut names = Vec::new();
    for part in code
        .split("pub fn ")
        .chain(code.split("pub const fn "))
        .skip(1)
    {
        let Some((name, rest)) = part.split_once('(') else {
            continue;
        };
        let name = name.split('<').next().unwrap_or_default();
        let takes_self = rest
            .split([',', ')'])
            .next()
            .is_some_and(|first| first.contains("self"));
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if is_name && !takes_self && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

fn calls(line: &str, constructor: &str) -> bool {
    let path = format!("{GRANT}::{constructor}");
    line.match_indices(&path).any(|(at, _)| {
        let after = line[at + path.len()..].chars().next();
        !after.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
    })
}

/// An alias would hide the calls from this rule.
fn renames(line: &str) -> bool {
    let line = line.trim();
    line.contains(&format!("{GRANT} as "))
        || (line.starts_with("type ") || line.contains(" type "))
            && line.ends_with(&format!("= {GRANT};"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::findings_in;

    const HOME_TEXT: &str = "impl Grant {\n  pub fn issue(\n    principal: P,\n  ) -> Self {}\n\
                             pub fn action(&self) -> Action {}\n}\n";

    #[test]
    fn only_auth_and_tests_may_issue() {
        let call = "fn f() { Grant::issue(p); }\n";
        let alias = "use oci::Grant as Pass;\n";
        let in_tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{ {call} }}\n");
        let tree = [
            (HOME, HOME_TEXT),
            ("crates/auth/src/policy.rs", call),
            ("crates/registry/src/tests.rs", call),
            ("crates/registry/src/tag.rs", in_tests.as_str()),
            ("crates/server/src/alias.rs", alias),
            ("crates/server/src/lib.rs", call),
        ];
        assert_eq!(
            findings_in(check, &tree),
            [
                "crates/server/src/alias.rs: line 1: Grant must keep its name",
                "crates/server/src/lib.rs: line 1: only auth may call Grant::issue",
            ]
        );
    }

    #[test]
    fn a_tree_without_a_grant_is_found() {
        assert_eq!(
            findings_in(check, &[("crates/oci/src/lib.rs", "")]).len(),
            1
        );
        assert_eq!(
            findings_in(check, &[(HOME, "pub struct Grant;\n")]).len(),
            1
        );
    }
}
