//! `catalog` and `tags`: how long one page of a list may be.

use super::cursor::Cursor;

/// The `catalog` and `tags` sections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listing {
    /// Repositories on one page of the catalog. Default: 1,000; up to 100,000, and
    /// `distribution`'s 0 and below mean the default.
    pub(crate) catalog_max_entries: u32,
    /// Tags on one page. Default: 1,000; up to 100,000, and 0 means the default.
    pub(crate) tags_max_tags: u32,
}

const DEFAULT: u32 = 1000;
const MOST: i64 = 100_000;

pub(crate) fn read(root: &Cursor<'_>) -> Listing {
    let catalog = root
        .section("catalog")
        .integer("maxentries", 0, i64::MIN..=MOST);
    let tags = root.section("tags").integer("maxtags", 0, 0..=MOST);
    Listing {
        catalog_max_entries: page(catalog),
        tags_max_tags: page(tags),
    }
}

fn page(number: i64) -> u32 {
    u32::try_from(number)
        .ok()
        .filter(|number| *number > 0)
        .unwrap_or(DEFAULT)
}
