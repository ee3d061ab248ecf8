//! The log: one event a line on standard error, as text or JSON, with the configured fields.
//!
//! Requests are logged by the server under the target `access` at info, whatever the level of the
//! rest: they have a switch of their own.

use std::fmt::{self, Write as _};

use tracing::{Event, Level, Subscriber, level_filters::LevelFilter};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, format};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

use crate::config::{self, Formatter, Log};

/// Starts logging for the whole process.
///
/// # Errors
/// Logging has been started before.
pub(crate) fn start(log: &Log) -> Result<Levels, tracing_subscriber::util::TryInitError> {
    let (filter, handle) = reload::Layer::new(targets(log));
    let registry = tracing_subscriber::registry().with(filter);
    match log.formatter {
        Formatter::Text => {
            let event = Extended {
                inner: format(),
                extra: text_fields(&log.fields),
                close: "",
            };
            let layer = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(false)
                .event_format(event);
            registry.with(layer).try_init()?;
        }
        Formatter::Json => {
            let event = Extended {
                inner: format().json().flatten_event(true),
                extra: json_fields(&log.fields),
                close: "}",
            };
            let layer = tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .fmt_fields(JsonFields::new())
                .event_format(event);
            registry.with(layer).try_init()?;
        }
    }
    Ok(Levels(handle))
}

/// Changes what is logged.
#[derive(Clone)]
pub(crate) struct Levels(reload::Handle<Targets, tracing_subscriber::Registry>);

impl Levels {
    /// Logs at the level, and requests by the switch, of these settings from now on.
    pub(crate) fn change(&self, log: &Log) {
        if let Err(error) = self.0.reload(targets(log)) {
            tracing::error!(%error, "the level of the log stays");
        }
    }
}

/// Our own crates at the configured level, those of others at warnings, requests by their switch.
fn targets(log: &Log) -> Targets {
    let level = match log.level {
        config::Level::Error => Level::ERROR,
        config::Level::Warn => Level::WARN,
        config::Level::Info => Level::INFO,
        config::Level::Debug => Level::DEBUG,
    };
    let access = if log.access_log {
        LevelFilter::INFO
    } else {
        LevelFilter::OFF
    };
    Targets::new()
        .with_default(level.min(Level::WARN))
        .with_target("roadstead", level)
        .with_target("access", access)
        // Only sent where it is configured.
        .with_target("audit", LevelFilter::INFO)
}

/// An event format that adds fixed text to the end of each line, before `close`.
struct Extended<F> {
    inner: F,
    extra: String,
    close: &'static str,
}

impl<S, N, F> FormatEvent<S, N> for Extended<F>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if self.extra.is_empty() {
            return self.inner.format_event(context, writer, event);
        }
        let mut line = String::new();
        self.inner
            .format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        let line = line.strip_suffix(self.close).unwrap_or(line);
        writeln!(writer, "{line}{}{}", self.extra, self.close)
    }
}

fn text_fields(fields: &[(String, String)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        // Writing to a String cannot fail.
        let _ = write!(text, " {}={:?}", name.escape_debug(), value);
    }
    text
}

fn json_fields(fields: &[(String, String)]) -> String {
    let taken = ["timestamp", "level", "target", "message", "span", "spans"];
    let mut text = String::new();
    for (name, value) in fields
        .iter()
        .filter(|(name, _)| !taken.contains(&name.as_str()))
    {
        let (name, value) = (
            serde_json::Value::from(name.as_str()),
            serde_json::Value::from(value.as_str()),
        );
        let _ = write!(text, ",{name}:{value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_fields_are_escaped_for_their_format() {
        let fields = [
            ("a".to_owned(), "b\"\n".to_owned()),
            ("level".to_owned(), "x".to_owned()),
        ];
        assert_eq!(text_fields(&fields), " a=\"b\\\"\\n\" level=\"x\"");
        assert_eq!(json_fields(&fields), ",\"a\":\"b\\\"\\n\"");
    }
}
