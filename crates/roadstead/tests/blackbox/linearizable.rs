//! What clients see of a tag while others write it: one register, as if one request came after the
//! other.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Image, Manifest, Registry, Request, SOON, noise, until};
use crate::history::{self, Event, What};

/// How long the writers write.
const TIME: Duration = Duration::from_secs(2);

/// One write or read of a value, from before it was sent until after its answer.
#[derive(Clone, Debug)]
struct Operation {
    write: bool,
    digest: String,
    begin: Instant,
    end: Instant,
}

/// All operations on one value: where they are all over in time.
struct Zone {
    first_end: Instant,
    last_begin: Instant,
}

impl Zone {
    /// Some operation ended before another began: the value was current all the time between.
    fn forward(&self) -> bool {
        self.first_end < self.last_begin
    }
}

/// Checks a history in which every value is written once: it is linearizable exactly if no read
/// ends before its write begins, no two values had to be current at once, and none was written and
/// gone while another had to be current (Gibbons and Korach, 1997).
fn check_linearizable(history: &[Operation]) {
    let mut zones: HashMap<&str, Zone> = HashMap::new();
    let writes: HashMap<&str, &Operation> = history
        .iter()
        .filter(|operation| operation.write)
        .map(|operation| (operation.digest.as_str(), operation))
        .collect();
    for operation in history {
        let write = writes.get(operation.digest.as_str());
        let write = write.unwrap_or_else(|| panic!("nobody wrote {}", operation.digest));
        assert!(
            operation.end >= write.begin,
            "{} was read before it was written",
            operation.digest
        );
        let zone = zones.entry(&operation.digest).or_insert(Zone {
            first_end: operation.end,
            last_begin: operation.begin,
        });
        zone.first_end = zone.first_end.min(operation.end);
        zone.last_begin = zone.last_begin.max(operation.begin);
    }
    let forward: Vec<(&&str, &Zone)> = zones.iter().filter(|(_, zone)| zone.forward()).collect();
    for (index, (a, zone)) in forward.iter().enumerate() {
        for (b, other) in &forward[index + 1..] {
            let apart = zone.last_begin <= other.first_end || other.last_begin <= zone.first_end;
            assert!(apart, "{a} and {b} were both seen as current");
        }
        for (b, other) in zones.iter().filter(|(_, zone)| !zone.forward()) {
            let inside = zone.first_end < other.last_begin && other.first_end < zone.last_begin;
            assert!(!inside, "{b} came between two sights of {a}");
        }
    }
}

/// Case 63: 50 writers, and readers beside them.
#[test]
fn a_tag_is_a_linearizable_register() {
    let registry = Registry::start();
    let image = Image::new("register");
    registry.push_image("app", "tag", &image);
    let first = Operation {
        write: true,
        digest: image.manifest.digest.clone(),
        begin: Instant::now(),
        end: Instant::now(),
    };
    let history = Mutex::new(vec![first]);
    let end = Instant::now() + TIME;
    let record = |write, digest: &str, begin| {
        let operation = Operation {
            write,
            digest: digest.to_owned(),
            begin,
            end: Instant::now(),
        };
        history.lock().unwrap().push(operation);
    };
    thread::scope(|scope| {
        for writer in 0..50 {
            let (registry, image, record) = (&registry, &image, &record);
            scope.spawn(move || {
                for round in 0.. {
                    if Instant::now() > end {
                        return;
                    }
                    let note = json!({ "annotations": { "write": format!("{writer} {round}") } });
                    let manifest = image.manifest.with(&note);
                    let begin = Instant::now();
                    registry.put_manifest("app", "tag", &manifest).expect(201);
                    record(true, &manifest.digest, begin);
                }
            });
        }
        for reader in 0..8 {
            let (registry, record) = (&registry, &record);
            scope.spawn(move || {
                while Instant::now() < end {
                    let begin = Instant::now();
                    let request = match reader % 2 {
                        0 => registry.get("/v2/app/manifests/tag"),
                        _ => registry.head("/v2/app/manifests/tag"),
                    };
                    let answer = request.send().expect(200);
                    record(false, answer.need("docker-content-digest"), begin);
                }
            });
        }
    });
    let history = history.into_inner().unwrap();
    let (writes, reads): (Vec<_>, Vec<_>) = history.iter().partition(|operation| operation.write);
    assert!(
        writes.len() > 50 && reads.len() > 8,
        "{} writes, {} reads",
        writes.len(),
        reads.len()
    );
    check_linearizable(&history);
    // Every manifest that was written is there for ever.
    for operation in writes.iter().step_by(writes.len().div_ceil(50)) {
        registry
            .get(format!("/v2/app/manifests/{}", operation.digest))
            .send()
            .expect(200);
    }
}

