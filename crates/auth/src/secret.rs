//! What must never be printed.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// Bytes that a log, an error or a panic must not show: there is no `Display`, and `Debug` says
/// only that something is there.
#[derive(Clone)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Takes the bytes into custody.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes; each caller is a place to look at when a secret has leaked.
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// In constant time, but for the length.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new(*b"canary");
        assert_eq!(format!("{secret:?} {secret:#?}"), "[secret] [secret]");
        assert_eq!(secret.expose(), b"canary");
        assert!(secret == Secret::new(*b"canary") && secret != Secret::new(*b"Canary"));
    }
}
