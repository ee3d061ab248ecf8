//! The choke point: every request gets its grant here, or its refusal.

use std::sync::Arc;

use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use roadstead_auth::{Authoriser, Principal, Refusal};
use roadstead_oci::{
    Action, ActionSet, CatalogGrant, ErrorCode, Grant, PrincipalName, RepositoryName,
};
use serde_json::{Value, json};

use crate::error::Failure;

/// Who asks, and the authority that decides what they may do.
pub(crate) struct Caller {
    authoriser: Arc<Authoriser>,
    principal: Principal,
}

impl Caller {
    /// Finds out who asks. Credentials never carry over from another request of the connection.
    ///
    /// # Errors
    /// 401 with the challenge.
    pub(crate) async fn identify(
        authoriser: &Arc<Authoriser>,
        headers: &HeaderMap,
        needs: impl FnOnce() -> Value,
    ) -> Result<Self, Failure> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let line = lines.next();
        if lines.next().is_some() {
            return Err(
                Failure::new(StatusCode::BAD_REQUEST, ErrorCode::Unauthorized)
                    .message("the request has more than one Authorization header"),
            );
        }
        match authoriser
            .authenticate(line.map(http::HeaderValue::as_bytes))
            .await
        {
            Ok(principal) => Ok(Self {
                authoriser: Arc::clone(authoriser),
                principal,
            }),
            Err(Refusal::Unauthenticated { challenge, .. }) => {
                Err(Failure::unauthorised(&challenge, needs()))
            }
            Err(other) => Err(refuse(other)),
        }
    }

    pub(crate) fn name(&self) -> &PrincipalName {
        self.principal.name()
    }

    /// # Errors
    /// 401 or 403.
    pub(crate) fn grant(
        &self,
        repository: &RepositoryName,
        actions: ActionSet,
    ) -> Result<Grant, Failure> {
        match self
            .authoriser
            .authorise(&self.principal, repository, actions)
        {
            Ok(grant) => Ok(grant),
            Err(Refusal::Unauthenticated { challenge, .. }) => Err(Failure::unauthorised(
                &challenge,
                needs(repository, actions),
            )),
            Err(other) => Err(refuse(other)),
        }
    }

    /// # Errors
    /// 401 or 403.
    pub(crate) fn catalog(&self) -> Result<CatalogGrant, Failure> {
        self.authoriser
            .authorise_catalog(&self.principal)
            .map_err(refuse)
    }
}

/// The detail of a 401: what the request would have needed, as `distribution` words it.
pub(crate) fn needs(repository: &RepositoryName, actions: ActionSet) -> Value {
    let name = |action: Action| match action {
        Action::Pull => "pull",
        Action::Push => "push",
        Action::Delete => "delete",
    };
    let records = actions.iter().map(|action| {
        json!({"Type": "repository", "Class": "", "Name": repository.as_str(), "Action": name(action)})
    });
    Value::Array(records.collect())
}

pub(crate) fn catalog_needs() -> Value {
    json!([{"Type": "registry", "Class": "", "Name": "catalog", "Action": "*"}])
}

/// What a client is told of a refusal whose request needs nothing in particular.
pub(crate) fn refuse(refusal: Refusal) -> Failure {
    match refusal {
        Refusal::Unauthenticated { challenge, .. } => {
            Failure::unauthorised(&challenge, Value::Null)
        }
        Refusal::Denied { .. } => Failure::new(StatusCode::FORBIDDEN, ErrorCode::Denied),
        Refusal::Busy { retry_after } => {
            Failure::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::TooManyRequests)
                .message("too many logins at once; try again a little later")
                .header(RETRY_AFTER, &retry_after.as_secs().max(1).to_string())
        }
        Refusal::Unavailable(error) => {
            let mut failure = Failure::new(StatusCode::SERVICE_UNAVAILABLE, ErrorCode::Unavailable)
                .message("the password could not be checked; try again")
                .header(RETRY_AFTER, "1");
            failure.cause = Some(error.to_string());
            failure
        }
    }
}
