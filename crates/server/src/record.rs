//! What the audit log says of a request.

use std::time::SystemTime;

use http::StatusCode;
use roadstead_oci::{Action, ActionSet, PrincipalName};

use crate::audit::{Decided, Decision, Event};
use crate::authorise::actions;
use crate::request_log::{Line, known, printable, reference, text};
use crate::routes::Route;

/// One event for each decision; where there was none, one by what was answered. `credentials`: the
/// request had some.
pub(crate) fn events(line: &Line, decided: &[Decided], credentials: bool) -> Vec<Event> {
    let route = line.route.as_ref();
    let status = line.status.unwrap_or(StatusCode::OK);
    let repository = route.and_then(Route::repository);
    let principal = line.principal.as_ref();
    let event = Event {
        time: SystemTime::now(),
        request_id: line.request_id.to_string(),
        principal: printable(principal.map(PrincipalName::as_str).unwrap_or_default()),
        kind: match principal {
            None => "",
            Some(name) if *name == PrincipalName::anonymous() => "anonymous",
            Some(_) => "user",
        },
        address: line.address.clone(),
        method: known(&line.method).to_owned(),
        actions: match (route, repository) {
            (Some(route), Some(_)) => words(actions(route, &line.method)),
            _ => String::new(),
        },
        repository: repository.map(ToString::to_string).unwrap_or_default(),
        reference: route.map(reference).unwrap_or_default(),
        decision: Decision::of(status, credentials),
        rule: None,
        status: status.as_u16(),
        user_agent: printable(&text(line.user_agent.as_ref())),
    };
    if decided.is_empty() {
        return vec![event];
    }
    let of = |decided: &Decided| Event {
        kind: decided.kind,
        actions: decided.actions.clone(),
        repository: decided.repository.clone(),
        decision: decided.decision,
        rule: decided.rule.clone(),
        ..event.clone()
    };
    decided.iter().map(of).collect()
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
    use http::{HeaderValue, Method};

    use super::*;
    use crate::audit::Trail;
    use crate::request_id::RequestId;

    fn line() -> Line {
        let agent = HeaderValue::from_static("docker/27");
        let mut line = Line::new(
            Method::DELETE,
            RequestId::random(),
            "192.0.2.1".into(),
            Some(agent),
        );
        line.route = Route::parse("/v2/team/app/manifests/v1", "/").ok();
        line.status = Some(StatusCode::ACCEPTED);
        line.principal = Some(PrincipalName::new("alice"));
        line
    }

    #[test]
    fn without_decisions_the_status_speaks() {
        let mut line = line();
        let events = events(&line, &[], true);
        let [event] = events.as_slice() else {
            panic!("{events:?}")
        };
        assert_eq!(event.request_id, line.request_id.to_string());
        assert_eq!((event.principal.as_str(), event.kind), ("alice", "user"));
        assert_eq!(event.actions, "delete");
        assert_eq!(
            (event.repository.as_str(), event.reference.as_str()),
            ("team/app", "v1")
        );
        assert_eq!((event.decision, event.status), (Decision::Allow, 202));
        assert_eq!(
            (&*event.address, event.user_agent.as_str()),
            ("192.0.2.1", "docker/27")
        );
        line.status = Some(StatusCode::UNAUTHORIZED);
        line.principal = None;
        let events = super::events(&line, &[], false);
        assert_eq!(
            (events[0].kind, events[0].decision),
            ("", Decision::Challenge)
        );
    }

    #[test]
    fn each_decision_is_an_event() {
        let trail = Trail::default();
        let decided = |decision, repository: &str| Decided {
            decision,
            kind: "robot",
            rule: Some(format!("rule of {repository}")),
            actions: "pull".to_owned(),
            repository: repository.to_owned(),
        };
        trail.push(decided(Decision::Allow, "a"));
        trail.push(decided(Decision::Deny, "b"));
        let events = events(&line(), &trail.take(), true);
        let found: Vec<_> = events
            .iter()
            .map(|event| {
                (
                    event.kind,
                    event.repository.as_str(),
                    event.decision,
                    event.rule.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            found,
            [
                ("robot", "a", Decision::Allow, Some("rule of a")),
                ("robot", "b", Decision::Deny, Some("rule of b")),
            ]
        );
        assert!(trail.take().is_empty());
    }
}
