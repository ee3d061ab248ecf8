//! Disks without room: cases 110 to 112 on small file systems, and R31.

use serde_json::json;

use crate::harness::{
    Answer, Builder, Image, Manifest, OCI_IMAGE, Registry, SOON, noise, sha256, until,
};
use crate::mount::Mounted;
use crate::push::{blob, check_kept, debugged, kept, session};
use crate::{needs, skipped};

const MIB: usize = 1 << 20;

/// Lines of the log about how the disk is.
fn told(registry: &Registry, part: &str) -> usize {
    let log = registry.log();
    log.lines().filter(|line| line.contains(part)).count()
}

/// R31, case 110.
#[test]
fn a_push_that_does_not_fit_is_refused_and_gives_everything_back() {
    let reason = needs(&["mount", "mkfs.ext4"]);
    if skipped("a disk of 24 MiB", reason) {
        return;
    }
    let builder = Builder::new();
    let disk = Mounted::ext4(builder.path("data"), 24 << 20);
    let mut registry = builder.config(debugged(json!({}))).start();
    let image = kept(&registry);
    // Everything that has a place of its own has it now.
    blob(&registry, &noise("before", 2 * MIB)).expect(201);
    let start = disk.free_bytes();
    let mut objects = registry.object_bytes();
    let settled = |what: &str, objects: u64| {
        until(what, SOON, || {
            // Of content exactly; the database and its log grow by a row now and then.
            let given_back = registry.object_bytes() == objects;
            (given_back && disk.free_bytes() + 128 * 1024 >= start).then_some(())
        });
    };
    let block = noise("too much", MIB);
    // One that says how long it is: nothing of it is taken.
    let session = session(&registry).unwrap();
    let answer = registry.patch(&session).repeated(&block, 40).send_any();
    let answer = answer.expect_error(507, "UNAVAILABLE");
    assert!(answer.reason().contains("full"), "{answer:?}");
    settled("nothing is taken", objects);
    // Nobody knows how long these are.
    let parts: Vec<&[u8]> = (0..40).map(|_| block.as_slice()).collect();
    for target in [
        session.clone(),
        format!("{session}?digest={}", sha256(b"another")),
        format!("/v2/app/blobs/uploads/?digest={}", sha256(b"another")),
    ] {
        let method = match (target.contains("uploads/?"), target.contains('?')) {
            (true, _) => "POST",
            (false, true) => "PUT",
            (false, false) => "PATCH",
        };
        let answer = registry.request(method, &target).chunked(&parts).send_any();
        if method == "PUT" {
            // The PATCH ended it.
            answer.expect_error(404, "BLOB_UPLOAD_UNKNOWN");
        } else {
            answer.expect_error(507, "UNAVAILABLE");
        }
        check_kept(&registry, &image);
        settled("the bytes are given back", objects);
        blob(&registry, &noise(&target, 10_000)).expect(201);
        objects += 10_000;
    }
    assert!(registry.is_running());
    registry.push_image("app", "after", &Image::new("after"));
    registry.pull_image("app", "after", &Image::new("after"));
    registry.health().expect(200);
}

