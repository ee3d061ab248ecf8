//! `auth`: who may come in.

use std::path::PathBuf;

use super::cursor::Cursor;

/// The `auth` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Auth {
    /// Everybody may do everything.
    Open,
    /// Users and bcrypt hashes in a file, read again when it changes.
    Htpasswd {
        /// The realm in the challenge.
        realm: String,
        /// The file.
        path: PathBuf,
    },
}

pub(crate) fn read(root: &Cursor<'_>) -> Auth {
    let auth = root.section("auth");
    let mut kinds = ["htpasswd", "token", "silly"]
        .into_iter()
        .filter(|kind| auth.contains(kind));
    let kind = kinds.next();
    if let (Some(kind), true) = (kind, auth.contains("none")) {
        let message = format!("nobody is let in unasked where {kind} is there too");
        auth.refuse("none", &message);
    }
    if kind.is_none() && !auth.contains("none") && !root.contains("access") {
        root.report().warn(
            "no auth is configured: everybody who reaches this registry may push and \
             delete (auth: none says that this is meant)",
        );
    }
    if auth.contains("htpasswd") {
        return htpasswd(&auth.section("htpasswd"));
    }
    Auth::Open
}

fn htpasswd(section: &Cursor<'_>) -> Auth {
    let required = |name: &str| {
        section.text(name).unwrap_or_else(|| {
            section.refuse(name, "auth.htpasswd needs it");
            String::new()
        })
    };
    let realm = required("realm");
    let path = PathBuf::from(required("path"));
    Auth::Htpasswd { realm, path }
}