/// Whoever reads while one client writes and deletes sees steps of the writer in their order.
#[test]
fn a_tag_never_goes_back_while_it_is_moved_and_deleted() {
    let registry = Registry::start();
    let image = Image::new("monotonic");
    registry.push_blobs_of("app", &image);
    registry
        .put_manifest("app", "other", &image.manifest)
        .expect(201);
    // Step 2n-1 puts the n-th manifest, step 2n deletes the tag.
    let (begun, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let steps: Mutex<HashMap<String, u64>> = Mutex::new(HashMap::new());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut last = 0;
                while !over.load(Ordering::SeqCst) {
                    let least = done.load(Ordering::SeqCst);
                    let answer = registry.head("/v2/app/manifests/tag").send();
                    let most = begun.load(Ordering::SeqCst);
                    let seen = match answer.status {
                        200 => steps.lock().unwrap()[answer.need("docker-content-digest")],
                        // Deleted: at the latest such step that there can have been.
                        404 => most - most % 2,
                        _ => panic!("{answer:?}"),
                    };
                    assert!(
                        (least..=most).contains(&seen),
                        "{seen} outside {least} to {most}"
                    );
                    assert!(seen >= last, "{seen} after {last}");
                    if answer.status == 200 {
                        last = seen;
                    } else {
                        last = last.max(least);
                    }
                }
            });
        }
        let end = Instant::now() + TIME;
        let mut step = 0;
        while Instant::now() < end {
            let manifest: Manifest = image
                .manifest
                .with(&json!({ "annotations": { "step": step.to_string() } }));
            steps
                .lock()
                .unwrap()
                .insert(manifest.digest.clone(), step + 1);
            begun.store(step + 1, Ordering::SeqCst);
            registry.put_manifest("app", "tag", &manifest).expect(201);
            done.store(step + 1, Ordering::SeqCst);
            begun.store(step + 2, Ordering::SeqCst);
            registry.delete("/v2/app/manifests/tag").send().expect(202);
            done.store(step + 2, Ordering::SeqCst);
            step += 2;
        }
        over.store(true, Ordering::SeqCst);
        assert!(step > 20, "{step}");
    });
    assert_eq!(registry.tags("app"), ["other"]);
}

/// Clients that put, read, list and delete a few tags, in a process that is killed and started again
/// under them: requests without an answer have happened up to the kill, or never.
#[test]
fn tags_are_linearizable_across_kills() {
    let mut registry = Registry::start();
    let image = Image::new("kills");
    registry.push_blobs_of("app", &image);
    registry
        .put_manifest("app", "other", &image.manifest)
        .expect(201);
    let lives = Mutex::new(vec![registry.address()]);
    let over = AtomicBool::new(false);
    let seen: Mutex<Vec<Seen>> = Mutex::default();
    let mut kills = Vec::new();
    thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (lives, over, seen, image) = (&lives, &over, &seen, &image);
            scope.spawn(move || {
                let mut client = Client::new(number, image);
                while !over.load(Ordering::SeqCst) {
                    let (life, at) = {
                        let lives = lives.lock().unwrap();
                        (lives.len() - 1, lives[lives.len() - 1])
                    };
                    let answered = client.act(at, life);
                    seen.lock().unwrap().append(&mut client.seen);
                    if !answered {
                        until("it is started again", SOON, || {
                            let dead = lives.lock().unwrap().len() == life + 1;
                            (!dead || over.load(Ordering::SeqCst)).then_some(())
                        });
                    }
                }
            });
        }
        for _ in 0..KILLS {
            let enough = seen.lock().unwrap().len() + 1_000;
            until("requests are answered", SOON, || {
                (seen.lock().unwrap().len() > enough).then_some(())
            });
            registry.kill_9();
            kills.push(Instant::now());
            registry = registry.builder().start();
            lives.lock().unwrap().push(registry.address());
        }
        let enough = seen.lock().unwrap().len() + 200;
        until("requests are answered", SOON, || {
            (seen.lock().unwrap().len() > enough).then_some(())
        });
        over.store(true, Ordering::SeqCst);
    });
    let seen = seen.into_inner().unwrap();
    let lost = seen.iter().filter(|seen| seen.end.is_none()).count();
    assert!(lost > 0, "no kill hit a request");
    for tag in TAGS {
        let history: Vec<Event> = seen
            .iter()
            .filter(|seen| seen.tag == tag)
            .filter_map(|seen| seen.event(&kills))
            .collect();
        assert!(history.len() > 500, "{tag}: {}", history.len());
        history::check(history).unwrap_or_else(|wrong| panic!("{tag}: {wrong}"));
    }
}

const CLIENTS: usize = 8;
const KILLS: usize = 4;
const TAGS: [&str; 3] = ["a", "b", "c"];

