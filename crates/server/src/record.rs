//! What the audit log says of a request.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderValue, Method, Request, StatusCode};
use roadstead_auth::Kind;
use roadstead_oci::{Action, ActionSet, PrincipalName};

use crate::app::App;
use crate::audit::{Audit, Decided, Decision, Event, Found, Trail};
use crate::authorise::actions;
use crate::request_id::RequestId;
use crate::request_log::{NOT_ANSWERED, known, printable, reference, text};
use crate::routes::Route;

/// Records one request: when it is answered, or when whoever made it is gone before that. What was
/// done then may have been done, so that nobody hides it by hanging up.
pub(crate) struct Recorder {
    audit: Arc<Audit>,
    trail: Arc<Trail>,
    request: Asking,
    /// What is left to be recorded, once the answer is known.
    left: Option<VecDeque<Event>>,
}

/// What is known of a request before anybody looks at it.
struct Asking {
    request_id: RequestId,
    method: Method,
    route: Option<Route>,
    address: Arc<str>,
    user_agent: Option<HeaderValue>,
    credentials: bool,
}

impl Recorder {
    /// `None` where nothing is recorded.
    pub(crate) fn new<B>(
        app: &App,
        request: &Request<B>,
        request_id: RequestId,
        address: &Arc<str>,
    ) -> Option<Self> {
        let audit = Arc::clone(app.perimeter.audit()?);
        let asking = Asking {
            request_id,
            method: request.method().clone(),
            route: Route::parse(request.uri().path(), &app.settings.prefix).ok(),
            address: Arc::clone(address),
            user_agent: request.headers().get(USER_AGENT).cloned(),
            credentials: request.headers().contains_key(AUTHORIZATION),
        };
        Some(Self {
            audit,
            trail: Arc::default(),
            request: asking,
            left: None,
        })
    }

    pub(crate) fn trail(&self) -> Arc<Trail> {
        Arc::clone(&self.trail)
    }

