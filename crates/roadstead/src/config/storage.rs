//! `storage`, `metadata` and the storage middleware: where bytes and rows live, what may be
//! deleted, when abandoned uploads go, and whether downloads are redirected.

use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use super::cursor::Cursor;

/// The `storage`, `metadata` and `middleware.storage` sections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Storage {
    /// Where content lives.
    pub(crate) driver: Driver,
    /// Whether blobs, manifests and tags may be deleted. Default: false in a file.
    pub(crate) delete: bool,
    /// Whether everything that changes content is refused. Default: false.
    pub(crate) read_only: bool,
    /// What happens to abandoned uploads.
    pub(crate) upload_purging: UploadPurging,
    /// The base address that blob downloads are redirected to; `None` serves bytes.
    pub(crate) redirect: Option<String>,
    /// `storage.redirect.disable`: serve bytes although a redirect is configured. Default: false.
    pub(crate) redirect_disabled: bool,
}

/// A place for content, with its metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Driver {
    /// A directory.
    Filesystem {
        /// Default: /var/lib/registry.
        root: PathBuf,
        /// The metadata database. Default: `roadstead.db` in the root.
        database: PathBuf,
        /// `metadata.reservebytes`: free space that pushes leave to the database and to deletes;
        /// `None` derives it from the size of the disk. Default: derived.
        reserve: Option<u64>,
    },
    /// This process's memory: everything is gone when it ends.
    InMemory,
}

/// `storage.maintenance.uploadpurging`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UploadPurging {
    /// Default: true.
    pub(crate) enabled: bool,
    /// An upload without progress for this long is abandoned. Default: 168 h; above zero.
    pub(crate) age: Duration,
    /// How often is looked. Default: 24 h; above zero.
    pub(crate) interval: Duration,
    /// Only log what would go. Default: false.
    pub(crate) dry_run: bool,
}

const DEFAULT_ROOT: &str = "/var/lib/registry";
const DATABASE_NAME: &str = "roadstead.db";
const DEFAULT_AGE: Duration = Duration::from_secs(168 * 3600);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn read(root: &Cursor<'_>) -> Storage {
    let storage = root.section("storage");
    let maintenance = storage.section("maintenance");
    Storage {
        driver: driver(root, &storage),
        delete: storage.section("delete").flag("enabled", false),
        read_only: maintenance.section("readonly").flag("enabled", false),
        upload_purging: upload_purging(&maintenance.section("uploadpurging")),
        redirect: redirect(&root.section("middleware")),
        redirect_disabled: storage.section("redirect").flag("disable", false),
    }
}

fn driver(root: &Cursor<'_>, storage: &Cursor<'_>) -> Driver {
    let database = root
        .section("metadata")
        .section("sqlite")
        .text("path")
        .map(PathBuf::from);
    let metadata = root.section("metadata");
    // Outside of what may be written: there is no such value.
    let reserve = u64::try_from(metadata.integer("reservebytes", -1, 0..=1 << 50)).ok();
    match (storage.contains("filesystem"), storage.contains("inmemory")) {
        (true, true) => {
            storage.refuse(
                "inmemory",
                "one driver is enough, but filesystem is there too",
            );
            Driver::InMemory
        }
        (false, true) => {
            if database.is_some() {
                let metadata = root.section("metadata");
                metadata.refuse(
                    "sqlite",
                    "storage.inmemory keeps its metadata in memory too",
                );
            }
            Driver::InMemory
        }
        (filesystem, false) => {
            if !filesystem && !UNSERVED_DRIVERS.iter().any(|name| storage.contains(name)) {
                let message = "no driver: give storage.filesystem (or storage.inmemory)";
                root.refuse("storage", message);
            }
            let root = storage.section("filesystem").text("rootdirectory");
            let root = PathBuf::from(root.as_deref().unwrap_or(DEFAULT_ROOT));
            let database = database.unwrap_or_else(|| root.join(DATABASE_NAME));
            Driver::Filesystem {
                root,
                database,
                reserve,
            }
        }
    }
}

/// The sweep has already said that these are not served.
const UNSERVED_DRIVERS: [&str; 6] = ["s3", "s3aws", "gcs", "azure", "oss", "swift"];

fn upload_purging(section: &Cursor<'_>) -> UploadPurging {
    UploadPurging {
        enabled: section.flag("enabled", true),
        age: section.period("age", DEFAULT_AGE),
        interval: section.period("interval", DEFAULT_INTERVAL),
        dry_run: section.flag("dryrun", false),
    }
}

fn redirect(middleware: &Cursor<'_>) -> Option<String> {
    let mut base = None;
    for element in middleware.sections("storage") {
        if element.flag("disabled", false) {
            continue;
        }
        match element.text("name").as_deref() {
            Some("redirect") if base.is_some() => {
                element.refuse("name", "a second redirect: only one can answer");
            }
            Some("redirect") => base = base_url(&element.section("options")),
            Some(other) => {
                let message = format!("middleware {other:?} is not served by Roadstead yet");
                element.refuse("name", &message);
            }
            None => element.refuse("name", "a middleware needs a name"),
        }
    }
    base
}

fn base_url(options: &Cursor<'_>) -> Option<String> {
    let Some(text) = options.text("baseurl") else {
        options.refuse("baseurl", "the redirect middleware needs it");
        return None;
    };
    let fits = text.parse::<Uri>().is_ok_and(|uri| {
        let http = matches!(uri.scheme_str(), Some("http" | "https"));
        http && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none()
    });
    if !fits {
        let message = format!("expected an http or https address without query, found {text:?}");
        options.refuse("baseurl", &message);
        return None;
    }
    Some(text)
}
