//! The audit log: who, what, from where, and what came of it; never a secret (R19).

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Builder, Image, SOON, until};

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn recording(which: &str) -> (Builder, std::path::PathBuf) {
    let builder = Builder::new();
    let path = builder.path("audit.log");
    let sections = json!({ "access": { "audit": { "path": path, "which": which } } });
    (
        builder.config(sections).users(&[("alice", "the secret")]),
        path,
    )
}

#[test]
fn who_did_what_is_on_record() {
    let (builder, path) = recording("all");
    let mut registry = builder.start();
    registry.get("/v2/").send().expect(401);
    registry
        .get("/v2/")
        .basic("alice", "wrong secret")
        .send()
        .expect(401);
    registry
        .get("/v2/team/app/manifests/v1")
        .basic("alice", "the secret")
        .header("User-Agent", "a\"b\\c")
        .send()
        .expect(404);
    let answer = registry
        .delete("/v2/team/app/manifests/v1")
        .basic("alice", "the secret")
        .send();
    let id = answer.need("x-request-id").to_owned();
    assert!(registry.terminate().success());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        !text.contains("secret") && !text.contains("Basic"),
        "{text}"
    );
    let lines = lines(&path);
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            let field = |name: &str| line[name].as_str().unwrap().to_owned();
            (
                field("principal"),
                field("method"),
                field("actions"),
                field("decision"),
            )
        })
        .collect();
    let expected = [
        ("", "GET", "", "challenge"),
        ("", "GET", "", "deny"),
        ("alice", "GET", "pull", "allow"),
        ("alice", "DELETE", "delete", "allow"),
    ];
    let expected =
        expected.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
    assert_eq!(found, expected, "{text}");
    let claimed: Vec<_> = lines.iter().map(|line| &line["claimed"]).collect();
    assert_eq!(claimed, ["", "alice", "", ""]);
    assert_eq!(lines[2]["user_agent"], "a\"b\\c");
    let last = &lines[3];
    assert_eq!(last["request_id"], id);
    assert_eq!(last["status"], answer.status);
    assert_eq!(
        (&last["repository"], &last["reference"]),
        (&json!("team/app"), &json!("v1"))
    );
    assert!(last["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(last["time"].as_str().unwrap().ends_with('Z'));
}

#[test]
fn a_refused_login_says_who_was_tried() {
    let builder = Builder::new();
    let path = builder.path("audit.log");
    let sections = json!({
        "http": { "host": "http://registry.example" },
        "access": { "preset": "private", "audit": { "path": path, "which": "all" } },
    });
    let mut registry = builder
        .config(sections)
        .users(&[("alice", "the secret")])
        .start();
    let token = "/auth/token?service=registry.example";
    let form = |form: &str| {
        registry
            .post("/auth/token")
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("service=registry.example&{form}"))
            .send()
    };
    registry.get(token).send().expect(401);
    registry.get(token).basic("eve", "wrong").send().expect(401);
    form("grant_type=password&username=mallory&password=wrong").expect(401);
    form("grant_type=refresh_token&refresh_token=wrong").expect(401);
    form("grant_type=password&username=alice&password=the+secret").expect(200);
    assert!(registry.terminate().success());
    let lines = lines(&path);
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            let field = |name: &str| line[name].as_str().unwrap();
            (field("principal"), field("claimed"), field("decision"))
        })
        .collect();
    let expected = [
        ("", "", "challenge"),
        ("", "eve", "deny"),
        ("", "mallory", "deny"),
        ("", "", "deny"),
        ("alice", "", "allow"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn only_what_was_asked_for_is_recorded() {
    let (builder, path) = recording("denials");
    let mut registry = builder.start();
    registry.get("/v2/").send().expect(401);
    registry
        .get("/v2/")
        .basic("alice", "the secret")
        .send()
        .expect(200);
    registry
        .post("/v2/a/blobs/uploads/")
        .basic("alice", "the secret")
        .send()
        .expect(202);
    registry
        .get("/v2/")
        .basic("alice", "wrong")
        .send()
        .expect(401);
    assert!(registry.terminate().success());
    let lines = lines(&path);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(
        (&lines[0]["decision"], &lines[0]["status"]),
        (&json!("deny"), &json!(401))
    );
}

#[test]
fn a_rotated_file_is_made_anew_and_nothing_is_missing() {
    let (builder, path) = recording("changes");
    let rotated = builder.path("audit.log.1");
    let sections = json!({ "auth": null });
    let mut registry = builder.config(sections).start();
    let image = Image::new("audited");
    registry.push_image("team/app", "v1", &image);
    std::fs::rename(&path, &rotated).unwrap();
    registry.push_image("team/app", "v2", &image);
    registry.signal(Signal::HUP);
    until("the new file", SOON, || path.exists().then_some(()));
    registry.push_image("team/app", "v3", &image);
    assert!(registry.terminate().success());
    let tags = |path: &Path| -> Vec<String> {
        let lines = lines(path);
        let manifests = lines.iter().filter(|line| line["method"] == "PUT");
        let references = manifests.map(|line| line["reference"].as_str().unwrap().to_owned());
        references
            .filter(|reference| reference.starts_with('v'))
            .collect()
    };
    assert_eq!(
        (tags(&rotated), tags(&path)),
        (
            vec!["v1".to_owned(), "v2".to_owned()],
            vec!["v3".to_owned()]
        )
    );
}

#[test]
fn it_can_be_a_part_of_the_log() {
    let sections = json!({ "access": { "audit": { "log": true } } });
    let registry = Builder::new().config(sections).start();
    registry
        .post("/v2/team/app/blobs/uploads/")
        .send()
        .expect(202);
    let line = registry.wait_for_log("decision=\"allow\"");
    assert!(
        line.contains("repository=\"team/app\"") && line.contains("audit"),
        "{line}"
    );
}

#[test]
fn a_file_that_cannot_be_written_stops_the_start() {
    let builder = Builder::new();
    let path = builder.path("nowhere/audit.log");
    let said = builder
        .config(json!({ "access": { "audit": { "path": path } } }))
        .refused();
    assert!(
        said.iter().any(|line| line.contains("nowhere/audit.log")),
        "{said:?}"
    );
}