/// What a client saw of a tag in one life of the process.
struct Seen {
    tag: &'static str,
    what: What,
    begin: Instant,
    /// Without an answer it has none.
    end: Option<Instant>,
    life: usize,
}

impl Seen {
    /// `None`: it was sent to nobody.
    fn event(&self, kills: &[Instant]) -> Option<Event> {
        let end = self.end.unwrap_or_else(|| kills[self.life]);
        (self.begin <= end).then(|| Event {
            what: self.what.clone(),
            begin: self.begin,
            end,
            certain: self.end.is_some(),
        })
    }
}

/// Puts, reads, lists and deletes in a mixture that depends on its number alone.
struct Client<'i> {
    number: usize,
    step: usize,
    image: &'i Image,
    seen: Vec<Seen>,
}

impl<'i> Client<'i> {
    fn new(number: usize, image: &'i Image) -> Self {
        Self {
            number,
            step: 0,
            image,
            seen: Vec::new(),
        }
    }

    /// One request; whether it was answered.
    fn act(&mut self, at: SocketAddr, life: usize) -> bool {
        self.step += 1;
        let chance = noise(&format!("{} {}", self.number, self.step), 2);
        let tag = TAGS[usize::from(chance[0]) % TAGS.len()];
        let target = format!("/v2/app/manifests/{tag}");
        let begin = Instant::now();
        match chance[1] {
            0..90 => {
                let note =
                    json!({ "annotations": { "put": format!("{} {}", self.number, self.step) } });
                let manifest = self.image.manifest.with(&note);
                let put = Request::new(at, "PUT", &target)
                    .header("Content-Type", &manifest.media_type)
                    .body(&manifest.bytes);
                let answer = put.exchange().map(|answer| drop(answer.expect(201)));
                let what = What::Put(manifest.digest);
                self.saw(life, begin, answer.is_ok(), [(tag, what)]);
                answer.is_ok()
            }
            90..130 => {
                let answer = Request::new(at, "DELETE", &target).exchange();
                let what = match &answer {
                    Ok(answer) if answer.status == 404 => What::Absent,
                    Ok(answer) => {
                        assert_eq!(answer.status, 202, "{answer:?}");
                        What::Deleted
                    }
                    Err(_) => What::Deleted,
                };
                self.saw(life, begin, answer.is_ok(), [(tag, what)]);
                answer.is_ok()
            }
            130..150 => {
                let Ok(answer) = Request::new(at, "GET", "/v2/app/tags/list").exchange() else {
                    return false;
                };
                let list = answer.expect(200).json();
                let list = list["tags"].as_array().unwrap();
                let saw = TAGS.map(|tag| {
                    let present = list.iter().any(|listed| listed == tag);
                    (tag, if present { What::Present } else { What::Absent })
                });
                self.saw(life, begin, true, saw);
                true
            }
            _ => {
                let method = ["GET", "HEAD"][usize::from(chance[1]) % 2];
                let Ok(answer) = Request::new(at, method, &target).exchange() else {
                    return false;
                };
                let what = match answer.status {
                    404 => What::Absent,
                    _ => What::Found(answer.expect(200).need("docker-content-digest").to_owned()),
                };
                self.saw(life, begin, true, [(tag, what)]);
                true
            }
        }
    }

    fn saw<const N: usize>(
        &mut self,
        life: usize,
        begin: Instant,
        answered: bool,
        what: [(&'static str, What); N],
    ) {
        let end = answered.then(Instant::now);
        self.seen.extend(what.map(|(tag, what)| Seen {
            tag,
            what,
            begin,
            end,
            life,
        }));
    }
}

/// The check itself finds what is wrong.
#[test]
fn the_check_finds_stale_reads_and_values_from_nowhere() {
    let zero = Instant::now();
    let operation = |write, digest: &str, begin: u64, end: u64| Operation {
        write,
        digest: digest.to_owned(),
        begin: zero + Duration::from_millis(begin),
        end: zero + Duration::from_millis(end),
    };
    let fine = [
        operation(true, "a", 0, 10),
        operation(true, "b", 20, 40),
        operation(false, "a", 25, 30),
        operation(false, "b", 32, 38),
        operation(true, "c", 21, 39),
    ];
    check_linearizable(&fine);
    let stale = [
        operation(true, "a", 0, 10),
        operation(true, "b", 20, 30),
        operation(false, "a", 40, 50),
    ];
    let back = [
        operation(true, "a", 0, 10),
        operation(true, "b", 20, 100),
        operation(false, "b", 30, 40),
        operation(false, "a", 50, 60),
    ];
    let early = [operation(false, "a", 0, 10), operation(true, "a", 20, 30)];
    for wrong in [&stale[..], &back, &early] {
        let found = std::panic::catch_unwind(|| check_linearizable(wrong));
        assert!(found.is_err(), "{wrong:?}");
    }
}
