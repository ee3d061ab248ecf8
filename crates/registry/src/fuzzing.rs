//! The parsers of this crate for the fuzz targets, with what holds of them for every input. Only
//! built for those.

use crate::hashing::Hasher;

/// A stored hash state: one that is taken up is written the same again, and goes on.
pub fn hash_state(state: &[u8], more: &[u8]) {
    let Ok(hasher) = Hasher::resume(state) else {
        return;
    };
    let kept = hasher.state();
    let mut whole = Hasher::resume(&kept).expect("its own state");
    assert_eq!(whole.state(), kept);
    let mut parts = hasher;
    whole.update(more);
    let (head, tail) = more.split_at(more.len() / 2);
    parts.update(head);
    // One that counts as many blocks as there may be is refused behind another block.
    let Ok(mut parts) = Hasher::resume(&parts.state()) else {
        assert!(!more.is_empty());
        return;
    };
    parts.update(tail);
    assert_eq!(whole.algorithm(), parts.algorithm());
    assert_eq!(whole.digest(), parts.digest());
}
