//! Who may log in to a registry that wants passwords.

use std::path::Path;

use anyhow::Result;

/// Who may do everything.
pub(crate) const USER: &str = "ferry";
pub(crate) const PASSWORD: &str = "open-water";
/// Another, who has the same password, and where there are rules may only pull.
pub(crate) const GUEST: &str = "guest";
/// `USER` and `PASSWORD` as credentials of Basic.
pub(crate) const BASIC: &str = "ZmVycnk6b3Blbi13YXRlcg==";
/// `PASSWORD` as an htpasswd file has it (bcrypt, cost 10).
const HASH: &str = "$2y$10$LkF2qWuFH5emv9oh5.AqkObXGODOFBOQKUlW0/knx5gcwWioBGF6G";

/// Writes an htpasswd file into a folder, and returns the section of a configuration that names it.
///
/// # Errors
/// Those of the file system.
pub(crate) fn passwords(folder: &Path) -> Result<String> {
    let file = folder.join("htpasswd");
    std::fs::write(&file, format!("{USER}:{HASH}\n{GUEST}:{HASH}\n"))?;
    let file = file.display();
    Ok(format!(
        "auth: {{htpasswd: {{realm: e2e, path: {file}}}}}\n"
    ))
}
