//! A database that is damaged between two starts (case 114), and where it may stand (case 116).

use std::fs;
use std::path::Path;

use crate::harness::{Builder, Image, Registry};
use crate::{needs, skipped};

/// What SQLite's pages have here.
const PAGE_BYTES: usize = 4096;

/// A registry with some images that was stopped cleanly.
fn stopped() -> (Registry, Vec<Image>) {
    let mut registry = Registry::start();
    let images: Vec<Image> = (0..20).map(|n| Image::new(&format!("image {n}"))).collect();
    for (n, image) in images.iter().enumerate() {
        registry.push_image("app", &format!("v{n}"), image);
    }
    assert!(registry.terminate().success());
    (registry, images)
}

fn check(registry: &Registry, images: &[Image]) {
    for (n, image) in images.iter().enumerate() {
        registry.pull_image("app", &format!("v{n}"), image);
    }
}

/// Names in the data directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Case 114: it says what to do, changes nothing, and starts once the database is back.
#[test]
fn a_database_that_is_cut_short_or_garbage_is_refused_with_instructions() {
    let (registry, images) = stopped();
    let database = registry.data().join("roadstead.db");
    let whole = fs::read(&database).unwrap();
    assert!(whole.len() > 8 * PAGE_BYTES);
    let mut damaged: Vec<(String, Vec<u8>)> = [
        0,
        50,
        100,
        PAGE_BYTES,
        PAGE_BYTES + 1,
        whole.len() / 2,
        whole.len() - PAGE_BYTES,
        whole.len() - 1,
    ]
    .map(|length| (format!("cut to {length}"), whole[..length].to_vec()))
    .into();
    for at in [0, 16, 100] {
        let mut bytes = whole.clone();
        bytes[at..PAGE_BYTES].fill(0xa5);
        damaged.push((format!("garbage from {at}"), bytes));
    }
    let before = names(&registry.data());
    for (what, bytes) in damaged {
        fs::write(&database, &bytes).unwrap();
        let said = registry.builder().refused();
        let said = said.join("\n");
        assert!(said.contains("roadstead.db"), "{what}: {said}");
        assert!(said.contains("put back a backup"), "{what}: {said}");
        assert_eq!(fs::read(&database).unwrap(), bytes, "{what}");
        // SQLite itself may take an empty log away.
        let after = names(&registry.data());
        assert!(
            after.iter().all(|it| before.contains(it)),
            "{what}: {after:?}"
        );
    }
    fs::write(&database, &whole).unwrap();
    check(&registry.builder().start(), &images);
}

/// Case 114: a garbage page that no start reads is found by the check that follows an unclean stop,
/// and never becomes a right-looking answer.
#[test]
fn a_garbage_page_is_told_after_an_unclean_stop_and_never_served() {
    let (registry, images) = stopped();
    let database = registry.data().join("roadstead.db");
    let mut bytes = fs::read(&database).unwrap();
    let last = bytes.len() / PAGE_BYTES;
    for page in 2..last {
        bytes[page * PAGE_BYTES..][..PAGE_BYTES].fill(0xa5);
    }
    let whole = fs::read(&database).unwrap();
    fs::write(&database, &bytes).unwrap();
    // What an unclean stop leaves: a log, here of no whole frame.
    fs::write(registry.data().join("roadstead.db-wal"), [0; 32]).unwrap();
    let started = registry.builder().try_start();
    if let Ok(mut registry) = started {
        registry.wait_for_log("the metadata database is damaged");
        for (n, image) in images.iter().enumerate() {
            let target = format!("/v2/app/manifests/v{n}");
            let Ok(answer) = registry.get(target).exchange() else {
                continue;
            };
            let right = answer.status == 200 && answer.body == image.manifest.bytes;
            assert!(right || answer.status >= 400, "{answer:?}");
        }
        registry.kill_9();
    }
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(
            registry.data().join(format!("roadstead.db{suffix}")),
        ));
    }
    fs::write(&database, whole).unwrap();
    check(&registry.builder().start(), &images);
}

/// Case 114: the log that has acknowledged changes, without the database that they belong to.
#[test]
fn a_log_without_its_database_is_refused_with_instructions() {
    let mut registry = Registry::start();
    registry.push_image("app", "v1", &Image::new("log"));
    registry.kill_9();
    let database = registry.data().join("roadstead.db");
    let moved = registry.builder().path("moved");
    fs::rename(&database, &moved).unwrap();
    let before = names(&registry.data());
    let said = registry.builder().refused();
    assert!(said[0].contains("put back"), "{said:?}");
    assert!(!database.exists());
    assert_eq!(names(&registry.data()), before);
    fs::rename(&moved, &database).unwrap();
    registry
        .restart()
        .pull_image("app", "v1", &Image::new("log"));
}

/// Case 114: the log alone, whose changes SQLite would not miss.
#[test]
fn a_database_whose_log_was_deleted_is_refused_with_instructions() {
    let mut registry = Registry::start();
    let image = Image::new("log");
    registry.push_image("app", "v1", &image);
    registry.kill_9();
    let log = registry.data().join("roadstead.db-wal");
    let moved = registry.builder().path("moved");
    fs::rename(&log, &moved).unwrap();
    let before = names(&registry.data());
    let said = registry.builder().refused().join("\n");
    for part in ["roadstead.db-wal is gone", "remove", "roadstead.db.lock"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(names(&registry.data()), before);
    fs::rename(&moved, &log).unwrap();
    registry = registry.restart();
    registry.pull_image("app", "v1", &image);
    // A clean stop needs no log, and neither does an end that others have made of it.
    assert!(registry.terminate().success());
    registry = registry.restart();
    registry.pull_image("app", "v1", &image);
    registry.kill_9();
    fs::remove_file(&log).unwrap();
    registry.builder().refused();
    fs::remove_file(registry.data().join("roadstead.db.lock")).unwrap();
    registry.restart();
}

/// Case 116: the kernel is made to say that the directory is on another file system.
#[test]
fn a_database_on_a_network_is_refused_and_one_in_memory_is_warned_of() {
    if skipped("file systems' magic numbers", needs(&["strace"])) {
        return;
    }
    let on = |magic: u32| {
        let builder = Builder::new();
        let number: String = magic
            .to_le_bytes()
            .map(|byte| format!("{byte:02x}"))
            .concat();
        let inject = format!("inject=fstatfs:poke_exit=@arg2={number}00000000");
        let log = builder.path("strace");
        // The tracer is no parent of the registry, which would go on where its parent is killed.
        let strace = [
            "strace",
            "-D",
            "-f",
            "-o",
            log.to_str().unwrap(),
            "-e",
            "trace=fstatfs",
        ];
        builder.through(&[&strace[..], &["-e", &inject]].concat())
    };
    for (magic, kind) in [
        (0x6969, "NFS"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x517b, "SMB"),
        (0x0102_1997, "9P"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
    ] {
        let builder = on(magic);
        let said = builder.refused();
        assert!(said[0].contains(kind), "{kind}: {said:?}");
        assert!(said[0].contains("metadata.sqlite.path"), "{said:?}");
        assert!(!builder.path("data/roadstead.db").exists(), "{kind}");
    }
    let mut registry = on(0x0102_1994).start();
    registry.wait_for_log("on tmpfs, everything is lost");
    registry.push_image("app", "v1", &Image::new("in memory"));
    registry.pull_image("app", "v1", &Image::new("in memory"));
    assert!(registry.is_running());
}
