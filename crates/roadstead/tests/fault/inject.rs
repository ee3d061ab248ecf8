//! Errors of single system calls while something is pushed, by `strace -e inject`: cases 108 to 110.
//!
//! For each call of the write path and each error, the n-th call fails, for n = 1, 2, … until a push
//! passes unharmed. `strace` counts the calls of each thread, so that several may fail in one push.
//! The long form (`ROADSTEAD_FAULTS=all`, which `cargo xtask faults` sets) knows no other end; the
//! short one takes a sample.

use crate::harness::{Builder, Image, Registry, Request, SOON, noise, sha256, until};
use crate::push::{blob, check_kept, kept};
use crate::tracer::Tracer;
use crate::{needs, skipped};

/// Calls of one thread that fail, in the long form.
const LONG: u32 = 200;
/// What the log says of an object that could not be removed.
const IN_TRASH: &str = "it stays in the trash";
/// In the short one.
const SHORT: u32 = 3;

fn long() -> bool {
    std::env::var("ROADSTEAD_FAULTS").is_ok_and(|value| value == "all")
}

/// What became of a push whose answers may be refusals, or not come at all.
#[derive(Default)]
struct Pushed {
    blob: bool,
    tagged: bool,
    statuses: Vec<u16>,
    /// The session of the blob that is to be there in the end.
    upload: Option<String>,
    sessions: Vec<String>,
    /// Those whose cancellation was refused.
    not_cancelled: Vec<String>,
}

impl Pushed {
    /// The status, 0 where there was no answer.
    fn ask(&mut self, request: Request) -> (u16, Option<String>) {
        let Ok(answer) = request.exchange() else {
            self.statuses.push(0);
            return (0, None);
        };
        self.statuses.push(answer.status);
        if answer.status == 503 {
            answer.need("retry-after");
        }
        let location = answer.header("location").map(str::to_owned);
        if answer.status == 202 && !self.sessions.contains(location.as_ref().unwrap()) {
            self.sessions.extend(location.clone());
        }
        (answer.status, location)
    }

    fn push(registry: &Registry, bytes: &[u8], tag: &str, image: &Image) -> Self {
        let mut pushed = Self::default();
        if let (202, Some(session)) = pushed.ask(registry.post("/v2/app/blobs/uploads/")) {
            pushed.upload = Some(session.clone());
            let halves = bytes.split_at(bytes.len() / 2);
            let both = [halves.0, halves.1]
                .iter()
                .all(|part| pushed.ask(registry.patch(&session).body(part)).0 == 202);
            let target = format!("{session}?digest={}", sha256(bytes));
            pushed.blob = both && pushed.ask(registry.put(target)).0 == 201;
        }
        let manifest = registry
            .put(format!("/v2/app/manifests/{tag}"))
            .header("Content-Type", &image.manifest.media_type)
            .body(&image.manifest.bytes);
        pushed.tagged = pushed.ask(manifest).0 == 201;
        // One that is given up, so that an object is removed.
        if let (202, Some(session)) = pushed.ask(registry.post("/v2/app/blobs/uploads/")) {
            pushed.ask(registry.patch(&session).body(&bytes[..10_000]));
            let cancelled = pushed.ask(registry.delete(&session)).0;
            if cancelled >= 500 {
                pushed.not_cancelled.push(session);
            }
        }
        pushed
    }
}

/// Makes `call` fail with each of the errors.
fn fail(call: &str, sample: &[&str], all: &[&str]) {
    if skipped(&format!("faults of {call}"), needs(&["strace"])) {
        return;
    }
    let (errors, most) = match long() {
        true => (all, LONG),
        false => (sample, SHORT),
    };
    let mut registry = Builder::new().start();
    let image = kept(&registry);
    let mut acknowledged: Vec<Vec<u8>> = Vec::new();
    let mut failed = 0;
    for error in errors {
        for nth in 1..=most {
            let name = format!("{call} {error} {nth}");
            let bytes = noise(&name, 600_000);
            let tag = format!("{call}-{error}-{nth}").to_lowercase();
            let before = registry.object_bytes();
            let trash = registry.log().matches(IN_TRASH).count();
            let inject = format!("{call}:error={error}:when={nth}");
            let tracer = Tracer::attach(&registry, &[&inject], None);
            let pushed = Pushed::push(&registry, &bytes, &tag, &image);
            if call == "unlinkat" {
                tracer.wait_for(call);
            }
            let injected = tracer.detach();
            failed += injected.len();
            let alive = check_answers(&mut registry, &name, &pushed, &injected, trash);
            if !alive {
                registry = registry.restart();
            }
            check_visible(&registry, &name, &pushed, &bytes, &tag, alive);
            check_kept(&registry, &image);
            if let Some(session) = &pushed.upload
                && *error == "EMFILE"
                && !pushed.blob
            {
                try_again(&registry, &name, session, &bytes);
            }
            // What says nothing of the bytes leaves the session for another try; a disk without room
            // has them back already.
            let full = ["ENOSPC", "EDQUOT", "EFBIG"].contains(error);
            let left = match full {
                true => &pushed.not_cancelled,
                false => &pushed.sessions,
            };
            for session in left {
                let answer = registry.delete(session).send();
                assert!([204, 404].contains(&answer.status), "{name}: {answer:?}");
            }
            // The same again, unharmed.
            let answer = blob(&registry, &bytes);
            assert_eq!(answer.status, 201, "{name}: {answer:?}");
            assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
            if alive {
                // Not a byte more, and none less.
                let full = before + bytes.len() as u64;
                until(&format!("{name}: what failed is given back"), SOON, || {
                    // A removal that failed is taken up again a minute later.
                    let later = registry.log().matches(IN_TRASH).count() > trash;
                    (later || registry.object_bytes() == full).then_some(())
                });
            }
            acknowledged.push(bytes);
            if injected.is_empty() {
                assert!(
                    pushed.blob && pushed.tagged,
                    "{name}: {:?}",
                    pushed.statuses
                );
                break;
            }
            assert!(nth < LONG, "{name}: it never passes unharmed");
        }
    }
    assert!(failed > 0, "{call} is not called on the way of a push");
    registry.kill_9();
    let registry = registry.restart();
    for bytes in acknowledged {
        assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
    }
    check_kept(&registry, &image);
}

