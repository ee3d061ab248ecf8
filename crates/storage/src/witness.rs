//! Who sees the bytes of an object on their way.

use std::fmt::Debug;

/// Sees what is written to an object, in order and once, on the thread that writes it, while the bytes
/// are at hand there.
pub trait Witness: Debug + Send {
    /// Sees bytes that are about to be written. May take long: the thread may block.
    fn see(&mut self, bytes: &[u8]);
}

/// Nobody looks.
impl Witness for () {
    fn see(&mut self, _: &[u8]) {}
}
