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
    match (auth.contains("htpasswd"), auth.contains("none")) {
        (true, true) => {
            auth.refuse(
                "none",
                "one kind of auth is enough, but htpasswd is there too",
            );
            Auth::Open
        }
        (true, false) => htpasswd(&auth.section("htpasswd")),
        (false, true) => Auth::Open,
        (false, false) => {
            if !["token", "silly"].iter().any(|name| auth.contains(name))
                && !root.contains("access")
            {
                root.report().warn(
                    "no auth is configured: everybody who reaches this registry may push and \
                     delete (auth: none says that this is meant)",
                );
            }
            Auth::Open
        }
    }
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
