//! `auth.silly`: whoever sends any Authorization header is somebody. For trials of clients.

use super::cursor::Cursor;

/// The `auth.silly` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SillyAuth {
    /// The realm in the challenge.
    pub(crate) realm: String,
    /// The service in the challenge.
    pub(crate) service: String,
}

pub(crate) fn read(root: &Cursor<'_>) -> Option<SillyAuth> {
    let auth = root.section("auth");
    if !auth.contains("silly") {
        return None;
    }
    let section = auth.section("silly");
    let required = |name: &str| {
        section.text(name).unwrap_or_else(|| {
            section.refuse(name, "auth.silly needs it");
            String::new()
        })
    };
    Some(SillyAuth {
        realm: required("realm"),
        service: required("service"),
    })
}
