//! A wall clock that jumps, under a registry that runs and between its starts.
//!
//! What is expected: content, tags and leases do not depend on the clock at all, or only in the
//! direction that keeps more. Idle uploads end by the wall clock only as far as the process has seen
//! that time pass; what looks expired after a start is kept for an hour, since nobody can tell a
//! clock that was wrong from years that passed.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use crate::harness::{Builder, Image, Registry, noise, sha256};

/// A clock that a file sets, under a process that has the library in it.
struct Clock {
    file: PathBuf,
}

impl Clock {
    /// Lays it under the registry; `None` where the library is not here, which CI does not allow.
    fn under(builder: Builder) -> Option<(Clock, Builder)> {
        let Some(library) = library() else {
            assert!(
                std::env::var_os("CI").is_none(),
                "libfaketime is not here: install the package faketime"
            );
            eprintln!("skipped: libfaketime is not here");
            return None;
        };
        let clock = Clock {
            file: builder.path("clock"),
        };
        clock.set("+0");
        let builder = builder
            .env("LD_PRELOAD", library.to_str().unwrap())
            .env("FAKETIME_TIMESTAMP_FILE", clock.file.to_str().unwrap())
            .env("FAKETIME_NO_CACHE", "1")
            // The wall clock alone jumps.
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        Some((clock, builder))
    }

    /// Sets it this far from the right time.
    fn set(&self, offset: &str) {
        // By a rename, since it is read at every look at the clock.
        let new = self.file.with_extension("new");
        std::fs::write(&new, offset).unwrap();
        std::fs::rename(&new, &self.file).unwrap();
    }
}

fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    folders
        .filter_map(|folder| Some(folder.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .find(|path| path.exists())
}

const DAY: &str = "1d";
const TEN_YEARS: &str = "3650d";

/// Case 120, content: whatever the clock says, everything is there and can be changed.
#[test]
fn a_clock_that_jumps_loses_and_stops_nothing() {
    let Some((clock, builder)) = Clock::under(Builder::new()) else {
        return;
    };
    let mut registry = builder.start();
    let image = Image::new("first");
    registry.push_image("app", "first", &image);
    let bytes = noise("across jumps", 120_000);
    let (session, mut sent) = (registry.session("app"), 0);
    let mut lease = lease(&registry.data(), &image.layers[0].digest);
    let mut years = Vec::new();
    let jumps = [DAY, TEN_YEARS]
        .into_iter()
        .flat_map(|by| [format!("+{by}"), format!("-{by}"), "+0".to_owned()]);
    for (number, jump) in jumps.enumerate() {
        clock.set(&jump);
        for restarted in [false, true] {
            if restarted {
                registry = registry.restart();
            }
            registry.pull_image("app", "first", &image);
            let pushed = Image::new(&format!("{number} {restarted}"));
            registry.push_image("app", "moving", &pushed);
            registry.pull_image("app", "moving", &pushed);
            registry
                .put_manifest("app", "doomed", &pushed.manifest)
                .expect(201);
            registry
                .delete("/v2/app/manifests/doomed")
                .send()
                .expect(202);
            assert_eq!(registry.tags("app"), ["first", "moving"]);
            // Who may push asks for it, which may renew its lease and never shortens it.
            assert!(registry.has_blob("app", &image.layers[0].digest));
            let now = self::lease(&registry.data(), &image.layers[0].digest);
            assert!(
                now >= lease,
                "{jump}: the lease ends earlier by {}",
                lease - now
            );
            lease = now;
            let to = sent + 10_000;
            registry
                .patch(&session)
                .header("Content-Range", format!("{sent}-{}", to - 1))
                .body(&bytes[sent..to])
                .send()
                .expect(202);
            sent = to;
        }
        let date = registry.get("/v2/").send().need("date").to_owned();
        years.push(date.split(' ').nth(3).unwrap().parse::<i64>().unwrap());
    }
    // The clock did jump: the fourth was ten years ahead, the fifth ten years behind.
    assert!(years[3] - years[4] >= 19, "{years:?}");
    registry
        .close_upload(&session, &sha256(&bytes), b"")
        .expect(201);
    assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
    assert!(!registry.log().contains("panicked"), "{}", registry.log());
}

/// Case 120, uploads: a day's jump between two starts ends none, and ten years, of which nobody can
/// tell whether they passed, leave time to go on.
#[test]
fn an_upload_can_be_gone_on_with_after_a_start_under_another_clock() {
    let purging = json!({ "enabled": true, "age": "168h", "interval": "1s" });
    let builder = Builder::new()
        .config(json!({ "storage": { "maintenance": { "uploadpurging": purging } } }));
    let Some((clock, builder)) = Clock::under(builder) else {
        return;
    };
    let mut registry = builder.start();
    let bytes = noise("idle", 50_000);
    let begin = |registry: &Registry| {
        let session = registry.session("app");
        let answer = registry.patch(&session).body(&bytes[..20_000]).send();
        answer.expect(202);
        session
    };
    let check = |registry: &Registry, session: &str| {
        let answer = registry.get(session).send().expect(204);
        answer.expect_header("range", "0-19999");
    };
    let kept = begin(&registry);
    for jump in [format!("+{DAY}"), format!("-{DAY}"), "+0".to_owned()] {
        clock.set(&format!("-{TEN_YEARS}"));
        // Under the clock of before: this process began under the right one.
        assert!(registry.terminate().success());
        registry = registry.builder().start();
        let early = begin(&registry);
        assert!(registry.terminate().success());
        clock.set(&jump);
        registry = registry.builder().start();
        registry.wait_for_log(LEFT_ALONE);
        check(&registry, &kept);
        check(&registry, &early);
        let digest = sha256(&bytes);
        let answer = registry.close_upload(&early, &digest, &bytes[20_000..]);
        answer.expect(201);
    }
    let image = Image::new("content");
    registry.push_image("app", "tag", &image);
    assert!(registry.terminate().success());
    clock.set(&format!("+{TEN_YEARS}"));
    registry = registry.builder().start();
    registry.wait_for_log(LEFT_ALONE);
    check(&registry, &kept);
    registry.pull_image("app", "tag", &image);
    assert!(!registry.log().contains("expired upload sessions removed"));
}

/// What the log says of sessions that look expired after a start.
const LEFT_ALONE: &str = "they are kept for a while after the start";

/// When the lease of a blob ends, in microseconds.
fn lease(data: &Path, digest: &str) -> i64 {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let database = Connection::open_with_flags(data.join("roadstead.db"), flags).unwrap();
    let query = "SELECT lease_until FROM blob WHERE digest = ?1";
    database
        .query_row(query, [digest], |row| row.get(0))
        .unwrap()
}
