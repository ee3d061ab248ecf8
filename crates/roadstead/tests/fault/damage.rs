//! Objects that are damaged behind the registry's back (case 113), and what stands in their place or
//! in that of the data directory (case 115).

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::json;

use crate::harness::{Builder, Image, Registry, SOON, Wire, noise, sha256, until};
use crate::push::{check_kept, debugged};

/// A registry with one object, which is in two repositories.
fn with_an_object(bytes: &[u8]) -> (Registry, String, PathBuf) {
    let registry = Registry::start();
    let digest = registry.push_blob("app", bytes);
    registry
        .post(format!("/v2/other/blobs/uploads/?mount={digest}&from=app"))
        .send()
        .expect(201);
    // It is open now, and must not be served from there.
    assert_eq!(registry.pull_blob("app", &digest), bytes);
    let [object] = registry.objects().try_into().unwrap();
    (registry, digest, object)
}

/// Case 113: gone, shorter, longer, empty or another thing: never a whole answer of other bytes. It
/// counts as absent, and a push heals it in both repositories, also after a restart.
#[test]
fn an_object_that_cannot_be_whole_is_absent_until_it_is_pushed_again() {
    let bytes = noise("damaged", 300_000);
    let cut = |object: &Path, length| {
        let file = File::options().write(true).open(object).unwrap();
        file.set_len(length).unwrap();
    };
    let replaced = |object: &Path| fs::remove_file(object).unwrap();
    type Damage<'a> = (&'a str, &'a dyn Fn(&Path));
    let damages: [Damage; 7] = [
        ("deleted", &|object| replaced(object)),
        ("empty", &|object| cut(object, 0)),
        ("one byte short", &|object| cut(object, 299_999)),
        ("one byte long", &|object| cut(object, 300_001)),
        ("a folder", &|object| {
            replaced(object);
            fs::create_dir(object).unwrap();
        }),
        ("a link to itself", &|object| {
            replaced(object);
            symlink(object, object).unwrap();
        }),
        ("a link to the same bytes", &|object| {
            let moved = object.with_extension("moved");
            fs::rename(object, &moved).unwrap();
            symlink(&moved, object).unwrap();
        }),
    ];
    for (what, damage) in damages {
        for restarted in [false, true] {
            let (mut registry, digest, object) = with_an_object(&bytes);
            damage(&object);
            if restarted {
                registry = registry.restart();
            }
            let link = what.contains("link");
            for repository in ["app", "other", "app"] {
                let target = format!("/v2/{repository}/blobs/{digest}");
                let answer = registry.get(&target).send_any();
                let part = registry
                    .get(target)
                    .header("Range", "bytes=9-99")
                    .send_any();
                // What was moved away while it was open may be served as long as it stays open.
                let open = link && !restarted;
                for (answer, right) in [(answer, &bytes[..]), (part, &bytes[9..100])] {
                    let whole = open && answer.status < 300 && answer.body == right;
                    // A link is somebody's doing: that is told, and not healed over.
                    let refused = answer.status == 404 || link && answer.status == 500;
                    assert!(whole || refused, "{what}: {answer:?}");
                }
            }
            if link {
                continue;
            }
            assert!(!registry.has_blob("app", &digest), "{what}");
            assert!(!registry.has_blob("other", &digest), "{what}");
            let missing = registry.log().matches("gone or damaged").count();
            assert!(missing > 0, "{what}: {}", registry.log());
            registry.push_blob("app", &bytes);
            assert_eq!(registry.pull_blob("app", &digest), bytes, "{what}");
            assert_eq!(registry.pull_blob("other", &digest), bytes, "{what}");
        }
    }
}

/// Case 113: nobody has asked for it since, and the pusher does not either: the push heals it, and
/// what cannot be read is not mounted.
#[test]
fn a_push_heals_an_object_that_nobody_has_missed_yet() {
    let bytes = noise("not missed", 300_000);
    for repository in ["app", "other", "third"] {
        let (registry, digest, object) = with_an_object(&bytes);
        fs::remove_file(object).unwrap();
        registry
            .post(format!("/v2/fourth/blobs/uploads/?mount={digest}&from=app"))
            .send()
            .expect(202);
        let (registry, digest, object) = with_an_object(&bytes);
        let file = File::options().write(true).open(object).unwrap();
        file.set_len(1_000).unwrap();
        registry.push_blob(repository, &bytes);
        for repository in ["app", "other", repository] {
            assert_eq!(registry.pull_blob(repository, &digest), bytes);
        }
    }
}