/// R31: what is refused below the reserve, what goes on, and that it is over by itself.
#[test]
fn below_the_reserve_reads_and_deletes_go_on_and_bodies_are_not_read() {
    if skipped("a disk of 64 MiB", needs(&["mount"])) {
        return;
    }
    let builder = Builder::new();
    let disk = Mounted::tmpfs(builder.path("data"), "size=64m");
    let registry = builder
        .config(debugged(
            json!({ "metadata": { "reservebytes": 16 * MIB } }),
        ))
        .start();
    let image = kept(&registry);
    let session = session(&registry).unwrap();
    let waiting = noise("waiting", 300_000);
    registry.patch(&session).body(&waiting).send().expect(202);
    let filler = disk.fill(15 << 20);
    until("the disk is known to be full", SOON, || {
        registry.health().json()["disk"].is_string().then_some(())
    });
    registry.health().expect(200);

    let manifest = Manifest::raw(OCI_IMAGE, image.manifest.bytes.clone());
    let digest = sha256(b"x");
    for (method, target) in [
        ("POST", "/v2/app/blobs/uploads/".to_owned()),
        ("POST", format!("/v2/app/blobs/uploads/?digest={digest}")),
        ("PATCH", session.clone()),
        ("PUT", format!("{session}?digest={digest}")),
        ("PUT", "/v2/app/manifests/new".to_owned()),
    ] {
        // The body is announced and never comes: the answer does not wait for it.
        let mut wire = crate::harness::Wire::connect(registry.address());
        wire.write(format!(
            "{method} {target} HTTP/1.1\r\nHost: x\r\nContent-Type: {}\r\nContent-Length: 1000\r\n\r\n",
            if target.contains("manifests") { OCI_IMAGE } else { "application/octet-stream" },
        ));
        wire.answer(method).expect_error(507, "UNAVAILABLE");
    }
    check_kept(&registry, &image);
    assert_eq!(registry.tags("app"), ["kept"]);
    // All of it is there already.
    registry
        .close_upload(&session, &sha256(&waiting), b"")
        .expect(201);
    registry.delete("/v2/app/manifests/kept").send().expect(202);
    registry
        .delete(format!("/v2/app/manifests/{}", image.manifest.digest))
        .send()
        .expect(202);
    registry
        .delete(format!("/v2/app/blobs/{}", sha256(&waiting)))
        .send()
        .expect(202);

    std::fs::remove_file(filler).unwrap();
    registry.wait_for_log("the disk takes what is written again");
    registry.put_manifest("app", "new", &manifest).expect(201);
    blob(&registry, &noise("again", 3 * MIB)).expect(201);
    assert_eq!(registry.health().expect(200).body, b"{}\n");
    assert_eq!(told(&registry, "the disk is full"), 1, "{}", registry.log());
    assert_eq!(told(&registry, "takes what is written again"), 1);
}

/// What is behind the bytes that an upload has is cut off before it is asked for room.
#[test]
fn an_upload_is_gone_on_with_in_the_room_of_its_lost_bytes() {
    if skipped("a disk of 64 MiB", needs(&["mount"])) {
        return;
    }
    for method in ["PATCH", "PUT"] {
        let builder = Builder::new();
        let disk = Mounted::tmpfs(builder.path("data"), "size=64m");
        let mut registry = builder
            .config(debugged(
                json!({ "metadata": { "reservebytes": 16 * MIB } }),
            ))
            .start();
        let image = kept(&registry);
        let others = registry.objects();
        let session = session(&registry).unwrap();
        let bytes = noise("resumed", 300_000);
        let (sent, more) = bytes.split_at(200_000);
        registry.patch(&session).body(sent).send().expect(202);
        registry.kill_9();
        // As written and never acknowledged.
        let objects = registry.objects();
        let object = objects.iter().find(|path| !others.contains(path)).unwrap();
        let mut file = std::fs::File::options().append(true).open(object).unwrap();
        for _ in 0..20 {
            std::io::Write::write_all(&mut file, &noise("lost", MIB)).unwrap();
        }
        drop(file);
        disk.fill(10 << 20);
        registry = registry.builder().start();
        until("the disk is known to be full", SOON, || {
            registry.health().json()["disk"].is_string().then_some(())
        });
        blob(&registry, &noise("another", 100_000)).expect_error(507, "UNAVAILABLE");
        let digest = sha256(&bytes);
        if method == "PATCH" {
            registry.patch(&session).body(more).send().expect(202);
            registry.close_upload(&session, &digest, b"").expect(201);
        } else {
            registry.close_upload(&session, &digest, more).expect(201);
        }
        assert_eq!(registry.pull_blob("app", &digest), bytes);
        check_kept(&registry, &image);
    }
}

/// A push of an image's manifest that may fail.
fn manifest(registry: &Registry, tag: &str, image: &Image) -> Answer {
    registry
        .put(format!("/v2/app/manifests/{tag}"))
        .header("Content-Type", &image.manifest.media_type)
        .body(&image.manifest.bytes)
        .send_any()
}

