//! The choke point: every request gets its grant here, or its refusal.

use std::sync::Arc;
use std::time::SystemTime;

use http::header::{AUTHORIZATION, HOST, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use roadstead_auth::{
    Authoriser, Circumstances, Granted, Kind, Origin, Presented, Principal, Refusal, Scope,
    claimed_user,
};
use roadstead_oci::{
    Action, ActionSet, CatalogGrant, ErrorCode, Grant, PrincipalName, RepositoryName,
};
use serde_json::{Value, json};

use crate::audit::{Decided, Decision, Trail};
use crate::error::{Failure, chain};
use crate::query::Query;
use crate::record::words;
use crate::routes::{Route, RouteError};

/// Who asks, and the authority that decides what they may do.
pub(crate) struct Caller {
    authoriser: Arc<Authoriser>,
    principal: Principal,
    circumstances: Circumstances,
    /// The host that the request names, for a challenge that shall lead there.
    host: Option<HeaderValue>,
    /// Where decisions are gathered, where they are put on record.
    trail: Option<Arc<Trail>>,
}

/// What a request needs: what its challenge asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Needs(Vec<Scope>);

impl Caller {
    /// Finds out who asks. Credentials never carry over from another request of the connection.
    ///
    /// # Errors
    /// 401 with the challenge for credentials that are wrong.
    pub(crate) async fn identify(
        authoriser: &Arc<Authoriser>,
        headers: &HeaderMap,
        presented: &Presented<'_>,
        trail: Option<Arc<Trail>>,
        needs: impl FnOnce() -> Needs,
    ) -> Result<Self, Failure> {
        let host = headers.get(HOST);
        match authoriser.authenticate(presented).await {
            Ok(principal) => Ok(Self {
                authoriser: Arc::clone(authoriser),
                principal,
                circumstances: Circumstances {
                    client: presented.client,
                    now: SystemTime::now(),
                },
                host: host.cloned(),
                trail,
            }),
            Err(refusal) => {
                if let Some(trail) = &trail {
                    trail.refused(presented.authorization.and_then(claimed_user));
                }
                Err(refuse(authoriser, refusal, &needs(), host))
            }
        }
    }

    pub(crate) fn name(&self) -> &PrincipalName {
        self.principal.name()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.principal.kind()
    }

    /// Whether the principal's rights come from a token of an external issuer.
    pub(crate) fn is_external(&self) -> bool {
        self.principal.is_external()
    }

    /// Lets somebody in who is allowed to ask this at all. Before that nothing is answered, not
    /// even that there is no such route.
    ///
    /// # Errors
    /// 401 for nobody in particular.
    pub(crate) fn enter(
        &self,
        route: Result<&Route, &RouteError>,
        parts: &Parts,
    ) -> Result<(), Failure> {
        if self.principal.is_identified() {
            return Ok(());
        }
        let outcome = match route {
            Ok(Route::Catalog) => self.authoriser.authorise_catalog(&self.principal).map(drop),
            Ok(route) if let Some(name) = route.repository() => self
                .decide(name, actions(route, &parts.method), ActionSet::NONE)
                .map(drop)
                .inspect_err(|refusal| {
                    self.record(Err(refusal), Some(name), actions(route, &parts.method));
                }),
            _ => self.authoriser.enter(&self.principal),
        };
        outcome.map_err(|refusal| self.refuse(refusal, &Needs::of(route, parts)))
    }

    /// # Errors
    /// 401 or 403.
    pub(crate) fn grant(
        &self,
        repository: &RepositoryName,
        actions: ActionSet,
    ) -> Result<Grant, Failure> {
        self.grant_also(repository, actions, ActionSet::NONE)
    }

    /// A grant of all these actions, and of those of `also` that the caller has.
    ///
    /// # Errors
    /// 401 or 403.
    pub(crate) fn grant_also(
        &self,
        repository: &RepositoryName,
        actions: ActionSet,
        also: ActionSet,
    ) -> Result<Grant, Failure> {
        self.ask(repository, actions, also)
            .map_err(|refusal| self.refuse(refusal, &Needs::repository(repository, actions)))
    }

    /// A grant to push that names the source of a mount where it is refused, so that a client asks
    /// for both at once.
    ///
    /// # Errors
    /// 401 or 403. 401 too with a token that does not cover the source, where another could: any of
    /// an external issuer, and one of this registry for whoever may pull from there.
    pub(crate) fn grant_mount(
        &self,
        repository: &RepositoryName,
        from: Option<&RepositoryName>,
    ) -> Result<Grant, Failure> {
        let needs = || {
            let mut needs = Needs::repository(repository, ActionSet::PUSH);
            if let Some(from) = from {
                needs.add(from, ActionSet::PULL);
            }
            needs
        };
        let refuse = |refusal| self.refuse(refusal, &needs());
        let grant = self
            .ask(repository, ActionSet::PUSH, ActionSet::NONE)
            .map_err(refuse)?;
        if let Some(from) = from
            && (self.is_external() || self.could_get(from, ActionSet::PULL))
        {
            self.ask(from, ActionSet::PULL, ActionSet::NONE)
                .map_err(refuse)?;
        }
        Ok(grant)
    }

    fn could_get(&self, repository: &RepositoryName, actions: ActionSet) -> bool {
        self.authoriser
            .could_get(&self.principal, repository, actions, self.circumstances)
    }

    /// A grant of what the caller does not ask for in so many words. None: they may not, which is
    /// nothing to complain of, nor to put on record.
    pub(crate) fn grant_if(
        &self,
        repository: &RepositoryName,
        actions: ActionSet,
    ) -> Option<Grant> {
        let granted = self.decide(repository, actions, ActionSet::NONE).ok()?;
        Some(granted.grant)
    }

    /// A grant to pull what is to be mounted elsewhere. None: the caller may not, which is nothing to
    /// complain of.
    pub(crate) fn source(&self, repository: &RepositoryName) -> Option<Grant> {
        let granted = self
            .decide(repository, ActionSet::PULL, ActionSet::NONE)
            .ok()?;
        self.record(Ok(&granted.rule), Some(repository), ActionSet::PULL);
        Some(granted.grant)
    }

    fn ask(
        &self,
        repository: &RepositoryName,
        actions: ActionSet,
        also: ActionSet,
    ) -> Result<Grant, Refusal> {
        let outcome = self.decide(repository, actions, also);
        let rule = outcome.as_ref().map(|granted| &granted.rule);
        self.record(rule, Some(repository), actions);
        outcome.map(|granted| granted.grant)
    }

    fn decide(
        &self,
        repository: &RepositoryName,
        actions: ActionSet,
        also: ActionSet,
    ) -> Result<Granted<Grant>, Refusal> {
        self.authoriser.authorise(
            &self.principal,
            repository,
            actions,
            also,
            self.circumstances,
        )
    }

    fn record(
        &self,
        outcome: Result<&Arc<str>, &Refusal>,
        repository: Option<&RepositoryName>,
        actions: ActionSet,
    ) {
        let Some(trail) = &self.trail else {
            return;
        };
        let (decision, rule) = match outcome {
            Ok(rule) => (Decision::Allow, Some(rule.to_string())),
            Err(Refusal::Denied { rule, .. } | Refusal::InsufficientScope { rule }) => {
                (Decision::Deny, Some(rule.clone()))
            }
            Err(_) => (Decision::Challenge, None),
        };
        trail.decided(Decided {
            decision,
            kind: self.principal.kind().as_str(),
            rule,
            actions: words(actions),
            repository: repository.map(ToString::to_string).unwrap_or_default(),
        });
    }

    /// # Errors
    /// 401 or 403.
    pub(crate) fn catalog(&self) -> Result<CatalogGrant, Failure> {
        let outcome = self.authoriser.authorise_catalog(&self.principal);
        let rule = outcome.as_ref().map(|granted| &granted.rule);
        self.record(rule, None, ActionSet::LIST);
        outcome
            .map(|granted| granted.grant)
            .map_err(|refusal| self.refuse(refusal, &Needs(vec![Scope::Catalog])))
    }

    /// Whether the catalog shows this repository to the caller.
    pub(crate) fn lists(&self, repository: &RepositoryName) -> bool {
        self.authoriser
            .lists(&self.principal, repository, self.circumstances)
    }

    /// Behind which text the next repository can be that the catalog shows to the caller.
    pub(crate) fn next_listed(&self, after: &str) -> Option<String> {
        self.authoriser.next_listed(&self.principal, after)
    }

    fn refuse(&self, refusal: Refusal, needs: &Needs) -> Failure {
        refuse(&self.authoriser, refusal, needs, self.host.as_ref())
    }
}

/// The one `Authorization` header of a request, if it has any.
///
/// # Errors
/// 400 for several: two readers could take two of them.
pub(crate) fn sole_authorization(headers: &HeaderMap) -> Result<Option<&[u8]>, Failure> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let line = lines.next();
    if lines.next().is_some() {
        return Err(
            Failure::new(StatusCode::BAD_REQUEST, ErrorCode::Unauthorized)
                .message("the request has more than one Authorization header"),
        );
    }
    Ok(line.map(HeaderValue::as_bytes))
}

