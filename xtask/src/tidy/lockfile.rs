//! Lowest versions of dependencies that had a security advisory. The table works without network
//! and holds whatever the advisory database says of a crate that is in use or may come in.

use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;

/// Crate, lowest version without the flaw, advisory.
const MINIMUM: &[(&str, &str, &str)] = &[
    ("aws-lc-sys", "0.39.0", "RUSTSEC-2026-0044 to 0048"),
    ("bcrypt", "0.19.3", "RUSTSEC-2026-0199"),
    ("bytes", "1.11.1", "RUSTSEC-2026-0007"),
    ("h2", "0.4.16", "RUSTSEC-2026-0258"),
    ("hyper", "0.14.10", "RUSTSEC-2021-0078, RUSTSEC-2021-0079"),
    (
        "libsqlite3-sys",
        "0.38.0",
        "RUSTSEC-2022-0090; bundles SQLite 3.51.3, which mends its WAL",
    ),
    ("lru", "0.18.2", "RUSTSEC-2026-0253"),
    ("object_store", "0.10.2", "RUSTSEC-2024-0358"),
    ("regex", "1.5.5", "RUSTSEC-2022-0013"),
    ("ring", "0.17.12", "RUSTSEC-2025-0009"),
    ("rustls", "0.23.18", "RUSTSEC-2024-0336, RUSTSEC-2024-0399"),
    (
        "rustls-webpki",
        "0.103.13",
        "RUSTSEC-2026-0049, 0098, 0099, 0104",
    ),
    ("shlex", "1.3.0", "RUSTSEC-2024-0006"),
    ("slab", "0.4.11", "RUSTSEC-2025-0047"),
    ("smallvec", "1.6.1", "RUSTSEC-2021-0003"),
    ("sqlx", "0.8.1", "RUSTSEC-2024-0363"),
    ("thread_local", "1.1.4", "RUSTSEC-2022-0006"),
    ("tokio", "1.44.2", "RUSTSEC-2025-0023"),
    ("tokio-postgres", "0.7.18", "RUSTSEC-2026-0178"),
    ("tracing-subscriber", "0.3.20", "RUSTSEC-2025-0055"),
];

/// Finds locked versions below the table.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let text =
        std::fs::read_to_string(root.join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let mut findings = Vec::new();
    for (name, version) in packages(&text) {
        let Some((_, minimum, advisory)) = MINIMUM.iter().find(|(known, ..)| *known == name) else {
            continue;
        };
        if number(version) < number(minimum) {
            let message = format!("{name} {version} must be {minimum} or newer: {advisory}");
            findings.push(Finding::new("Cargo.lock", message));
        }
    }
    Ok(findings)
}

/// Names and versions, in the order of the file: each name line is followed by its version.
fn packages(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("[[package]]").skip(1).filter_map(|package| {
        let field = |key: &str| {
            package
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_suffix('"'))
        };
        Some((field("name = \"")?, field("version = \"")?))
    })
}

/// Major, minor and patch; a pre-release or build part is ignored.
fn number(version: &str) -> [u64; 3] {
    let mut numbers = [0; 3];
    let release = version.split(['-', '+']).next().unwrap_or_default();
    for (place, part) in numbers.iter_mut().zip(release.split('.')) {
        *place = part.parse().unwrap_or(0);
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::findings_in;

    #[test]
    fn versions_below_the_table_are_found() {
        let lock = "version = 4\n\n[[package]]\nname = \"h2\"\nversion = \"0.4.9\"\n\n\
                    [[package]]\nname = \"bytes\"\nversion = \"1.12.0\"\n";
        let found = findings_in(check, &[("Cargo.lock", lock)]);
        let expected = "Cargo.lock: h2 0.4.9 must be 0.4.16 or newer: RUSTSEC-2026-0258";
        assert_eq!(found, [expected]);
    }

    #[test]
    fn the_table_names_each_crate_once_and_in_order() {
        assert!(
            MINIMUM
                .windows(2)
                .all(|pair| matches!(pair, [one, two] if one.0 < two.0))
        );
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert!(number("0.4.16") > number("0.4.9"));
        assert!(number("1.0.0-rc.1") >= number("1.0.0"));
    }
}
