use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use serde_json::Value;

use super::event::push_time;
use super::*;

fn event(number: usize) -> Event {
    Event {
        time: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
        request_id: number.to_string(),
        principal: "alice".to_owned(),
        claimed: String::new(),
        kind: "user",
        address: "192.0.2.1:1234".into(),
        method: "PUT".to_owned(),
        actions: "push".to_owned(),
        repository: "team/app".to_owned(),
        reference: "v1".to_owned(),
        decision: Decision::Allow,
        rule: Some("the \"first\"".to_owned()),
        status: 201,
        user_agent: "a\n{\"b\"}\u{1b}[31m".to_owned(),
    }
}

fn to_file(path: &Path) -> AuditSettings {
    AuditSettings {
        which: Which::All,
        path: Some(path.to_owned()),
        log: false,
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn times_are_those_of_the_calendar() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (951_868_799, "2000-02-29T23:59:59.000Z"),
        (951_868_800, "2000-03-01T00:00:00.000Z"),
        (1_735_689_599, "2024-12-31T23:59:59.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
    ] {
        let mut text = String::new();
        push_time(
            &mut text,
            SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        );
        assert_eq!(text, expected);
    }
}

#[test]
fn an_event_is_one_line_whatever_clients_write() {
    let mut line = String::new();
    event(7).write(&mut line);
    assert_eq!(line.lines().count(), 1);
    assert!(line.starts_with("{\"time\":\"2023-11-14T22:13:20.123Z\",\"request_id\":\"7\","));
    assert!(!line.contains('\u{1b}'), "{line}");
    let value: Value = serde_json::from_str(&line).unwrap();
    let expected = serde_json::json!({
        "time": "2023-11-14T22:13:20.123Z", "request_id": "7", "principal": "alice",
        "claimed": "", "kind": "user", "address": "192.0.2.1:1234", "method": "PUT", "actions": "push",
        "repository": "team/app", "reference": "v1", "decision": "allow",
        "rule": "the \"first\"", "status": 201, "user_agent": "a\n{\"b\"}\u{1b}[31m",
    });
    assert_eq!(value, expected);
}

#[test]
fn what_is_recorded_is_chosen() {
    use Decision::{Allow, Challenge, Deny};
    for (method, decision, expected) in [
        ("GET", Allow, [true, false, false]),
        ("PUT", Allow, [true, true, false]),
        ("DELETE", Allow, [true, true, false]),
        ("GET", Challenge, [true, false, false]),
        ("PUT", Challenge, [true, false, false]),
        ("GET", Deny, [true, true, true]),
        ("PUT", Deny, [true, true, true]),
    ] {
        let event = Event {
            method: method.to_owned(),
            decision,
            ..event(0)
        };
        let found = [Which::All, Which::Changes, Which::Denials].map(|which| which.has(&event));
        assert_eq!(found, expected, "{method} {decision:?}");
    }
}

#[test]
fn a_status_tells_what_was_decided() {
    for (status, credentials, expected) in [
        (200, false, Decision::Allow),
        (404, true, Decision::Allow),
        (401, false, Decision::Challenge),
        (401, true, Decision::Deny),
        (403, true, Decision::Deny),
        (429, false, Decision::Deny),
    ] {
        let status = http::StatusCode::from_u16(status).unwrap();
        assert_eq!(Decision::of(status, credentials), expected, "{status}");
    }
}

#[tokio::test]
async fn the_file_is_added_to_and_is_its_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    for round in 0..2 {
        let audit = Audit::start(&to_file(&path)).unwrap();
        for number in 0..100 {
            audit.record(event(number)).await;
        }
        audit.finish().await;
        let lines = lines(&path);
        assert_eq!(lines.len(), 100 * (round + 1));
        assert_eq!(lines[100 * round + 42]["request_id"], "42");
    }
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let nowhere = Audit::start(&to_file(&directory.path().join("no/audit.log")));
    assert!(nowhere.err().unwrap().to_string().contains("no/audit.log"));
}

#[tokio::test]
async fn a_line_that_was_broken_off_stays_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    std::fs::write(&path, "{\"half").unwrap();
    let audit = Audit::start(&to_file(&path)).unwrap();
    audit.record(event(1)).await;
    audit.finish().await;
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with("{\"half\n{\"time\""), "{text}");
}

#[tokio::test]
async fn a_file_that_was_moved_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (path, moved) = (directory.path().join("a"), directory.path().join("b"));
    let audit = Audit::start(&to_file(&path)).unwrap();
    audit.record(event(1)).await;
    std::fs::rename(&path, &moved).unwrap();
    audit.record(event(2)).await;
    audit.reopen().await;
    audit.record(event(3)).await;
    audit.finish().await;
    assert_eq!((lines(&moved).len(), lines(&path).len()), (2, 1));
}

#[tokio::test]
async fn one_that_cannot_be_opened_anew_is_a_problem_and_the_old_one_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let (path, moved) = (folder.join("a"), directory.path().join("moved"));
    let audit = Audit::start(&to_file(&path)).unwrap();
    std::fs::rename(&folder, &moved).unwrap();
    audit.reopen().await;
    audit.record(event(1)).await;
    audit.finish().await;
    assert_eq!(lines(&moved.join("a")).len(), 1);
}

#[tokio::test]
async fn what_finds_no_place_is_counted_where_it_is_missing() {
    // A thread that does nothing yet: the queue fills up.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    let shared = Arc::new(Shared {
        path: path.clone(),
        lost: AtomicU64::new(0),
        problem: ArcSwapOption::empty(),
    });
    let (queue, messages) = mpsc::channel(2);
    let audit = Audit {
        which: Which::All,
        log: false,
        file: Some(File {
            queue,
            shared: Arc::clone(&shared),
        }),
    };
    let read = |number| Event {
        method: "GET".to_owned(),
        ..event(number)
    };
    for number in 0..5 {
        audit.record(read(number)).await;
    }
    assert_eq!(shared.lost.load(Ordering::Acquire), 3);
    // A change waits for its place.
    let change = audit.record(event(5));
    tokio::pin!(change);
    assert!(futures_util::poll!(change.as_mut()).is_pending());
    let writer = writer::Writer::new(writer::open(&path).unwrap(), Arc::clone(&shared));
    let thread = std::thread::spawn(move || writer.run(messages));
    change.await;
    audit.finish().await;
    thread.join().unwrap();
    let lines = lines(&path);
    let lost: u64 = lines.iter().filter_map(|line| line["lost"].as_u64()).sum();
    assert_eq!(
        (
            lines.iter().filter(|line| line["lost"].is_null()).count(),
            lost
        ),
        (3, 3)
    );
    assert!(lines.iter().any(|line| line["request_id"] == "5"));
}

#[tokio::test]
async fn a_full_disk_holds_lines_back_and_then_they_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let audit = Audit::start(&to_file(&path)).unwrap();
    audit.record(event(1)).await;
    while audit.problem().is_none() {
        tokio::task::yield_now().await;
    }
    std::fs::remove_file(&path).unwrap();
    audit.record(event(2)).await;
    while audit.problem().is_some() {
        tokio::task::yield_now().await;
    }
    audit.finish().await;
    assert_eq!(lines(&path).len(), 2);
}
