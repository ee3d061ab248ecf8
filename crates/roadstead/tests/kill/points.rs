//! The points themselves: each is passed, each of the first start can be died at, and where the
//! disk fails at one nothing half is left.

use std::time::{Duration, Instant};

use roadstead_failpoint::POINTS;
use serde_json::json;

use crate::disk;
use crate::harness::{Builder, Image, Registry, SOON, noise, sha256, until};

/// What comes past every point, told by the registry itself.
#[test]
fn every_point_is_passed() {
    let soon = json!({ "enabled": true, "age": "1s", "interval": "1s" });
    let registry =
        Registry::configured(json!({ "storage": { "maintenance": { "uploadpurging": soon } } }));
    let image = Image::new("passed");
    registry.push_image("app", "tag", &image);
    let bytes = noise("passed", 200_000);
    let session = registry.session("app");
    registry.patch(&session).body(&bytes).send().expect(202);
    registry
        .close_upload(&session, &sha256(&bytes), b"")
        .expect(201);
    let (digest, from) = (sha256(&bytes), "app");
    let mount = format!("/v2/other/blobs/uploads/?mount={digest}&from={from}");
    registry.post(mount).send().expect(201);
    registry.delete("/v2/app/manifests/tag").send().expect(202);
    for target in [
        format!("/v2/app/manifests/{}", image.manifest.digest),
        format!("/v2/app/blobs/{}", image.layers[0].digest),
    ] {
        registry.delete(target).send().expect(202);
    }
    let cancelled = registry.session("app");
    registry.patch(&cancelled).body(&bytes).send().expect(202);
    registry.delete(&cancelled).send().expect(204);
    registry.patch(registry.session("app")).body(&bytes).send();
    let missing = || -> Vec<&str> {
        let log = registry.log();
        let passed = |name: &str| log.contains(&format!("failpoint: passed {name}@1\n"));
        let names = POINTS.iter().map(|point| point.name);
        names.filter(|name| !passed(name)).collect()
    };
    // Some are passed by what runs beside the requests.
    let limit = Instant::now() + SOON;
    while !missing().is_empty() && Instant::now() < limit {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert_eq!(missing(), [""; 0], "points that nothing passes");
}

/// What is made once is made whole, or made again.
#[test]
fn a_first_start_that_was_cut_off_is_made_up_for() {
    for name in [
        "storage::install::made",
        "storage::install::flushed",
        "metadata::create::built",
        "metadata::create::renamed",
    ] {
        let builder = Builder::new();
        let spec = format!("{name}=kill@1");
        let ended = builder.clone().env("ROADSTEAD_FAIL", &spec).try_start();
        let log = ended.err().unwrap_or_else(|| panic!("{name}: it started"));
        assert!(
            log.contains(&format!("failpoint: killed {name}@1")),
            "{log}"
        );
        let registry = builder.start();
        let image = Image::new(name);
        registry.push_image("app", "tag", &image);
        registry.pull_image("app", "tag", &image);
    }
}

/// A refused operation of the disk refuses the push, and the next one is as if it had not been.
#[test]
fn a_push_that_the_disk_refuses_leaves_nothing() {
    let bytes = noise("refused", 200_000);
    let digest = sha256(&bytes);
    let push = format!("/v2/app/blobs/uploads/?digest={digest}");
    for (name, action, status) in [
        ("storage::open::created", "error", 500),
        ("storage::open::created", "full", 507),
        ("storage::append::written", "error", 500),
        ("storage::append::written", "full", 507),
        ("storage::flush::begun", "error", 500),
        ("storage::flush::bytes", "error", 500),
        ("storage::flush::bytes", "full", 507),
    ] {
        let spec = format!("{name}={action}@1");
        let registry = Builder::new().env("ROADSTEAD_FAIL", &spec).start();
        let answer = registry.post(&push).body(&bytes).send_any();
        assert_eq!(answer.status, status, "{spec}: {answer:?}");
        assert!(!registry.has_blob("app", &digest), "{spec}");
        registry.post(&push).body(&bytes).send().expect(201);
        assert_eq!(registry.pull_blob("app", &digest), bytes);
        until("what was refused is removed", SOON, || {
            (registry.objects().len() == 1).then_some(())
        });
        assert!(disk::is_swept(&registry.data()));
    }
}

/// An object that cannot be removed stays in the trash and is removed later.
#[test]
fn what_cannot_be_removed_is_removed_later() {
    let spec = "storage::delete::begun=error@1";
    let mut registry = Builder::new().env("ROADSTEAD_FAIL", spec).start();
    let session = registry.session("app");
    let bytes = noise("removed later", 10_000);
    registry.patch(&session).body(&bytes).send().expect(202);
    registry.delete(&session).send().expect(204);
    registry.wait_for_log("it stays in the trash");
    assert_eq!(registry.objects().len(), 1);
    // It is tried again after seconds, by whatever start comes then: each looks once, at once.
    until("a start that removes it", SOON, || {
        registry.kill_9();
        registry = registry.builder().env("ROADSTEAD_FAIL", "").start();
        let looked = Instant::now() + Duration::from_millis(500);
        while !registry.objects().is_empty() && Instant::now() < looked {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        registry.objects().is_empty().then_some(())
    });
    assert!(disk::is_swept(&registry.data()));
}
