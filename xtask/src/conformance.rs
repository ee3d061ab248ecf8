//! The official conformance suite of the OCI distribution specification, four times.
//!
//! *Everything on*, against a registry that checks no references, because the suite pushes
//! manifests whose parts are nowhere: nothing may fail, err or be skipped. *Defaults*, against
//! the registry as it is configured out of the box: only tests of just those manifests may fail.
//! *Passwords* and *tokens*, everything on and nothing without a login: nothing may fail either.
//! Reports of all stay under `target/conformance/`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::registry::{self, Registry};
use crate::report::Report;
use crate::tools::Tools;
use crate::users::{self, PASSWORD, USER};
use crate::{command, http, test};

/// A registry that takes manifests whose parts are missing.
const UNCHECKED: &str = "validation: {disabled: true, manifests: {references: none}}\n";
/// What the newest draft of the specification leaves off by default; the rest `dev` switches on.
const EVERYTHING: &[(&str, &str)] = &[
    ("OCI_API_BLOBS_DIGEST_HEADER", "true"),
    ("OCI_API_BLOBS_UPLOAD_CANCEL", "true"),
    ("OCI_API_MANIFESTS_DIGEST_HEADER", "true"),
    ("OCI_API_MANIFESTS_TAG_PARAM", "true"),
    ("OCI_DATA_SPARSE", "true"),
];
/// How much of what a test said is printed, in characters; the report has all of it.
const SHOWN_CHARACTERS: usize = 200;
/// Groups of tests whose manifests name what is nowhere.
const UNREFERENCED: &[&str] = &[
    "OCI Conformance Test/sparse",
    "OCI Conformance Test/non-distributable-layers",
];
/// Tests of such a group that need the refused manifest to be there. Their blobs are ordinary.
const NEED_MANIFEST: &[&str] = &[
    "push/manifest-by-digest",
    "push/manifest-by-tag",
    "tag-list",
    "head/manifest-head-by-tag",
    "head/manifest-head-by-digest",
    "pull/manifest-by-tag",
    "pull/manifest-by-digest",
    "delete/tag-delete",
    "delete/manifest-delete",
];

/// How the suite's user shows who it is.
#[derive(Clone, Copy, PartialEq)]
enum Login {
    /// Everybody may do everything.
    None,
    /// By a password with each request.
    Basic,
    /// By tokens of the registry, got with the password.
    Tokens,
}

/// One run of the suite.
struct Run {
    /// What its report is called.
    name: &'static str,
    /// Sections of the registry's configuration.
    extra: &'static str,
    login: Login,
    /// Which tests may fail.
    permitted: fn(&str) -> bool,
}

/// Runs the suite four times.
///
/// # Errors
/// Where a test fails that may not fail.
pub(crate) fn run(report: &mut Report, binary: Option<PathBuf>) -> Result<()> {
    let tools = Tools::provide(&["conformance"]);
    let suite = match tools.path("conformance") {
        Ok(path) => path.to_owned(),
        Err(reason) => return report.skip("conformance", &reason),
    };
    let binary = registry::binary(binary)?;
    let everything = |name, login| Run {
        name,
        extra: UNCHECKED,
        login,
        permitted: |_| false,
    };
    let defaults = Run {
        name: "defaults",
        extra: "",
        login: Login::None,
        permitted: refused_by_default,
    };
    for (what, run) in [
        ("everything on", everything("everything", Login::None)),
        ("default configuration", defaults),
        ("with passwords", everything("passwords", Login::Basic)),
        ("with tokens", everything("tokens", Login::Tokens)),
    ] {
        report.step(&format!("conformance, {what}"), |_| {
            run_suite(&suite, &binary, &run)
        })?;
    }
    Ok(())
}

/// A leaf of the suite's tree of tests.
#[derive(Debug, PartialEq, Eq)]
struct Case {
    name: String,
    /// `passed`, `skipped`, `failure` or `error`.
    status: String,
    /// Why it did not pass.
    said: String,
}

fn run_suite(suite: &Path, binary: &Path, run: &Run) -> Result<()> {
    let results = test::target_directory().join("conformance").join(run.name);
    if results.exists() {
        std::fs::remove_dir_all(&results)?;
    }
    std::fs::create_dir_all(&results)?;
    let mut command = Command::new(suite);
    let registry = if run.login == Login::None {
        Registry::start(binary, run.extra, &[])?
    } else {
        command
            .env("OCI_USERNAME", USER)
            .env("OCI_PASSWORD", PASSWORD);
        let passwords = users::passwords(&results)?;
        let extra = format!("{}{passwords}access: {{preset: private}}\n", run.extra);
        let registry = match run.login {
            Login::Tokens => Registry::start_with_url(binary, &extra)?,
            Login::None | Login::Basic => Registry::start(binary, &extra, &[])?,
        };
        expect_challenge(&registry, run.login)?;
        registry
    };
    // The exit code says only that something failed; the report says what.
    let output = command::attempt(
        command
            .current_dir(&results)
            .env("OCI_REGISTRY", registry.address().to_string())
            .env("OCI_TLS", "disabled")
            .env("OCI_VERSION", "dev")
            .env("OCI_RESULTS_DIR", &results)
            .envs(EVERYTHING.iter().copied()),
    )?;
    std::fs::write(results.join("output.txt"), output.stdout)?;
    std::fs::write(results.join("registry.log"), registry.log())?;
    let junit = std::fs::read_to_string(results.join("junit.xml"))
        .with_context(|| format!("the suite left no report:\n{}", output.stderr))?;
    println!("    reports in {}", results.display());
    judge(&parse(&junit), run.permitted)?;
    registry.stop()
}

