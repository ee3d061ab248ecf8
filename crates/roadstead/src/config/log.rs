//! `log`: what is written to standard error, and how.

use super::cursor::Cursor;

/// The `log` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Log {
    /// Lines below this level are dropped. Default: info.
    pub(crate) level: Level,
    /// One line of text or one JSON object an event. Default: text.
    pub(crate) formatter: Formatter,
    /// Static fields on every line, in the order of the file.
    pub(crate) fields: Vec<(String, String)>,
    /// Whether each request writes one line under the target `access`. Default: true.
    pub(crate) access_log: bool,
}

/// How much is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Failures that need somebody.
    Error,
    /// What may need somebody.
    Warn,
    /// One line a request and what the operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Formatter {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Level {
    /// The name in a configuration file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "error" => Some(Self::Error),
            "warn" | "warning" => Some(Self::Warn),
            "info" => Some(Self::Info),
            "debug" => Some(Self::Debug),
            _ => None,
        }
    }
}

impl Formatter {
    /// The name in a configuration file.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

pub(crate) fn read(root: &Cursor<'_>) -> Log {
    let log = root.section("log");
    Log {
        level: level(root, &log),
        formatter: formatter(&log),
        fields: log.fields("fields"),
        access_log: !log.section("accesslog").flag("disabled", false),
    }
}

fn level(root: &Cursor<'_>, log: &Cursor<'_>) -> Level {
    // `loglevel` is distribution's old name and only speaks where the new one is silent.
    let (section, name) = if log.text("level").is_some() {
        (log, "level")
    } else {
        (root, "loglevel")
    };
    let Some(text) = section.text(name) else {
        return Level::Info;
    };
    Level::parse(&text).unwrap_or_else(|| {
        section.refuse(
            name,
            &format!("expected error, warn, info or debug, found {text:?}"),
        );
        Level::Info
    })
}

fn formatter(log: &Cursor<'_>) -> Formatter {
    match log.text("formatter").as_deref() {
        None | Some("text") => Formatter::Text,
        Some("json") => Formatter::Json,
        Some("logstash") => {
            log.refuse(
                "formatter",
                "logstash is not served by Roadstead yet, use json",
            );
            Formatter::Json
        }
        Some(other) => {
            log.refuse(
                "formatter",
                &format!("expected text or json, found {other:?}"),
            );
            Formatter::Text
        }
    }
}