impl Needs {
    /// What a request needs by its route and method, and by the source of a mount.
    pub(crate) fn of(route: Result<&Route, &RouteError>, parts: &Parts) -> Self {
        let Ok(route) = route else {
            return Self::default();
        };
        if *route == Route::Catalog {
            return Self(vec![Scope::Catalog]);
        }
        let Some(name) = route.repository() else {
            return Self::default();
        };
        let mut needs = Self::repository(name, actions(route, &parts.method));
        if matches!(route, Route::Uploads(_))
            && let Ok(query) = Query::parse(parts.uri.query())
            && let Ok(Some(from)) = query.one("from")
            && let Ok(from) = RepositoryName::parse(from)
        {
            needs.add(&from, ActionSet::PULL);
        }
        needs
    }

    fn repository(name: &RepositoryName, actions: ActionSet) -> Self {
        Self(vec![Scope::Repository(name.clone(), actions)])
    }

    fn add(&mut self, name: &RepositoryName, actions: ActionSet) {
        let known = self.0.iter().any(|scope| match scope {
            Scope::Repository(known, _) => known == name,
            Scope::Catalog => false,
        });
        if !known {
            self.0.push(Scope::Repository(name.clone(), actions));
        }
    }

    /// The detail of a 401 or 403, as `distribution` words that of a 401.
    fn detail(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let mut records = Vec::new();
        for scope in &self.0 {
            match scope {
                Scope::Catalog => records.push(json!(
                    {"Type": "registry", "Class": "", "Name": "catalog", "Action": "*"}
                )),
                Scope::Repository(name, actions) => {
                    records.extend(actions.iter().map(|action: Action| {
                        json!({
                            "Type": "repository",
                            "Class": "",
                            "Name": name.as_str(),
                            "Action": action.as_str(),
                        })
                    }));
                }
            }
        }
        Value::Array(records)
    }
}

