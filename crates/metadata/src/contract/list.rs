//! Lists: keyset pages in byte order, of what is visible.

use bytes::Bytes;
use roadstead_oci::Digest;

use super::{Fixture, contract, digest, image, name, origin};
use crate::{Metadata, Page};

contract!(
    tags_come_in_byte_order_page_by_page,
    a_repository_without_a_manifest_has_no_list_of_tags,
    repositories_come_in_byte_order_from_their_first_manifest_on,
    a_list_goes_on_behind_what_is_gone,
    referrers_come_in_digest_order_and_can_be_filtered,
    a_page_of_referrers_ends_by_number_or_by_bytes,
    a_deleted_referrer_is_not_listed,
);

fn texts<T: ToString>(page: &Page<T>) -> Vec<String> {
    page.items.iter().map(ToString::to_string).collect()
}

async fn tags_come_in_byte_order_page_by_page(fixture: Fixture) {
    let tags = ["v1", "V2", "_x", "0", "a", "b.c", "v1-rc"];
    fixture.put_tagged(image("a", 10, vec![]), &tags).await;
    fixture
        .put_tagged(image("a/b", 10, vec![]), &["other"])
        .await;
    let mut expected = tags.map(str::to_owned);
    expected.sort();
    for limit in [1, 2, 6, 7, 100] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = fixture
                .meta
                .tags(&name("a"), after.as_deref(), limit)
                .await
                .unwrap();
            let page = page.unwrap();
            assert!(page.items.len() <= limit as usize);
            found.extend(texts(&page));
            if !page.more {
                break;
            }
            after = found.last().cloned();
        }
        assert_eq!(found, expected, "{limit}");
    }
}

async fn a_repository_without_a_manifest_has_no_list_of_tags(fixture: Fixture) {
    fixture.push_blob("a", 1).await;
    for repository in ["a", "nowhere"] {
        assert!(
            fixture
                .meta
                .tags(&name(repository), None, 10)
                .await
                .unwrap()
                .is_none()
        );
    }
    fixture.put(image("a", 10, vec![])).await;
    let page = fixture
        .meta
        .tags(&name("a"), None, 10)
        .await
        .unwrap()
        .unwrap();
    assert!(page.items.is_empty() && !page.more);
    // One whose manifests are all deleted still has an empty list.
    fixture
        .meta
        .delete_manifest(&name("a"), &digest(10), origin())
        .await
        .unwrap();
    assert!(
        fixture
            .meta
            .tags(&name("a"), None, 10)
            .await
            .unwrap()
            .is_some()
    );
}

async fn repositories_come_in_byte_order_from_their_first_manifest_on(fixture: Fixture) {
    for repository in ["math/x", "math-voila", "math", "z/0x", "z-b", "z"] {
        fixture.push_blob(repository, 1).await;
        fixture.put(image(repository, 10, vec![])).await;
    }
    fixture.push_blob("blobs-only", 1).await;
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = fixture
            .meta
            .repositories(after.as_deref(), 1)
            .await
            .unwrap();
        found.extend(texts(&page));
        if !page.more {
            break;
        }
        after = found.last().cloned();
    }
    assert_eq!(found, ["math", "math-voila", "math/x", "z", "z-b", "z/0x"]);
}

async fn a_list_goes_on_behind_what_is_gone(fixture: Fixture) {
    fixture
        .put_tagged(image("a", 10, vec![]), &["a", "c"])
        .await;
    let page = fixture
        .meta
        .tags(&name("a"), Some("b"), 10)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(texts(&page), ["c"]);
    let page = fixture
        .meta
        .tags(&name("a"), Some("c"), 10)
        .await
        .unwrap()
        .unwrap();
    assert!(page.items.is_empty() && !page.more);
}

async fn refer(fixture: &Fixture, number: u8, artifact_type: Option<&str>, length: usize) {
    let mut new = image("a", number, vec![]);
    new.subject = Some(digest(200));
    new.artifact_type = artifact_type.map(str::to_owned);
    new.referrer = Some(Bytes::from(vec![number; length]));
    fixture.put(new).await;
}

async fn page(
    fixture: &Fixture,
    artifact_type: Option<&str>,
    after: Option<Digest>,
    limit: u32,
    bytes_max: usize,
) -> (Vec<Digest>, bool) {
    let (repository, subject) = (name("a"), digest(200));
    let page = fixture
        .meta
        .referrers(
            &repository,
            &subject,
            artifact_type,
            after.as_ref(),
            limit,
            bytes_max,
        )
        .await
        .unwrap();
    (
        page.items.iter().map(|item| item.digest).collect(),
        page.more,
    )
}

async fn referrers_come_in_digest_order_and_can_be_filtered(fixture: Fixture) {
    assert_eq!(page(&fixture, None, None, 10, 100).await, (vec![], false));
    for (number, artifact_type) in [
        (12, Some("x")),
        (10, Some("x")),
        (11, Some("y")),
        (13, None),
    ] {
        refer(&fixture, number, artifact_type, 1).await;
    }
    fixture.put(image("a", 14, vec![])).await;
    let all = [10, 11, 12, 13].map(digest).to_vec();
    assert_eq!(page(&fixture, None, None, 10, 100).await, (all, false));
    let of_x = [10, 12].map(digest).to_vec();
    assert_eq!(
        page(&fixture, Some("x"), None, 10, 100).await,
        (of_x, false)
    );
    assert_eq!(
        page(&fixture, Some("z"), None, 10, 100).await,
        (vec![], false)
    );
}

async fn a_page_of_referrers_ends_by_number_or_by_bytes(fixture: Fixture) {
    for number in 10..15 {
        refer(&fixture, number, Some("x"), 10).await;
    }
    let first = [10, 11].map(digest).to_vec();
    assert_eq!(
        page(&fixture, None, None, 2, 1_000).await,
        (first.clone(), true)
    );
    assert_eq!(
        page(&fixture, Some("x"), None, 100, 20).await,
        (first, true)
    );
    assert_eq!(
        page(&fixture, None, None, 100, 1).await,
        (vec![digest(10)], true)
    );
    let rest = [13, 14].map(digest).to_vec();
    assert_eq!(
        page(&fixture, None, Some(digest(12)), 2, 1_000).await,
        (rest, false)
    );
}

async fn a_deleted_referrer_is_not_listed(fixture: Fixture) {
    refer(&fixture, 10, None, 1).await;
    fixture
        .meta
        .delete_manifest(&name("a"), &digest(10), origin())
        .await
        .unwrap();
    assert_eq!(page(&fixture, None, None, 10, 100).await, (vec![], false));
    refer(&fixture, 10, None, 1).await;
    assert_eq!(
        page(&fixture, None, None, 10, 100).await,
        (vec![digest(10)], false)
    );
}
