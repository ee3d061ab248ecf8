//! A registry that has little memory, or little of a processor.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::cgroup::Group;
use crate::harness::{Builder, Image, Manifest, OCI_IMAGE, Registry, noise, sha256};
use crate::push::{check_kept, debugged, kept};

const MIB: usize = 1 << 20;

/// Makes this many clients work at once, each in one of four ways, with blobs of `size_bytes`.
/// Every answer must be a success, and every byte right.
fn mixed_clients(registry: &Registry, count: usize, rounds: usize, size_bytes: usize) {
    let shared = noise("shared", 4 * size_bytes);
    let pulled = registry.push_blob("app", &shared);
    let image = Image::new("mixed");
    registry.push_blobs_of("app", &image);
    let work = |client: usize| {
        for round in 0..rounds {
            let name = format!("{client}-{round}");
            match client % 4 {
                0 => push_in_parts(registry, &noise(&name, size_bytes)),
                1 => assert_eq!(registry.pull_blob("app", &pulled), shared, "{name}"),
                2 => {
                    let mut padded = image.manifest.bytes.clone();
                    padded.resize(size_bytes / 4 + client, b' ');
                    let manifest = Manifest::raw(OCI_IMAGE, padded);
                    registry.put_manifest("app", &name, &manifest).expect(201);
                    let target = format!("/v2/app/manifests/{name}");
                    let answer = registry.get(&target).send().expect(200);
                    assert_eq!(answer.body, manifest.bytes, "{name}");
                    registry.delete(target).send().expect(202);
                }
                _ => {
                    let own = Image::new(&name);
                    registry.push_image(&format!("own/{client}"), "v1", &own);
                    registry.pull_image(&format!("own/{client}"), "v1", &own);
                }
            }
        }
    };
    thread::scope(|scope| {
        for client in 0..count {
            scope.spawn(move || work(client));
        }
    });
}

/// Two PATCHes and a closing request, then a look at what came of it.
fn push_in_parts(registry: &Registry, bytes: &[u8]) {
    let session = registry.session("app");
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    registry.patch(&session).body(first).send().expect(202);
    registry.patch(&session).body(rest).send().expect(202);
    let digest = sha256(bytes);
    registry.close_upload(&session, &digest, b"").expect(201);
    assert!(registry.has_blob("app", &digest));
}

/// Case 117: 128 MiB are enough, and nobody is killed or refused. Where no control group can be
/// made, the highest resident size stands in for it.
#[test]
fn two_hundred_mixed_clients_fit_in_128_mebibytes() {
    const LIMIT: u64 = 128 << 20;
    let group = Group::memory(LIMIT);
    let builder = Builder::new();
    let mut registry = match &group {
        Ok(group) => group.start(builder),
        Err(_) => builder.start(),
    };
    let image = kept(&registry);
    mixed_clients(&registry, 200, 4, 2 * MIB);
    let peak = registry.peak_memory_bytes();
    match &group {
        Ok(group) => {
            println!(
                "128 MiB by {}; resident at most {} MiB",
                group.version(),
                peak >> 20
            );
            assert_eq!(group.killed(), 0, "{}", registry.log());
        }
        Err(reason) => {
            println!(
                "no control group ({reason}); resident at most {} MiB",
                peak >> 20
            );
            assert!(peak < LIMIT, "{} MiB", peak >> 20);
        }
    }
    assert!(registry.is_running(), "{}", registry.log());
    check_kept(&registry, &image);
}

/// The longest that the health may take while everybody waits for the processor.
const HEALTH: Duration = Duration::from_secs(5);

/// Case 118: a fifth of a processor makes everything slow and nothing fail. Where no control group
/// can be made, the process is stopped for four fifths of the time.
#[test]
fn with_a_fifth_of_a_processor_every_client_is_served_and_the_health_answers() {
    let group = Group::processor(20);
    let builder = Builder::new().config(debugged(json!({})));
    let mut registry = match &group {
        Ok(group) => group.start(builder),
        Err(_) => builder.start(),
    };
    let image = kept(&registry);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Also where an assertion fails: else the scope would never end.
        let ended = SetOnDrop(&done);
        if group.is_err() {
            scope.spawn(|| stop_again_and_again(&registry, &done));
        }
        let clients = scope.spawn(|| mixed_clients(&registry, 60, 2, MIB / 4));
        // At least once, even where the clients are done at once.
        let (mut asked, mut slowest) = (0, Duration::ZERO);
        while asked == 0 || !clients.is_finished() {
            let begin = Instant::now();
            registry.health().expect(200);
            registry.get("/v2/").send().expect(200);
            slowest = slowest.max(begin.elapsed());
            asked += 1;
        }
        drop(ended);
        clients.join().unwrap();
        match &group {
            Ok(group) => println!("a fifth of a processor by {}", group.version()),
            Err(reason) => println!("no control group ({reason}): stopped and continued"),
        }
        println!("health asked {asked} times, {slowest:?} at most");
        assert!(slowest < HEALTH, "{slowest:?}");
    });
    if let Ok(group) = &group {
        assert!(group.throttled() > 0, "the quota was never used up");
    }
    assert!(registry.is_running(), "{}", registry.log());
    assert!(!registry.log().contains(" ERROR "), "{}", registry.log());
    // What waited is over: nothing is left behind that would slow down who comes later.
    let begin = Instant::now();
    check_kept(&registry, &image);
    registry.health().expect(200);
    assert!(begin.elapsed() < HEALTH, "{:?}", begin.elapsed());
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// 20 ms of every 100 are the process's.
fn stop_again_and_again(registry: &Registry, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        registry.signal(Signal::STOP);
        thread::park_timeout(Duration::from_millis(80));
        registry.signal(Signal::CONT);
        thread::park_timeout(Duration::from_millis(20));
    }
}
