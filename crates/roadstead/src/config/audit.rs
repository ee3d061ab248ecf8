//! `access.audit`: what is put on record.

use std::path::PathBuf;

use super::cursor::Cursor;
use super::effective::{Quoted, Writer};

/// The `access.audit` section. Default: nothing is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// The file that events are added to. Default: none.
    pub(crate) path: Option<PathBuf>,
    /// Whether events are written to the log. Default: false.
    pub(crate) log: bool,
    /// Which events. Default: changes.
    pub(crate) which: Which,
}

/// Which events are recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Which {
    /// All of them.
    All,
    /// Requests to change something, and denials.
    #[default]
    Changes,
    /// Denials alone.
    Denials,
}

impl Which {
    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Changes => "changes",
            Self::Denials => "denials",
        }
    }
}

pub(super) fn read(section: &Cursor<'_>) -> Audit {
    let which = match section.text("which").as_deref() {
        None | Some("changes") => Which::Changes,
        Some("all") => Which::All,
        Some("denials") => Which::Denials,
        Some(other) => {
            let message = format!("expected all, changes or denials, found {other:?}");
            section.refuse("which", &message);
            Which::Changes
        }
    };
    Audit {
        path: section.text("path").map(PathBuf::from),
        log: section.flag("log", false),
        which,
    }
}

impl Audit {
    pub(super) fn write(&self, yaml: &mut Writer) {
        yaml.section("audit", |yaml| {
            if let Some(path) = &self.path {
                yaml.line("path", &Quoted(&path.to_string_lossy()));
            }
            yaml.line("log", &self.log);
            yaml.line("which", &self.which.as_str());
        });
    }
}
