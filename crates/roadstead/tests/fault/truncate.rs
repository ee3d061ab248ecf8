//! Case 110: `ftruncate` and `fallocate`. An ordinary push calls neither for its object: the one takes
//! off what a crash has left behind the bytes that count, and the log of the database is cut with it
//! when nobody writes.

use std::fs::File;
use std::io::Write;

use crate::harness::{Registry, SOON, noise, sha256, until};
use crate::push::{blob, check_kept, kept};
use crate::tracer::Tracer;
use crate::{needs, skipped};

const ERRORS: [&str; 6] = ["EIO", "ENOSPC", "EDQUOT", "EROFS", "EFBIG", "EINTR"];

/// Every call fails, but one that was interrupted, which is called again until it passes.
fn inject(error: &str) -> String {
    let when = if error == "EINTR" { "1" } else { "1+" };
    format!("ftruncate:error={error}:when={when}")
}

/// What a crash has left behind the bytes of an upload cannot be taken off: nothing becomes visible,
/// and once it can be, the blob has not a byte too many.
#[test]
fn an_object_that_cannot_be_cut_is_a_refusal() {
    if skipped("faults of ftruncate", needs(&["strace"])) {
        return;
    }
    let registry = Registry::start();
    let image = kept(&registry);
    for error in ERRORS {
        let bytes = noise(&format!("cut {error}"), 200_000);
        let digest = sha256(&bytes);
        let before = registry.objects();
        let session = registry.session("app");
        registry.patch(&session).body(&bytes).send().expect(202);
        let new = |path: &std::path::PathBuf| !before.contains(path);
        let object = registry.objects().into_iter().find(new).unwrap();
        let mut file = File::options().append(true).open(&object).unwrap();
        file.write_all(&noise("behind it", 5_000)).unwrap();
        let inject = inject(error);
        let tracer = Tracer::attach(&registry, &[&inject], Some(&object));
        let close = || registry.put(format!("{session}?digest={digest}"));
        let answer = close().send_any();
        let failed = tracer.detach();
        assert!(!failed.is_empty(), "{error}: ftruncate was not called");
        if error == "EINTR" {
            answer.expect(201);
            assert_eq!(registry.pull_blob("app", &digest), bytes);
            continue;
        }
        assert!([500, 503, 507].contains(&answer.status), "{answer:?}");
        assert!(!registry.has_blob("app", &digest), "{error}");
        check_kept(&registry, &image);
        // A full disk has the upload's bytes back; any other error leaves it for another try.
        let answer = close().send();
        if answer.status == 404 {
            until("the bytes are given back", SOON, || {
                (registry.objects().len() == before.len()).then_some(())
            });
            answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
            blob(&registry, &bytes).expect(201);
        } else {
            answer.expect(201);
        }
        assert_eq!(registry.pull_blob("app", &digest), bytes, "{error}");
    }
    check_kept(&registry, &image);
}

/// The log that cannot be cut is cut another time, or the process ends (case 109): either way all
/// that was acknowledged is there.
#[test]
fn a_log_that_cannot_be_cut_loses_nothing() {
    if skipped("faults of ftruncate", needs(&["strace"])) {
        return;
    }
    let mut registry = Registry::start();
    let image = kept(&registry);
    let mut acknowledged = Vec::new();
    for error in ERRORS {
        let log = registry.data().join("roadstead.db-wal");
        let inject = inject(error);
        let tracer = Tracer::attach(&registry, &[&inject], Some(&log));
        let bytes = noise(&format!("log {error}"), 20_000);
        blob(&registry, &bytes).expect(201);
        acknowledged.push(bytes);
        tracer.wait_for("ftruncate");
        assert!(!tracer.detach().is_empty(), "{error}");
        if !registry.is_running() {
            assert_eq!(registry.wait_for_exit().code(), Some(1), "{error}");
            registry = registry.restart();
        }
        for bytes in &acknowledged {
            assert_eq!(registry.pull_blob("app", &sha256(bytes)), *bytes, "{error}");
        }
        check_kept(&registry, &image);
    }
    registry.kill_9();
    let registry = registry.restart();
    for bytes in &acknowledged {
        assert_eq!(registry.pull_blob("app", &sha256(bytes)), *bytes);
    }
    check_kept(&registry, &image);
}

/// Whoever lets a push reserve its room by `fallocate` must let the call fail in these suites too.
#[test]
fn a_push_reserves_nothing_by_fallocate() {
    if skipped("a trace of fallocate", needs(&["strace"])) {
        return;
    }
    let registry = Registry::start();
    let inject = "fallocate:error=ENOSPC:when=1+";
    let tracer = Tracer::attach(&registry, &[inject], None);
    let image = kept(&registry);
    blob(&registry, &noise("large", 9 << 20)).expect(201);
    assert_eq!(tracer.detach(), Vec::<String>::new());
    check_kept(&registry, &image);
}
