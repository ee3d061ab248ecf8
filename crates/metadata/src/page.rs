//! Keyset pages: a list goes on after the last item that was seen, which need not exist any more.

/// One page of an ordered list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Whether the list goes on after the last item.
    pub more: bool,
}

impl<T> Page<T> {
    /// A page of a list that has nothing.
    pub const fn empty() -> Page<T> {
        Page {
            items: Vec::new(),
            more: false,
        }
    }

    /// Makes a page of at most `limit` items from up to `limit` + 1.
    pub(crate) fn cut(mut items: Vec<T>, limit: u32) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        Page { items, more }
    }
}
