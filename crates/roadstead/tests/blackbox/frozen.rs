//! Processes that stand still for a while: the registry, or a client of it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{Blob, Image, Registry, SOON, Wire, noise, sha256, until};

/// How long the registry stands still.
const FROZEN: Duration = Duration::from_secs(3);

/// Case 119: nothing is lost, nothing is refused, and nobody takes its directory meanwhile.
#[test]
fn a_registry_that_was_frozen_goes_on_as_if_nothing_had_been() {
    let registry = Registry::start();
    let pushed: Mutex<Vec<(String, Image)>> = Mutex::default();
    let over = AtomicBool::new(false);
    let enough = |more: usize| {
        let wanted = pushed.lock().unwrap().len() + more;
        until("images are pushed", SOON, || {
            (pushed.lock().unwrap().len() >= wanted).then_some(())
        });
    };
    thread::scope(|scope| {
        for client in 0..8 {
            let (registry, pushed, over) = (&registry, &pushed, &over);
            scope.spawn(move || {
                let mut number = 0;
                while !over.load(Ordering::SeqCst) {
                    number += 1;
                    let seed = format!("frozen {client} {number}");
                    let layer = Blob::layer(&seed, 60_000);
                    let image = Image::of(&seed, vec![layer]);
                    registry.push_image(&format!("app{client}"), "latest", &image);
                    let entry = (format!("app{client}"), image);
                    pushed.lock().unwrap().push(entry);
                }
            });
        }
        enough(20);
        registry.signal(Signal::STOP);
        let frozen = Instant::now();
        let said = registry.builder().refused();
        assert!(said[0].contains("another process"), "{said:?}");
        while frozen.elapsed() < FROZEN {
            thread::park_timeout(FROZEN - frozen.elapsed());
        }
        registry.signal(Signal::CONT);
        enough(20);
        over.store(true, Ordering::SeqCst);
    });
    for (repository, image) in pushed.into_inner().unwrap() {
        registry.pull_image(&repository, &image.manifest.digest, &image);
    }
}

/// Case 119: a client that stands still for longer than the budget of a body is let go; what came
/// is kept, others do not notice, and it goes on from there when it moves again.
#[test]
fn a_client_that_was_frozen_goes_on_where_it_was() {
    let registry = Registry::configured(
        json!({ "http": { "limits": { "progresswindow": "1s", "minimumrate": 1024 } } }),
    );
    let bytes = noise("frozen client", 300_000);
    let session = registry.session("app");
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "PATCH {session} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        bytes.len()
    ));
    wire.write(&bytes[..100_000]);
    // It sends no more, and others are served until it is let go.
    let image = Image::new("meanwhile");
    registry.push_image("other", "tag", &image);
    registry.pull_image("other", "tag", &image);
    assert!(wire.read_all(SOON).closed);
    let offset = until("the session is free", SOON, || {
        let answer = registry.get(&session).send().expect(204);
        let last = answer.need("range").strip_prefix("0-")?.parse::<usize>();
        last.ok().filter(|last| *last > 0).map(|last| last + 1)
    });
    assert!(offset <= 100_000, "{offset}");
    registry
        .patch(&session)
        .header("Content-Range", format!("{offset}-299999"))
        .body(&bytes[offset..])
        .send()
        .expect(202);
    registry
        .close_upload(&session, &sha256(&bytes), b"")
        .expect(201);
    assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
}
