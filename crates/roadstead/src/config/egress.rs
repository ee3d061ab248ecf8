//! `access.egress`: where the registry may fetch documents of other servers from.

use std::path::PathBuf;

use roadstead_auth::{Allowed, EgressSettings};

use super::cursor::Cursor;

pub(crate) fn read(root: &Cursor<'_>) -> EgressSettings {
    let section = root.section("access").section("egress");
    let mut allow = Vec::new();
    for located in section.texts("allow") {
        match located.text.parse::<Allowed>() {
            Ok(allowed) => allow.push(allowed),
            Err(error) => {
                let message = format!("access.egress.allow: {:?}: {error}", located.text);
                section.report().refuse(&located.origin, &message);
            }
        }
    }
    EgressSettings {
        allow,
        ca: section.text("ca").map(PathBuf::from),
    }
}
