//! Errors of the disk while an object is read, by `strace -e inject`: the answer never looks whole,
//! and health and log say that the disk fails.

use crate::harness::{Builder, SOON, noise, sha256, until};
use crate::push::{blob, debugged};
use crate::tracer::Tracer;
use crate::{needs, skipped};

const FAILING: &str = "the disk is failing";

/// Pulls an object while calls on it fail; what `inject` names must be on the way.
fn check(injects: &[&str]) {
    if skipped("errors of reads", needs(&["strace"])) {
        return;
    }
    let registry = Builder::new()
        .config(debugged(serde_json::json!({})))
        .start();
    let bytes = noise("read", 600_000);
    let digest = sha256(&bytes);
    registry.push_blob("app", &bytes);
    let [object] = registry.objects().try_into().unwrap();
    assert_eq!(registry.health().expect(200).body, b"{}\n");
    let path = (!injects[0].starts_with("openat2")).then_some(&*object);
    let tracer = Tracer::attach(&registry, injects, path);
    let answer = registry.get(format!("/v2/app/blobs/{digest}")).exchange();
    if let Ok(answer) = answer {
        assert!(answer.status >= 500, "{answer:?}");
    }
    assert!(
        !tracer.detach().is_empty(),
        "no call of {injects:?} was made"
    );
    registry.wait_for_log(FAILING);
    let health = registry.health().expect(503);
    assert!(health.json()["disk"].as_str().unwrap().contains("failing"));
    // The object is as it was, and the disk counts as sound once content was flushed again.
    assert_eq!(registry.pull_blob("app", &digest), bytes);
    blob(&registry, &noise("flushed", 100_000)).expect(201);
    until("the disk works", SOON, || {
        (registry.health().status == 200).then_some(())
    });
    assert_eq!(registry.log().matches(FAILING).count(), 1);
}

#[test]
fn a_read_of_the_disk_that_fails_is_told() {
    // Not in the kernel's memory, so that a thread reads it.
    check(&["preadv2:error=EAGAIN", "pread64:error=EIO"]);
}

#[test]
fn an_error_while_the_kernel_sends_an_object_is_told() {
    check(&["sendfile:error=EIO"]);
}

#[test]
fn an_object_that_cannot_be_opened_for_a_read_is_told() {
    // By a name that no trace of a path finds; nothing else is opened so on the way of a pull.
    check(&["openat2:error=EIO"]);
}