/// Case 111.
#[test]
fn a_disk_that_is_full_at_start_is_served_and_takes_pushes_when_there_is_room() {
    if skipped("a full disk", needs(&["mount", "mkfs.ext4"])) {
        return;
    }
    for (block, left) in [(4096, 0), (4096, 200_000), (1024, 0), (1024, 200_000)] {
        let builder = Builder::new();
        let disk = Mounted::ext4_of_blocks(builder.path("data"), 24 << 20, block);
        let mut registry = builder.config(debugged(json!({}))).start();
        let image = kept(&registry);
        assert!(registry.terminate().success());
        let filler = disk.fill(left);
        registry = registry.restart();
        until("the health tells", SOON, || {
            registry.health().json()["disk"].is_string().then_some(())
        });
        check_kept(&registry, &image);
        blob(&registry, &noise("refused", 100_000)).expect_error(507, "UNAVAILABLE");
        manifest(&registry, "v2", &image).expect_error(507, "UNAVAILABLE");
        let deleted = registry.delete("/v2/app/manifests/kept").send_any();
        // With nothing left at all there is no room for the line of the journal either.
        assert!(
            deleted.status == 202 || (left == 0 && deleted.status == 507),
            "{deleted:?}"
        );
        std::fs::remove_file(filler).unwrap();
        registry.wait_for_log("the disk takes what is written again");
        registry
            .put_manifest("app", "kept", &image.manifest)
            .expect(201);
        blob(&registry, &noise("taken", 100_000)).expect(201);
        check_kept(&registry, &image);
    }
}

/// Case 111: nothing is left of the file that SQLite maps, and there are blocks for a part of it.
#[test]
fn without_room_for_the_index_of_the_log_the_start_says_so() {
    if skipped("a full disk", needs(&["mount", "mkfs.ext4"])) {
        return;
    }
    let builder = Builder::new();
    let disk = Mounted::ext4_of_blocks(builder.path("data"), 24 << 20, 1024);
    let mut registry = builder.config(debugged(json!({}))).start();
    let image = kept(&registry);
    assert!(registry.terminate().success());
    let index = registry.data().join("roadstead.db-shm");
    std::fs::remove_file(&index).unwrap();
    let mut filler = None;
    for blocks in [0, 1, 9, 20] {
        filler = Some(disk.fill(blocks * 1024));
        // Should it start all the same, it is ended.
        let builder = registry.builder().through(&["timeout", "10"]);
        let ended = builder.command().output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        let line = said.lines().last().unwrap_or_default();
        assert!(
            line.contains("cannot make room on the disk for") && line.contains("roadstead.db-shm"),
            "{blocks}: {ended:?}"
        );
        assert_eq!(ended.status.code(), Some(1), "{blocks}: {ended:?}");
        drop(std::fs::remove_file(&index));
    }
    std::fs::remove_file(filler.unwrap()).unwrap();
    registry = registry.builder().start();
    check_kept(&registry, &image);
}

/// A disk that others have filled to the last byte, reserve or not: SQLite finds it full as well.
#[test]
fn a_disk_without_a_byte_ends_nothing() {
    if skipped("a full disk", needs(&["mount", "mkfs.ext4"])) {
        return;
    }
    for block in [4096, 1024] {
        let builder = Builder::new();
        let disk = Mounted::ext4_of_blocks(builder.path("data"), 24 << 20, block);
        // The reserve does not help: the registry runs into the end of the disk itself.
        let sections = json!({ "metadata": { "reservebytes": 0 } });
        let mut registry = builder.config(debugged(sections)).start();
        let image = kept(&registry);
        let filler = disk.fill(0);
        let mut full = false;
        for round in 0..400 {
            let answer = blob(&registry, &noise(&format!("full {round}"), 3_000));
            assert!([201, 507].contains(&answer.status), "{answer:?}");
            full |= answer.status == 507;
            if full && round > 20 {
                break;
            }
        }
        assert!(full, "the disk was never full");
        let answer = manifest(&registry, "v2", &image);
        assert!([201, 507].contains(&answer.status), "{answer:?}");
        check_kept(&registry, &image);
        std::fs::remove_file(filler).unwrap();
        until("there is room", SOON, || {
            (blob(&registry, &noise("room", 300_000)).status == 201).then_some(())
        });
        assert!(registry.is_running());
        registry.kill_9();
        check_kept(&registry.restart(), &image);
    }
}