/// Checks that the suite has to log in as it is meant to.
fn expect_challenge(registry: &Registry, login: Login) -> Result<()> {
    let answer = http::request(registry.address(), "GET", "/v2/")?;
    let challenge = answer.header("WWW-Authenticate").unwrap_or_default();
    let scheme = match login {
        Login::Tokens => "Bearer ",
        Login::None | Login::Basic => "Basic ",
    };
    ensure!(
        answer.status == 401 && challenge.starts_with(scheme),
        "the registry answers {} with the challenge `{challenge}`",
        answer.status
    );
    Ok(())
}

/// Prints counts and every case that did not pass; fails on one that is not permitted to.
fn judge(cases: &[Case], permitted: fn(&str) -> bool) -> Result<()> {
    let count = |status: &str| cases.iter().filter(|case| case.status == status).count();
    println!(
        "    {} tests: {} passed, {} failed, {} errors, {} skipped",
        cases.len(),
        count("passed"),
        count("failure"),
        count("error"),
        count("skipped")
    );
    if count("passed") == 0 {
        bail!("the suite ran no tests");
    }
    let mut refused = 0;
    for case in cases.iter().filter(|case| case.status != "passed") {
        let verdict = if permitted(&case.name) {
            "permitted"
        } else {
            "NOT PERMITTED"
        };
        let said: String = case.said.chars().take(SHOWN_CHARACTERS).collect();
        println!("    {verdict}: {} {}: {said}", case.status, case.name);
        refused += usize::from(!permitted(&case.name));
    }
    if refused > 0 {
        bail!("{refused} tests did not pass");
    }
    Ok(())
}

/// Whether a registry that checks references cannot pass a test.
fn refused_by_default(name: &str) -> bool {
    UNREFERENCED.iter().any(|group| {
        let rest = name
            .strip_prefix(group)
            .and_then(|rest| rest.strip_prefix('/'));
        rest.is_some_and(|rest| NEED_MANIFEST.contains(&rest))
    })
}

/// Reads the cases of a JUnit report. Its values are escaped, so a tag begins where `<` stands.
fn parse(junit: &str) -> Vec<Case> {
    let cases = junit.split("<testcase ").skip(1);
    cases
        .filter_map(|case| {
            let tag = case.split('>').next()?;
            let said = case.split_once("<system-out>").map_or("", |(_, rest)| rest);
            let said = unescape(said.split("</system-out>").next()?);
            let (name, status) = (attribute(tag, "name")?, attribute(tag, "status")?);
            Some(Case { name, status, said })
        })
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = format!("{name}=\"");
    let position = tag
        .match_indices(&start)
        .find(|(at, _)| *at == 0 || tag[..*at].ends_with(' '))
        .map(|(at, _)| at + start.len())?;
    let value = tag[position..].split('"').next()?;
    Some(unescape(value))
}

fn unescape(text: &str) -> String {
    let text = text
        .replace("&#xA;", "; ")
        .replace("&#34;", "\"")
        .replace("&#39;", "'");
    text.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_gives_names_and_states() {
        let junit = r#"<testsuite name="x"><testcase name="a/b" classname="" status="passed">
            <system-err>&lt;testcase name=&#34;no&#34;</system-err></testcase>
            <testcase name="OCI Conformance Test/sparse/tag-list" classname="" status="failure">
            <system-out>no&#xA;&#34;tag&#34;</system-out></testcase></testsuite>"#;
        let cases = parse(junit);
        assert_eq!(cases.len(), 2);
        assert_eq!(
            (cases[0].name.as_str(), cases[0].status.as_str()),
            ("a/b", "passed")
        );
        assert_eq!(cases[1].said, "no; \"tag\"");
        assert!(refused_by_default(&cases[1].name) && !refused_by_default(&cases[0].name));
        assert!(!refused_by_default(
            "OCI Conformance Test/sparse/push/blob-post-put"
        ));
        assert!(judge(&cases, refused_by_default).is_ok());
        assert!(judge(&cases, |_| false).is_err());
    }

    #[test]
    fn an_empty_report_is_no_success() {
        assert!(judge(&[], |_| true).is_err());
    }
}