/// Case 113: cut short while somebody reads it: the answer ends before its end.
#[test]
fn an_object_that_is_cut_short_under_a_reader_is_no_whole_answer() {
    const LENGTH: usize = 64 << 20;
    let bytes = noise("cut under a reader", LENGTH);
    let (mut registry, digest, object) = with_an_object(&bytes);
    let mut wire = Wire::connect(registry.address());
    wire.write(format!(
        "GET /v2/app/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n"
    ));
    // It has begun, and no socket's buffers hold all of the rest.
    let begun = wire.read_some(1000).unwrap();
    assert!(begun.starts_with(b"HTTP/1.1 200 "));
    let file = File::options().write(true).open(object).unwrap();
    file.set_len(1 << 20).unwrap();
    let reply = wire.read_all(SOON);
    assert!(reply.closed);
    assert!(begun.len() + reply.bytes.len() < LENGTH);
    assert!(registry.is_running(), "{}", registry.log());
    registry.push_blob("app", &bytes);
    assert_eq!(registry.pull_blob("app", &digest), bytes);
}

/// Case 113: a flipped bit changes no length. What reads whole objects finds it: the check of a
/// backup, which refuses it or counts it as absent, so that a push heals it.
#[test]
fn a_flipped_bit_is_found_by_the_check_of_a_backup_and_healed_by_a_push() {
    let bytes = noise("flipped", 300_000);
    let (registry, digest, object) = with_an_object(&bytes);
    let mut flipped = fs::read(&object).unwrap();
    flipped[123_456] ^= 0x10;
    fs::write(&object, flipped).unwrap();
    let source = registry.builder();
    let config = source.path("config.yml");
    let backup = source.path("backup");
    let output = source.run([Path::new("backup"), &config, &backup]);
    assert!(output.status.success(), "{output:?}");

    let builder = Builder::new();
    builder.command();
    let restore = |options: &[&str]| -> Output {
        let mut words = vec![PathBuf::from("restore-backup")];
        words.extend(options.iter().map(PathBuf::from));
        words.extend([backup.clone(), builder.path("config.yml")]);
        builder.run(words)
    };
    let output = restore(&["--verify"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("1 of the objects are missing or damaged"),
        "{said}"
    );
    assert_eq!(restore(&["--verify", "--force"]).status.code(), Some(3));
    let restored = builder.start();
    for repository in ["app", "other"] {
        assert!(!restored.has_blob(repository, &digest));
    }
    restored.push_blob("app", &bytes);
    for repository in ["app", "other"] {
        assert_eq!(restored.pull_blob(repository, &digest), bytes);
    }
}

/// Case 115: what stands under the data directory's name after the start is another's directory: it
/// is never written to, and the health tells.
#[test]
fn a_data_directory_that_is_replaced_by_a_link_is_not_followed() {
    let registry = Builder::new()
        .config(debugged(json!({ "health": { "storagedriver":
            { "enabled": true, "interval": "1s", "threshold": 1 } } })))
        .start();
    let image = crate::push::kept(&registry);
    registry.health().expect(200);
    let (data, moved) = (registry.data(), registry.builder().path("moved"));
    let planted = registry.builder().path("planted");
    fs::rename(&data, &moved).unwrap();
    fs::create_dir(&planted).unwrap();
    fs::set_permissions(&planted, PermissionsExt::from_mode(0o750)).unwrap();
    symlink(&planted, &data).unwrap();
    until("the health is red", SOON, || {
        (registry.health().status == 503).then_some(())
    });
    let answer = registry.get("/v2/app/manifests/kept").send_any();
    assert!(answer.status == 200 || answer.status >= 500, "{answer:?}");
    if let Ok(session) = crate::push::session(&registry) {
        drop(registry.patch(&session).body(noise("x", 9_000)).send_any());
    }
    assert_eq!(fs::read_dir(&planted).unwrap().count(), 0);
    fs::remove_file(&data).unwrap();
    fs::rename(&moved, &data).unwrap();
    until("the health is green", SOON, || {
        (registry.health().status == 200).then_some(())
    });
    check_kept(&registry, &image);
}

/// Case 115: the files beside the database, of which only one is looked at before SQLite is.
#[test]
fn a_planted_link_beside_the_database_is_refused() {
    for suffix in ["-wal", "-shm", ".lock"] {
        let mut registry = Registry::start();
        registry.push_image("app", "v1", &Image::new("beside"));
        assert!(registry.terminate().success());
        let target = registry.builder().path("target");
        fs::write(&target, noise("target", 9_000)).unwrap();
        let planted = registry.data().join(format!("roadstead.db{suffix}"));
        drop(fs::remove_file(&planted));
        symlink(&target, &planted).unwrap();
        let said = registry.builder().refused();
        assert!(said[0].contains("roadstead.db"), "{suffix}: {said:?}");
        assert_eq!(
            sha256(&fs::read(&target).unwrap()),
            sha256(&noise("target", 9_000))
        );
        fs::remove_file(&planted).unwrap();
        let registry = registry.builder().start();
        registry.pull_image("app", "v1", &Image::new("beside"));
    }
}
