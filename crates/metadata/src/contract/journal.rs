//! The journal: a line for each change, with what a reader needs of it.

use serde_json::json;

use crate::Change;

use super::*;

contract!(
    every_change_writes_its_lines_in_order,
    lines_are_read_on_from_a_number,
    a_line_carries_what_an_event_needs,
    a_line_of_an_upload_session_names_its_principal,
    changes_that_change_nothing_write_nothing,
    the_engine_answers_a_probe,
);

async fn every_change_writes_its_lines_in_order(f: Fixture) {
    f.push_object("a", 1, 1).await;
    f.mount(1, "a", "b").await;
    f.push(manifest("a", 1).with_blob(1).tagged("v1").tagged("v2"))
        .await;
    f.delete_tag("a", "v2").await;
    f.delete_manifest("a", 1).await;
    f.delete_blob("a", 1).await;
    let expected = [
        "repository.create",
        "blob.push",
        "repository.create",
        "blob.mount",
        "manifest.push",
        "tag.set v1",
        "tag.set v2",
        "tag.delete v2",
        "tag.delete v1",
        "manifest.delete",
        "blob.delete",
    ];
    assert_eq!(f.changes().await, expected);
}

async fn lines_are_read_on_from_a_number(f: Fixture) {
    for n in 1..=3 {
        f.push_blob("a", n).await;
    }
    let lines = f.lines().await;
    assert_eq!(lines.len(), 4);
    assert!(lines.is_sorted_by(|one, next| one.seq < next.seq));
    assert_eq!(f.meta.journal(lines[1].seq, 1).await.unwrap(), lines[2..3]);
    assert_eq!(f.meta.journal(lines[1].seq, 9).await.unwrap(), lines[2..]);
    assert_eq!(f.meta.journal(u64::MAX, 9).await.unwrap(), []);
    assert_eq!(f.meta.journal(0, 0).await.unwrap(), []);
}

async fn a_line_carries_what_an_event_needs(f: Fixture) {
    let full = Origin {
        actor: "ada".to_owned(),
        request_id: "r-2".to_owned(),
        address: "192.0.2.1:5000".to_owned(),
        host: "registry.example".to_owned(),
        method: "PUT".to_owned(),
        user_agent: "client/1 \"quoted\" \u{2603}".to_owned(),
    };
    f.push_blob("from", 1).await;
    let mount = MountBlob {
        from: name("from"),
        to: name("a"),
        digest: blob(1),
        origin: full.clone(),
    };
    f.meta.mount(mount).await.unwrap();
    let line = f.lines().await.pop().unwrap();
    assert_eq!((line.change, line.at), (Change::BlobMount, START));
    assert_eq!((line.actor.as_str(), line.digest), ("ada", Some(blob(1))));
    assert_eq!((line.tag, line.previous), (None, None));
    let detail = json!({
        "repository": "a",
        "from": "from",
        "size_bytes": content(1).len(),
        "request_id": full.request_id,
        "address": full.address,
        "host": full.host,
        "method": full.method,
        "user_agent": full.user_agent,
    });
    assert_eq!(line.detail, detail);

    f.push(manifest("a", 1).tagged("v1")).await;
    let line = f.lines().await.pop().unwrap();
    let detail = json!({
        "repository": "a",
        "media_type": MANIFEST_TYPE,
        "size_bytes": manifest_body(1).len(),
        "request_id": "r-1",
    });
    assert_eq!((line.change, line.detail), (Change::TagSet, detail));
}

async fn a_line_of_an_upload_session_names_its_principal(f: Fixture) {
    f.begin("a", 1).await.unwrap();
    let line = f.lines().await.pop().unwrap();
    assert_eq!(
        (line.change, line.actor.as_str()),
        (Change::RepositoryCreate, "ada")
    );
    assert_eq!(line.detail, json!({ "repository": "a" }));
}

async fn changes_that_change_nothing_write_nothing(f: Fixture) {
    f.push_object("a", 1, 1).await;
    let lines = f.changes().await;
    f.delete_tag("a", "v1").await;
    f.delete_manifest("a", 1).await;
    f.mount(2, "a", "b").await;
    f.put(manifest("b", 1).with_blob(2)).await;
    f.meta.renew_lease(&name("a"), &blob(1)).await.unwrap();
    f.meta.mark_missing(&blob(2), key(1)).await.unwrap();
    f.has_blob("a", 1).await;
    f.tag("a", "v1").await;
    f.referrers("a", 1).await;
    f.trash().await;
    assert_eq!(f.changes().await, lines);
}

async fn the_engine_answers_a_probe(f: Fixture) {
    f.meta.probe().await.unwrap();
    assert_eq!(f.lines().await, []);
}
