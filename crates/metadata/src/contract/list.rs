//! Lists: keyset pages in byte order.

use crate::{Page, Referrer};

use super::*;

contract!(
    tags_come_in_byte_order,
    a_page_says_whether_more_follow,
    a_list_goes_on_after_what_need_not_exist,
    tags_of_a_repository_without_manifests_are_none,
    repositories_come_in_byte_order_once_they_had_a_manifest,
    a_repository_stays_listed_without_manifests,
    referrers_come_in_digest_order,
    referrers_are_filtered_before_they_are_counted,
    referrers_end_before_the_descriptor_that_is_too_much,
    referrers_of_what_does_not_exist_are_kept,
    long_lists_are_read_whole,
);

async fn tags(f: &Fixture, after: Option<&str>, limit: u32) -> Page<Tag> {
    let page = f.meta.tags(&name("a"), after, limit).await.unwrap();
    page.unwrap()
}

fn spelled(page: &Page<Tag>) -> Vec<&str> {
    page.items.iter().map(Tag::as_str).collect()
}

async fn tags_come_in_byte_order(f: Fixture) {
    let mut new = manifest("a", 1);
    for name_of_tag in ["b", "_", "a10", "Z", "a", "a2", "9", "a.1", "a-1"] {
        new = new.tagged(name_of_tag);
    }
    f.push(new).await;
    let page = tags(&f, None, 100).await;
    assert_eq!(
        spelled(&page),
        ["9", "Z", "_", "a", "a-1", "a.1", "a10", "a2", "b"]
    );
    assert!(!page.more);
}

async fn a_page_says_whether_more_follow(f: Fixture) {
    f.push(manifest("a", 1).tagged("1").tagged("2").tagged("3"))
        .await;
    let page = tags(&f, None, 2).await;
    assert_eq!((spelled(&page), page.more), (vec!["1", "2"], true));
    let page = tags(&f, None, 3).await;
    assert_eq!((spelled(&page), page.more), (vec!["1", "2", "3"], false));
    let page = tags(&f, Some("2"), 1).await;
    assert_eq!((spelled(&page), page.more), (vec!["3"], false));
    let page = tags(&f, None, 0).await;
    assert_eq!((spelled(&page), page.more), (vec![], true));
    let page = tags(&f, None, u32::MAX).await;
    assert_eq!((page.items.len(), page.more), (3, false));
}

async fn a_list_goes_on_after_what_need_not_exist(f: Fixture) {
    f.push(manifest("a", 1).tagged("a").tagged("c")).await;
    for (after, expected) in [
        ("", vec!["a", "c"]),
        ("b", vec!["c"]),
        ("c", vec![]),
        ("~", vec![]),
    ] {
        let page = tags(&f, Some(after), 10).await;
        assert_eq!(spelled(&page), expected, "after {after:?}");
    }
}

async fn tags_of_a_repository_without_manifests_are_none(f: Fixture) {
    f.push_blob("a", 1).await;
    for repository in ["a", "never"] {
        let page = f.meta.tags(&name(repository), None, 10).await.unwrap();
        assert_eq!(page, None);
    }
}

async fn repositories_come_in_byte_order_once_they_had_a_manifest(f: Fixture) {
    f.push_blob("blobs/only", 1).await;
    for repository in ["b", "a/c", "a-b", "a", "a0"] {
        f.push(manifest(repository, 1)).await;
    }
    let page = f.meta.repositories(None, 10).await.unwrap();
    let expected = ["a", "a-b", "a/c", "a0", "b"].map(name);
    assert_eq!((page.items, page.more), (expected.to_vec(), false));
    let page = f.meta.repositories(Some("a-a"), 2).await.unwrap();
    assert_eq!(
        (page.items, page.more),
        (vec![name("a-b"), name("a/c")], true)
    );
}

async fn a_repository_stays_listed_without_manifests(f: Fixture) {
    f.push(manifest("a", 1).tagged("v1")).await;
    f.delete_manifest("a", 1).await;
    let page = f.meta.repositories(None, 10).await.unwrap();
    assert_eq!(page.items, [name("a")]);
    assert_eq!(tags(&f, None, 10).await, Page::empty());
}