/// An upload that was told to come later goes on where its session says, and succeeds.
fn try_again(registry: &Registry, name: &str, session: &str, bytes: &[u8]) {
    let answer = registry.get(session).send().expect(204);
    // No range at all, or `0-0` for none: there is no byte then, as this upload never has just one.
    let last = answer
        .header("range")
        .and_then(|range| range.split_once('-'));
    let offset = match last.map(|(_, last)| last.parse::<usize>().unwrap()) {
        None | Some(0) => 0,
        Some(last) => last + 1,
    };
    let answer = registry.close_upload(session, &sha256(bytes), &bytes[offset..]);
    assert_eq!(answer.status, 201, "{name}: {answer:?}");
    assert_eq!(registry.pull_blob("app", &sha256(bytes)), bytes, "{name}");
}

/// Whether the process lives, which it must unless the database's own files failed.
fn check_answers(
    registry: &mut Registry,
    name: &str,
    pushed: &Pushed,
    injected: &[String],
    trash: usize,
) -> bool {
    let database = injected.iter().any(|line| line.contains("roadstead.db"));
    let flush_of_log = injected.iter().any(|line| {
        line.contains("roadstead.db-wal")
            && (line.contains("fsync(") || line.contains("fdatasync("))
    });
    if flush_of_log || pushed.statuses.contains(&0) {
        // Case 109.
        assert!(database, "{name}: {injected:#?} {}", registry.log());
        let status = registry.wait_for_exit();
        assert_eq!(status.code(), Some(1), "{name}: {}", registry.log());
        return false;
    }
    for status in &pushed.statuses {
        // 404: what failed before has ended the session.
        let fits = matches!(status, 200..=299 | 404 | 500 | 503 | 507);
        assert!(fits, "{name}: {:?}", pushed.statuses);
    }
    if name.contains("EMFILE") {
        // Nothing is wrong but that it comes too early. `ask` has seen Retry-After.
        let early = |status: &u16| *status < 500 || *status == 503;
        let all = pushed.statuses.iter().all(early);
        assert!(all, "{name}: {:?}", pushed.statuses);
    }
    if !database && !name.contains("unlinkat") && injected.len() == 1 {
        let refused = pushed.statuses.iter().any(|status| *status >= 500);
        // A folder is opened to flush it, and for the removal of what a cancelled upload left: that
        // is taken up again, and is no reason to refuse the cancelling.
        let put_off =
            injected[0].contains("O_DIRECTORY") && registry.log().matches(IN_TRASH).count() > trash;
        assert!(
            refused || put_off,
            "{name}: {injected:#?} {:?}",
            pushed.statuses
        );
    }
    if registry.is_running() {
        return true;
    }
    assert!(database, "{name}: {injected:#?} {}", registry.log());
    assert_eq!(registry.wait_for_exit().code(), Some(1), "{name}");
    false
}

/// What was acknowledged is there, and what was not is there whole or not at all; where the process
/// lives, not at all.
fn check_visible(
    registry: &Registry,
    name: &str,
    pushed: &Pushed,
    bytes: &[u8],
    tag: &str,
    alive: bool,
) {
    let digest = sha256(bytes);
    let there = registry.has_blob("app", &digest);
    assert!(there || !pushed.blob, "{name}: acknowledged and not there");
    assert!(!there || pushed.blob || !alive, "{name}: refused and there");
    if there {
        assert_eq!(registry.pull_blob("app", &digest), bytes, "{name}");
    }
    let tagged = registry.tags("app").iter().any(|other| other == tag);
    assert!(tagged || !pushed.tagged, "{name}: the tag was lost");
    assert!(
        !tagged || pushed.tagged || !alive,
        "{name}: the tag is there"
    );
}

#[test]
fn an_object_that_cannot_be_opened_is_a_refusal() {
    let all = ["ENOSPC", "EIO", "EDQUOT", "EROFS", "EMFILE"];
    fail("openat2", &["EMFILE", "EIO"], &all);
}

/// Case 110.
#[test]
fn an_object_that_cannot_be_written_is_a_refusal() {
    let all = ["ENOSPC", "EIO", "EDQUOT", "EROFS", "EFBIG"];
    fail("pwritev", &["ENOSPC", "EIO"], &all);
}

/// Cases 109 and 110.
#[test]
fn a_log_that_cannot_be_written_is_a_refusal_or_the_end() {
    let all = ["ENOSPC", "EIO", "EDQUOT", "EROFS", "EFBIG"];
    fail("pwrite64", &["EDQUOT", "EIO"], &all);
}

/// Cases 108 and 109.
#[test]
fn bytes_that_cannot_be_flushed_are_a_refusal_or_the_end() {
    let all = ["EIO", "ENOSPC", "EDQUOT", "EROFS"];
    fail("fdatasync", &["EIO"], &all);
}

/// Cases 108 and 109.
#[test]
fn names_that_cannot_be_flushed_are_a_refusal_or_the_end() {
    let all = ["EIO", "ENOSPC", "EDQUOT", "EROFS"];
    fail("fsync", &["EIO"], &all);
}

#[test]
fn an_object_that_cannot_be_removed_is_nobodys_failure() {
    fail("unlinkat", &["EIO"], &["EIO", "EROFS", "ENOSPC"]);
}