/// What a method needs on a repository.
pub(crate) fn actions(route: &Route, method: &Method) -> ActionSet {
    match *method {
        Method::POST | Method::PUT | Method::PATCH => ActionSet::PUSH,
        // Cancelling one's own upload is part of pushing.
        Method::DELETE if matches!(route, Route::Upload(..)) => ActionSet::PUSH,
        Method::DELETE => ActionSet::DELETE,
        _ => ActionSet::PULL,
    }
}

/// What a client is told of a refusal.
pub(crate) fn refuse(
    authoriser: &Authoriser,
    refusal: Refusal,
    needs: &Needs,
    host: Option<&HeaderValue>,
) -> Failure {
    match refusal {
        Refusal::Unauthenticated(_) | Refusal::InsufficientScope { .. } => {
            let origin = Origin {
                scheme: None,
                host: host.and_then(|host| host.to_str().ok()),
            };
            let challenge = authoriser.challenge(&needs.0, refusal.bearer_error(), origin);
            Failure::unauthorised(&challenge, needs.detail())
        }
        // Without a detail docker takes the error for another kind, and tries again for a minute.
        Refusal::Denied { .. } => {
            Failure::new(StatusCode::FORBIDDEN, ErrorCode::Denied).detail(needs.detail())
        }
        Refusal::BadTokenRequest(why) => {
            Failure::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported).message(why)
        }
        Refusal::Busy { retry_after } => {
            Failure::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests)
                .message("too many logins at once; try again a little later")
                .header(RETRY_AFTER, &retry_after.as_secs().max(1).to_string())
        }
        Refusal::Unavailable(error) => {
            let mut failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
                .message("the credentials could not be checked; try again")
                .header(RETRY_AFTER, "1");
            failure.cause = Some(chain(error.as_ref()));
            failure
        }
    }
}
