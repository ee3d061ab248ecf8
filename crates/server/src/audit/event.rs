//! One event of the audit log.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use http::StatusCode;
use roadstead_auth::Kind;
use roadstead_oci::PrincipalName;
use serde_json::Value;

/// What came of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It was let through, whatever came of it then.
    Allow,
    /// Wrong credentials, or no right.
    Deny,
    /// There were no credentials, and they were asked for.
    Challenge,
}

impl Decision {
    fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Challenge => "challenge",
        }
    }

    /// What an answer's status says of it, where nobody has said more.
    pub(crate) fn of(status: StatusCode, credentials: bool) -> Self {
        match status {
            StatusCode::UNAUTHORIZED if !credentials => Self::Challenge,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
                Self::Deny
            }
            _ => Self::Allow,
        }
    }
}

/// Who did what. No field ever has a password, a key or a token; what comes from a client is cut to a bounded length.
#[derive(Debug, Clone)]
pub struct Event {
    /// When it was decided.
    pub time: SystemTime,
    /// As in the answer's `X-Request-Id`, in the log and in the journal.
    pub request_id: String,
    /// Who asked; empty where that is not known.
    pub principal: String,
    /// The name that came with credentials that were refused; empty otherwise.
    pub claimed: String,
    /// What kind of principal that is, such as user, robot or anonymous; empty likewise.
    pub kind: &'static str,
    /// Where from, as proxies that are trusted say.
    pub address: Arc<str>,
    /// The request's method.
    pub method: String,
    /// What was to be done, in the words of a rule, separated by commas.
    pub actions: String,
    /// To which repository; empty where it was none.
    pub repository: String,
    /// Tag, digest or upload; empty where it was none.
    pub reference: String,
    /// What came of it.
    pub decision: Decision,
    /// What decided it, where there are rules.
    pub rule: Option<String>,
    /// The answer's status.
    pub status: u16,
    /// The client's name for itself.
    pub user_agent: String,
}

impl Event {
    /// Whether it is a request to change something.
    pub(crate) fn is_change(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }

    /// One line of JSON with its break.
    pub(crate) fn write(&self, line: &mut String) {
        line.push_str("{\"time\":\"");
        push_time(line, self.time);
        line.push('"');
        for (name, value) in [
            ("request_id", self.request_id.as_str()),
            ("principal", &self.principal),
            ("claimed", &self.claimed),
            ("kind", self.kind),
            ("address", &self.address),
            ("method", &self.method),
            ("actions", &self.actions),
            ("repository", &self.repository),
            ("reference", &self.reference),
            ("decision", self.decision.as_str()),
            ("rule", self.rule.as_deref().unwrap_or_default()),
            ("user_agent", &self.user_agent),
        ] {
            push(line, format_args!(",\"{name}\":{}", Value::from(value)));
        }
        push(line, format_args!(",\"status\":{}}}\n", self.status));
    }

    /// Writes it to the log.
    pub(crate) fn log(&self) {
        tracing::info!(
            target: "audit",
            request_id = self.request_id,
            principal = self.principal,
            claimed = self.claimed,
            kind = self.kind,
            address = &*self.address,
            method = self.method,
            actions = self.actions,
            repository = self.repository,
            reference = self.reference,
            decision = self.decision.as_str(),
            rule = self.rule.as_deref().unwrap_or_default(),
            status = self.status,
            user_agent = self.user_agent,
            "access"
        );
    }
}

fn push(line: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = line.write_fmt(text);
}

/// RFC 3339, UTC, with milliseconds.
pub(super) fn push_time(line: &mut String, time: SystemTime) {
    // A clock before 1970 is not set.
    let time = time.max(SystemTime::UNIX_EPOCH);
    push(
        line,
        format_args!("{}", humantime::format_rfc3339_millis(time)),
    );
}

/// A decision on the way of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) decision: Decision,
    /// Kind of the principal.
    pub(crate) kind: &'static str,
    pub(crate) rule: Option<String>,
    /// Which actions, separated by commas.
    pub(crate) actions: String,
    /// On which repository; empty where it is none.
    pub(crate) repository: String,
}

/// What is found out of one request on its way: who asks, and what was decided. Each decision becomes
/// an event; a request without any becomes one by its status.
#[derive(Debug, Default)]
pub(crate) struct Trail(Mutex<Found>);

/// What was found out so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) principal: Option<(PrincipalName, Kind)>,
    /// The name that came with credentials that were refused; empty where none came.
    pub(crate) refused: Option<String>,
    pub(crate) decided: Vec<Decided>,
}

impl Trail {
    /// It is known who asks.
    pub(crate) fn identified(&self, principal: &PrincipalName, kind: Kind) {
        self.lock().principal = Some((principal.clone(), kind));
    }

    /// Credentials were refused that came with this name; none came with a token.
    pub(crate) fn refused(&self, claimed: Option<String>) {
        self.lock().refused = Some(claimed.unwrap_or_default());
    }

    /// Something was decided.
    pub(crate) fn decided(&self, decided: Decided) {
        self.lock().decided.push(decided);
    }

    pub(crate) fn take(&self) -> Found {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Found> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
