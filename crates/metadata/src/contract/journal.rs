//! The journal: one line a change, in order, with what an event needs.

use super::{Fixture, contract, digest, image, origin, tag};
use crate::{Change, Metadata};

contract!(
    lines_are_read_in_order_from_where_one_was,
    a_line_says_who_what_and_where,
    reads_write_no_lines,
    a_store_that_works_says_so,
);

async fn lines_are_read_in_order_from_where_one_was(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    fixture.put_tagged(image("a", 10, vec![]), &["v1"]).await;
    let all = fixture.lines().await;
    let changes: Vec<Change> = all.iter().map(|line| line.change).collect();
    let expected = [
        Change::RepositoryCreate,
        Change::BlobPush,
        Change::ManifestPush,
        Change::TagSet,
    ];
    assert_eq!(changes, expected);
    assert!(all.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(
        fixture.meta.journal(all[1].seq, 1).await.unwrap(),
        all[2..3]
    );
    assert!(
        fixture
            .meta
            .journal(all[3].seq, 10)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn a_line_says_who_what_and_where(fixture: Fixture) {
    fixture
        .put_tagged(image("team/app", 10, vec![]), &["v1"])
        .await;
    let line = fixture.lines().await.pop().unwrap();
    assert_eq!((line.change, line.at), (Change::TagSet, fixture.now()));
    assert_eq!((line.actor, line.tag), (origin().actor, Some(tag("v1"))));
    assert_eq!((line.digest, line.previous), (Some(digest(10)), None));
    assert_eq!(line.detail["repository"], "team/app");
    assert_eq!(line.detail["request_id"], "r1");
    assert_eq!(line.detail["size_bytes"], 10);
    assert_eq!(
        line.detail["media_type"],
        "application/vnd.oci.image.manifest.v1+json"
    );
}

async fn reads_write_no_lines(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    fixture.put_tagged(image("a", 10, vec![]), &["v1"]).await;
    let before = fixture.lines().await;
    fixture.blob("a", 1).await;
    fixture.resolve_tag("a", "v1").await;
    fixture.meta.repositories(None, 10).await.unwrap();
    assert_eq!(fixture.lines().await, before);
}

async fn a_store_that_works_says_so(fixture: Fixture) {
    fixture.meta.probe().await.unwrap();
}
