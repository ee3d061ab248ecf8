//! Which of our crates may use which: arrows point down only. Read from the manifests, so that a
//! dependency needed by tests alone counts as well.

use std::path::Path;

use anyhow::{Context, Result};

use super::Finding;

/// What each crate may name in its manifest. The binary wires everything together.
const ARROWS: &[(&str, &[&str])] = &[
    ("failpoint", &[]),
    ("oci", &[]),
    ("storage", &["oci", "failpoint"]),
    ("metadata", &["oci", "failpoint"]),
    ("registry", &["storage", "metadata", "oci", "failpoint"]),
    ("auth", &["storage", "metadata", "oci"]),
    ("server", &["auth", "registry", "oci", "failpoint"]),
    (
        "roadstead",
        &[
            "server",
            "auth",
            "registry",
            "storage",
            "metadata",
            "oci",
            "failpoint",
        ],
    ),
];

/// Finds arrows that are not drawn, and crates that the drawing does not know.
pub(crate) fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(root.join("crates"))? {
        folders.push(entry?.file_name().to_string_lossy().into_owned());
    }
    folders.sort();
    let mut findings = Vec::new();
    for name in folders {
        let path = Path::new("crates").join(&name).join("Cargo.toml");
        let manifest = std::fs::read_to_string(root.join(&path))
            .with_context(|| format!("cannot read {}", path.display()))?;
        let Some((_, allowed)) = ARROWS.iter().find(|(known, _)| *known == name) else {
            findings.push(Finding::new(
                &path,
                "is a crate that the arrows do not know",
            ));
            continue;
        };
        for used in uses(&manifest) {
            // A crate may name itself: that is how its tests switch a feature of its own on.
            if used != name && !allowed.contains(&used.as_str()) {
                findings.push(Finding::new(
                    &path,
                    format!("{name} must not depend on {used}"),
                ));
            }
        }
    }
    Ok(findings)
}

/// Our crates that a manifest depends on, by the names of their folders.
fn uses(manifest: &str) -> Vec<String> {
    let mut used = Vec::new();
    let mut in_dependencies = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            in_dependencies = section.ends_with("dependencies");
            if let Some((_, name)) = section.split_once("dependencies.") {
                used.extend(ours(name));
            }
        } else if in_dependencies {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            used.extend(ours(name));
        }
    }
    used
}

fn ours(name: &str) -> Option<String> {
    let name = name.trim_matches('"');
    match name.strip_prefix("roadstead-") {
        Some(short) => Some(short.to_owned()),
        None => (name == "roadstead").then(|| name.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::findings_in;

    #[test]
    fn arrows_that_point_down_pass() {
        let registry = "[dependencies]\nroadstead-oci.workspace = true\n\
                        roadstead-storage = { path = \"../storage\" }\n";
        assert_eq!(
            findings_in(check, &[("crates/registry/Cargo.toml", registry)]),
            [""; 0]
        );
    }

    #[test]
    fn an_arrow_up_or_across_is_found() {
        let storage = "[dev-dependencies]\nroadstead-metadata.workspace = true\n";
        let server = "[target.'cfg(unix)'.dependencies.roadstead-storage]\nworkspace = true\n";
        let tree = [
            ("crates/storage/Cargo.toml", storage),
            ("crates/server/Cargo.toml", server),
        ];
        assert_eq!(
            findings_in(check, &tree),
            [
                "crates/server/Cargo.toml: server must not depend on storage",
                "crates/storage/Cargo.toml: storage must not depend on metadata",
            ]
        );
    }

    #[test]
    fn a_new_crate_must_be_drawn_first() {
        let found = findings_in(check, &[("crates/web/Cargo.toml", "[dependencies]\n")]);
        assert_eq!(
            found,
            ["crates/web/Cargo.toml: is a crate that the arrows do not know"]
        );
    }
}