    /// Records what the answer says. Given up on the way, the rest is recorded nevertheless.
    pub(crate) async fn answered(mut self, status: StatusCode) {
        let found = self.trail.take();
        // Those of a form do not stand in a header.
        let credentials = self.request.credentials || found.refused.is_some();
        let decision = Decision::of(status, credentials);
        let events = self.request.events(found, decision, status.as_u16());
        let left = self.left.insert(events.into());
        while let Some(event) = left.front() {
            self.audit.record(event.clone()).await;
            left.pop_front();
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let left = self.left.take().unwrap_or_else(|| {
            let found = self.trail.take();
            // Whoever is not known has done nothing yet.
            match found.principal {
                Some(_) => self
                    .request
                    .events(found, Decision::Allow, NOT_ANSWERED)
                    .into(),
                None => VecDeque::new(),
            }
        });
        for event in left {
            self.audit.record_now(event);
        }
    }
}

impl Asking {
    /// One event for each decision; where there was none, one with this decision.
    fn events(&self, found: Found, decision: Decision, status: u16) -> Vec<Event> {
        let route = self.route.as_ref();
        let repository = route.and_then(Route::repository);
        let (principal, kind) = found.principal.unzip();
        let event = Event {
            time: SystemTime::now(),
            request_id: self.request_id.to_string(),
            principal: printable(principal.as_ref().map_or("", PrincipalName::as_str)),
            claimed: printable(found.refused.as_deref().unwrap_or_default()),
            kind: kind.map_or("", Kind::as_str),
            address: Arc::clone(&self.address),
            method: known(&self.method).to_owned(),
            actions: match (route, repository) {
                (Some(route), Some(_)) => words(actions(route, &self.method)),
                _ => String::new(),
            },
            repository: repository.map(ToString::to_string).unwrap_or_default(),
            reference: route.map(reference).unwrap_or_default(),
            decision,
            rule: None,
            status,
            user_agent: printable(&text(self.user_agent.as_ref())),
        };
        if found.decided.is_empty() {
            return vec![event];
        }
        let of = |decided: Decided| Event {
            kind: decided.kind,
            actions: decided.actions,
            repository: decided.repository,
            decision: decided.decision,
            rule: decided.rule,
            ..event.clone()
        };
        found.decided.into_iter().map(of).collect()
    }
}

/// Actions in the words of a rule.
pub(crate) fn words(actions: ActionSet) -> String {
    actions
        .iter()
        .map(Action::as_str)
        .collect::<Vec<_>>()
        .join(",")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;
    use crate::audit::{AuditSettings, Which};

    fn recorder(path: &Path) -> Recorder {
        let settings = AuditSettings {
            which: Which::All,
            path: Some(path.to_owned()),
            log: false,
        };
        Recorder {
            audit: Arc::new(Audit::start(&settings).unwrap()),
            trail: Arc::default(),
            request: Asking {
                request_id: RequestId::random(),
                method: Method::DELETE,
                route: Route::parse("/v2/team/app/manifests/v1", "/").ok(),
                address: "192.0.2.1".into(),
                user_agent: Some(HeaderValue::from_static("docker/27")),
                credentials: true,
            },
            left: None,
        }
    }

    fn decided(decision: Decision, repository: &str) -> Decided {
        Decided {
            decision,
            kind: "robot",
            rule: Some(format!("rule of {repository}")),
            actions: "pull".to_owned(),
            repository: repository.to_owned(),
        }
    }

    fn fields(path: &Path, names: [&str; 4]) -> Vec<[Value; 4]> {
        let text = std::fs::read_to_string(path).unwrap();
        let line = |line| serde_json::from_str::<Value>(line).unwrap();
        let lines = text.lines().map(line);
        lines
            .map(|line| names.map(|name| line[name].clone()))
            .collect()
    }

    #[tokio::test]
    async fn without_decisions_the_status_speaks() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        for (principal, status, expected) in [
            (Some("alice"), 202, ["alice", "user", "allow", "delete"]),
            (Some("alice"), 403, ["alice", "user", "deny", "delete"]),
            (None, 401, ["", "", "deny", "delete"]),
        ] {
            let recorder = recorder(&path);
            let audit = Arc::clone(&recorder.audit);
            if let Some(name) = principal {
                recorder
                    .trail
                    .identified(&PrincipalName::new(name), Kind::User);
            }
            recorder
                .answered(StatusCode::from_u16(status).unwrap())
                .await;
            audit.finish().await;
            let found = fields(&path, ["principal", "kind", "decision", "actions"]);
            assert_eq!(found.last().unwrap(), &expected.map(Value::from));
        }
        let last = fields(&path, ["repository", "reference", "address", "user_agent"]);
        let expected = ["team/app", "v1", "192.0.2.1", "docker/27"];
        assert_eq!((last.len(), &last[2]), (3, &expected.map(Value::from)));
    }

    #[tokio::test]
    async fn each_decision_is_an_event() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let recorder = recorder(&path);
        let audit = Arc::clone(&recorder.audit);
        recorder.trail.decided(decided(Decision::Allow, "a"));
        recorder.trail.decided(decided(Decision::Deny, "b"));
        recorder.answered(StatusCode::ACCEPTED).await;
        audit.finish().await;
        let expected = [
            ["robot", "a", "allow", "rule of a"].map(Value::from),
            ["robot", "b", "deny", "rule of b"].map(Value::from),
        ];
        assert_eq!(
            fields(&path, ["kind", "repository", "decision", "rule"]),
            expected
        );
    }

    #[tokio::test]
    async fn to_hang_up_hides_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let recorder = recorder(&path);
        let audit = Arc::clone(&recorder.audit);
        recorder
            .trail
            .identified(&PrincipalName::new("alice"), Kind::User);
        drop(recorder);
        audit.finish().await;
        let found = fields(&path, ["principal", "decision", "status", "method"]);
        let expected = [
            json(&["alice", "allow"]),
            vec![Value::from(499), Value::from("DELETE")],
        ];
        assert_eq!(found[0].to_vec(), expected.concat());

        // Nobody is known to have asked for anything.
        let recorder = self::recorder(&path);
        let audit = Arc::clone(&recorder.audit);
        drop(recorder);
        audit.finish().await;
        assert_eq!(fields(&path, ["time"; 4]).len(), 1);
    }

    fn json(texts: &[&str]) -> Vec<Value> {
        texts.iter().map(|text| Value::from(*text)).collect()
    }
}