/// Case 112: no inode is left.
#[test]
fn without_inodes_pushes_are_refused_until_there_are_some() {
    if skipped("a disk of few inodes", needs(&["mount"])) {
        return;
    }
    let builder = Builder::new();
    let disk = Mounted::tmpfs(builder.path("data"), "size=64m,nr_inodes=320");
    let registry = builder.start();
    let image = kept(&registry);
    let folder = registry.data().join("fillers");
    std::fs::create_dir(&folder).unwrap();
    let fill = (0..).take_while(|n| std::fs::write(folder.join(n.to_string()), "").is_ok());
    assert!(fill.count() > 1);
    let free = disk.free_bytes();
    let before = registry.object_bytes();
    blob(&registry, &noise("no inode", 300_000)).expect_error(507, "UNAVAILABLE");
    assert_eq!(registry.object_bytes(), before);
    check_kept(&registry, &image);
    // What lives in the database needs none.
    registry.push_blob("app", &noise("small", 1_000));
    assert!(disk.free_bytes() + 256 * 1024 >= free);
    std::fs::remove_dir_all(folder).unwrap();
    blob(&registry, &noise("no inode", 300_000)).expect(201);
}

/// Case 112: `ulimit -f`.
#[test]
fn a_limit_on_the_length_of_files_is_a_refusal_and_not_the_end() {
    if skipped("prlimit", needs(&["prlimit"])) {
        return;
    }
    let limit = "--fsize=2097152:2097152";
    let mut registry = Builder::new().through(&["prlimit", limit]).start();
    let image = kept(&registry);
    let before = registry.object_bytes();
    blob(&registry, &noise("too long", 3 * MIB)).expect_error(507, "UNAVAILABLE");
    until("the bytes are given back", SOON, || {
        (registry.object_bytes() == before).then_some(())
    });
    blob(&registry, &noise("short", MIB)).expect(201);
    check_kept(&registry, &image);
    // The database meets the same limit, by its log or its own length.
    let mut refused = false;
    for round in 0..3_000 {
        let answer = blob(&registry, &noise(&format!("row {round}"), 4_000));
        assert!([201, 507].contains(&answer.status), "{answer:?}");
        if answer.status == 507 {
            refused = true;
            break;
        }
    }
    assert!(refused && registry.is_running(), "{}", registry.log());
    check_kept(&registry, &image);
}

/// Case 112: the kernel has made the file system read-only.
#[test]
fn a_read_only_disk_is_read_and_said_to_be_so() {
    if skipped("a disk with an error", needs(&["mount", "mkfs.ext4"])) {
        return;
    }
    let builder = Builder::new();
    let disk = Mounted::ext4(builder.path("data"), 24 << 20);
    let mut registry = builder.config(debugged(json!({}))).start();
    let image = kept(&registry);
    let session = session(&registry).unwrap();
    disk.break_ext4();
    let answer = registry
        .patch(&session)
        .body(noise("read-only", 300_000))
        .send_any();
    assert!(answer.status >= 500, "{answer:?}");
    for _ in 0..3 {
        let answer = blob(&registry, &noise("read-only", 300_000));
        assert!(answer.status >= 500, "{answer:?}");
        check_kept(&registry, &image);
    }
    let answer = registry.delete("/v2/app/manifests/kept").send_any();
    assert!(answer.status >= 500, "{answer:?}");
    check_kept(&registry, &image);
    assert!(registry.is_running(), "{}", registry.log());
    let health = registry.health().expect(503);
    assert!(
        health.json()["disk"]
            .as_str()
            .unwrap()
            .contains("read-only")
    );
    assert_eq!(
        told(&registry, "the disk is read-only"),
        1,
        "{}",
        registry.log()
    );
}
