//! Named places at which a test lets the process die or an operation fail: one at each step after
//! which a crash leaves something else behind.
//!
//! `failpoint!("storage::flush::bytes")` marks the place; [`POINTS`] is the list of all of them. A
//! name that is not in the list does not compile, and the kill suite fails where a name of the list
//! is not passed. Without the feature `armed` the macro expands to nothing.

mod points;

#[cfg(feature = "armed")]
mod armed;

pub use points::{POINTS, Point};

#[cfg(feature = "armed")]
pub use armed::{Spec, SpecError, VARIABLE, arm, pass, pass_or_fail};

/// Marks a place where the process can be killed. With a second argument, which makes an error of
/// this function out of an [`std::io::Error`], the function can also be made to fail there.
#[cfg(feature = "armed")]
#[macro_export]
macro_rules! failpoint {
    ($name:literal) => {{
        const INDEX: usize = $crate::index_of($name, false);
        $crate::pass(INDEX);
    }};
    ($name:literal, $failed:expr) => {{
        const INDEX: usize = $crate::index_of($name, true);
        if let Err(error) = $crate::pass_or_fail(INDEX) {
            return Err(($failed)(error));
        }
    }};
}

/// Marks a place for tests; nothing in this build.
#[cfg(not(feature = "armed"))]
#[macro_export]
macro_rules! failpoint {
    ($($point:tt)*) => {};
}

/// Where a name stands in [`POINTS`].
///
/// # Panics
/// While it is compiled, for a name that is not in the list, or one that is listed as able to fail
/// and is not written so, or the other way round.
#[must_use]
#[allow(
    clippy::panic,
    clippy::indexing_slicing,
    reason = "runs in the compiler"
)]
pub const fn index_of(name: &str, fails: bool) -> usize {
    let mut index = 0;
    while index < POINTS.len() {
        let point = &POINTS[index];
        if same(point.name.as_bytes(), name.as_bytes()) {
            assert!(point.fails == fails, "the list of points says otherwise");
            return index;
        }
        index += 1;
    }
    panic!("not in the list of points")
}

#[allow(clippy::indexing_slicing, reason = "runs in the compiler")]
const fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}