/// A page of referrers of manifest 7.
async fn referrers(
    f: &Fixture,
    artifact_type: Option<&str>,
    after: Option<Digest>,
    limit: u32,
    bytes_max: usize,
) -> Page<Referrer> {
    let (repository, subject) = (name("a"), manifest_digest(7));
    let page = f.meta.referrers(
        &repository,
        &subject,
        artifact_type,
        after.as_ref(),
        limit,
        bytes_max,
    );
    page.await.unwrap()
}

fn digests(page: &Page<Referrer>) -> Vec<Digest> {
    page.items.iter().map(|referrer| referrer.digest).collect()
}

async fn referrers_come_in_digest_order(f: Fixture) {
    for n in [3, 1, 4, 2] {
        f.push(manifest("a", n).with_subject(7, "x/y")).await;
    }
    f.push(manifest("b", 5).with_subject(7, "x/y")).await;
    f.push(manifest("a", 6).with_subject(8, "x/y")).await;
    let mut expected = [1, 2, 3, 4].map(manifest_digest).to_vec();
    expected.sort_by_key(Digest::to_string);
    let page = referrers(&f, None, None, 10, 10_000).await;
    assert_eq!((digests(&page), page.more), (expected.clone(), false));
    let descriptor = format!("{{\"of\":\"{}\"}}", expected[0]);
    assert_eq!(page.items[0].descriptor, descriptor);

    let page = referrers(&f, None, None, 3, 10_000).await;
    assert_eq!((digests(&page), page.more), (expected[..3].to_vec(), true));
    let page = referrers(&f, None, Some(expected[2]), 3, 10_000).await;
    assert_eq!((digests(&page), page.more), (expected[3..].to_vec(), false));
    let page = referrers(&f, None, Some(blob(1)), 3, 10_000).await;
    assert!(page.items.iter().all(|item| item.digest > blob(1)));
}

async fn referrers_are_filtered_before_they_are_counted(f: Fixture) {
    for n in 0..10 {
        let of_type = if n % 5 == 4 { "x/wanted" } else { "x/other" };
        f.push(manifest("a", n).with_subject(7, of_type)).await;
    }
    let page = referrers(&f, Some("x/wanted"), None, 2, 10_000).await;
    assert_eq!((page.items.len(), page.more), (2, false));
    let page = referrers(&f, Some("x/wanted"), None, 1, 10_000).await;
    assert_eq!((page.items.len(), page.more), (1, true));
    let page = referrers(&f, Some("x/none"), None, 1, 10_000).await;
    assert_eq!(page, Page::empty());
}

async fn referrers_end_before_the_descriptor_that_is_too_much(f: Fixture) {
    for n in [2, 4, 6] {
        f.push(manifest("a", n).with_subject(7, "x/y")).await;
    }
    let one = referrers(&f, None, None, 1, 10_000).await;
    let bytes = one.items[0].descriptor.len();
    for (bytes_max, expected) in [(0, 1), (bytes, 1), (2 * bytes - 1, 1), (2 * bytes, 2)] {
        let page = referrers(&f, None, None, 10, bytes_max).await;
        assert_eq!(
            (page.items.len(), page.more),
            (expected, true),
            "{bytes_max}"
        );
    }
    let page = referrers(&f, None, None, 10, 3 * bytes).await;
    assert_eq!((page.items.len(), page.more), (3, false));
}

async fn referrers_of_what_does_not_exist_are_kept(f: Fixture) {
    f.push(manifest("a", 1).with_subject(7, "x/y")).await;
    assert!(!f.has_manifest("a", 7).await);
    let page = referrers(&f, None, None, 10, 10_000).await;
    assert_eq!(digests(&page), [manifest_digest(1)]);
    f.push(manifest("a", 7)).await;
    f.delete_manifest("a", 7).await;
    assert_eq!(referrers(&f, None, None, 10, 10_000).await, page);
    assert!(f.referrers("never", 7).await.is_empty());
}

/// Lists this long are read on another thread where that costs less.
async fn long_lists_are_read_whole(f: Fixture) {
    let mut new = manifest("a", 1);
    for n in 0..250 {
        new = new.tagged(&format!("t{n:03}"));
    }
    f.push(new).await;
    let page = tags(&f, None, 200).await;
    assert_eq!((page.items.len(), page.more), (200, true));
    let page = tags(&f, Some("t199"), 200).await;
    assert_eq!((page.items.len(), page.more), (50, false));
    let lines = f.meta.journal(0, 100_000).await.unwrap();
    assert_eq!(lines.len(), 252);
}
