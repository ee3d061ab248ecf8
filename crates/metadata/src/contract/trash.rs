//! Keys of objects that are to be removed.

use super::*;

contract!(
    trash_comes_in_the_order_it_is_due,
    a_forgotten_key_is_gone,
    a_failed_removal_waits_longer_each_time,
    keys_that_are_not_there_are_no_error,
);

async fn throw_away(f: &Fixture, n: u128) -> Uuid {
    let (id, _) = f.begin("a", n).await.unwrap();
    let cancelled = f.meta.cancel_upload(&name("a"), id).await;
    cancelled.unwrap().unwrap()
}

async fn trash_comes_in_the_order_it_is_due(f: Fixture) {
    let first = throw_away(&f, 9).await;
    f.clock.advance(HOUR);
    let third = throw_away(&f, 8).await;
    let second = throw_away(&f, 1).await;
    assert_eq!(f.trash().await, [first, second, third]);
    assert_eq!(f.meta.trash_ready(1).await.unwrap(), [first]);
    assert!(f.meta.trash_ready(0).await.unwrap().is_empty());
}

async fn a_forgotten_key_is_gone(f: Fixture) {
    let key = throw_away(&f, 1).await;
    let other = throw_away(&f, 2).await;
    f.meta.forget_trash(key).await.unwrap();
    assert_eq!(f.trash().await, [other]);
}

async fn a_failed_removal_waits_longer_each_time(f: Fixture) {
    let key = throw_away(&f, 1).await;
    for wait in [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 4_096, 4_096,
    ] {
        f.meta.retry_trash(key).await.unwrap();
        f.clock
            .advance(Duration::from_secs(wait) - Duration::from_micros(1));
        assert!(f.trash().await.is_empty(), "after {wait} s");
        f.clock.advance(Duration::from_micros(1));
        assert_eq!(f.trash().await, [key], "after {wait} s");
    }
}

async fn keys_that_are_not_there_are_no_error(f: Fixture) {
    f.meta.forget_trash(key(1)).await.unwrap();
    f.meta.retry_trash(key(1)).await.unwrap();
    assert!(f.trash().await.is_empty());
}
