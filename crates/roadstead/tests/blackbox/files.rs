//! The data directory: what somebody planted in it, what is missing from it, and who may write to
//! it.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::json;

use crate::harness::{Builder, Image, Registry, SOON, noise, sha256, until};

/// Case 115; R7.
#[test]
fn a_planted_link_in_the_place_of_an_object_is_never_followed() {
    let registry = Builder::new()
        .config(json!({ "http": { "debug": { "addr": "127.0.0.1:0" } },
            "health": { "storagedriver": { "enabled": true, "interval": "1s", "threshold": 1 } } }))
        .start();
    let bytes = noise("planted", 100_000);
    let digest = registry.push_blob("app", &bytes);
    registry.health().expect(200);
    let secret = registry.builder().path("secret");
    std::fs::write(&secret, noise("secret", bytes.len())).unwrap();
    let [object] = registry.objects().try_into().unwrap();
    std::fs::remove_file(&object).unwrap();
    symlink(&secret, &object).unwrap();
    let answer = registry.get(format!("/v2/app/blobs/{digest}")).send_any();
    assert!(answer.status >= 400, "{answer:?}");
    until("the health is red", SOON, || {
        (registry.health().status == 503).then_some(())
    });
    assert_eq!(
        std::fs::read(&secret).unwrap(),
        noise("secret", bytes.len())
    );
}

/// Case 115; R7: the file of an upload.
#[test]
fn a_planted_link_in_the_place_of_an_upload_is_never_written_through() {
    let registry = Registry::start();
    let session = registry.session("app");
    registry
        .patch(&session)
        .body(noise("upload", 100_000))
        .send()
        .expect(202);
    let target = registry.builder().path("target");
    std::fs::write(&target, noise("target", 100_000)).unwrap();
    let [object] = registry.objects().try_into().unwrap();
    std::fs::remove_file(&object).unwrap();
    symlink(&target, &object).unwrap();
    let answer = registry
        .patch(&session)
        .body(noise("more", 50_000))
        .send_any();
    assert!(answer.status >= 400, "{answer:?}");
    let digest = sha256(&noise("target", 100_000));
    let target_of_close = format!("{session}?digest={digest}");
    let answer = registry.put(target_of_close).send_any();
    assert!(answer.status >= 400, "{answer:?}");
    assert_eq!(std::fs::read(&target).unwrap(), noise("target", 100_000));
    assert!(!registry.has_blob("app", &digest));
}

/// Case 115; R7: a folder of objects, while it runs and at start.
#[test]
fn a_planted_link_in_the_place_of_a_folder_is_refused() {
    for whole in [false, true] {
        let mut registry = Registry::start();
        let digest = registry.push_blob("app", &noise("folder", 100_000));
        let [object] = registry.objects().try_into().unwrap();
        let folder = object.parent().unwrap();
        let folder = if whole {
            folder.parent().unwrap()
        } else {
            folder
        };
        let outside = registry.builder().path("outside");
        std::fs::rename(folder, &outside).unwrap();
        symlink(&outside, folder).unwrap();
        let answer = registry.get(format!("/v2/app/blobs/{digest}")).send_any();
        assert!(answer.status >= 400, "{answer:?}");
        if whole {
            let session = registry.session("app");
            let answer = registry
                .patch(session)
                .body(noise("more", 5_000))
                .send_any();
            assert!(answer.status >= 400, "{answer:?}");
        }
        assert_eq!(files_below(&outside), 1);
        registry.kill_9();
        let said = registry.builder().refused();
        assert!(said[0].contains("objects"), "{said:?}");
        assert_eq!(files_below(&outside), 1);
    }
}

fn files_below(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| if path.is_dir() { files_below(&path) } else { 1 })
        .sum()
}

/// Case 115; R7: the database.
#[test]
fn a_planted_link_in_the_place_of_the_database_is_refused() {
    let mut registry = Registry::start();
    registry.push_image("app", "v1", &Image::new("database"));
    assert!(registry.terminate().success());
    let database = registry.data().join("roadstead.db");
    let moved = registry.builder().path("moved.db");
    std::fs::rename(&database, &moved).unwrap();
    symlink(&moved, &database).unwrap();
    let before = std::fs::read(&moved).unwrap();
    let said = registry.builder().refused();
    assert!(
        said[0].contains("roadstead.db") && said[0].contains("plain file"),
        "{said:?}"
    );
    assert_eq!(std::fs::read(&moved).unwrap(), before);
    std::fs::remove_file(&database).unwrap();
    std::fs::rename(&moved, &database).unwrap();
    let registry = registry.builder().start();
    registry.pull_image("app", "v1", &Image::new("database"));
}

/// Case 114: content whose database is gone is not started over.
#[test]
fn a_missing_database_is_not_replaced_by_an_empty_one() {
    let mut registry = Registry::start();
    registry.push_blob("app", &noise("content", 100_000));
    assert!(registry.terminate().success());
    let database = registry.data().join("roadstead.db");
    let moved = registry.builder().path("moved.db");
    std::fs::rename(&database, &moved).unwrap();
    let said = registry.builder().refused();
    assert!(said[0].contains("roadstead.db"), "{said:?}");
    assert!(!database.exists());
    for garbage in [&b""[..], b"garbage", &[0; 8192]] {
        std::fs::write(&database, garbage).unwrap();
        let said = registry.builder().refused();
        assert!(said[0].contains("roadstead.db"), "{said:?}");
        assert_eq!(std::fs::read(&database).unwrap(), garbage);
    }
}

/// R7.
#[test]
fn a_data_directory_that_everybody_may_write_to_is_refused() {
    let builder = Builder::new();
    let data = builder.path("data");
    std::fs::create_dir(&data).unwrap();
    let mode = |mode| std::fs::set_permissions(&data, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o777);
    let said = builder.refused();
    assert!(said[0].contains("chmod o-w"), "{said:?}");
    mode(0o770);
    let registry = builder.start();
    let warned = registry.wait_for_log("WARN");
    assert!(
        registry
            .log()
            .lines()
            .any(|line| line.contains("WARN") && line.contains("group")),
        "{warned}"
    );
    // What it makes is for its user, and to be read by its group.
    registry.push_blob("app", &noise("mode", 100_000));
    for path in registry
        .objects()
        .into_iter()
        .chain([registry.data().join("roadstead.db")])
    {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o027, 0, "{}: {mode:o}", path.display());
    }
}
