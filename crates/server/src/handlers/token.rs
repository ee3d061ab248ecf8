//! `/auth/token`: the built-in token server, in its two forms (the Docker registry token
//! specification: GET with Basic credentials; POST with a form, as OAuth 2).

use std::time::SystemTime;

use bytes::BytesMut;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use roadstead_auth::{Refusal, TokenAnswer, TokenGrant, TokenRequest, claimed_user};
use roadstead_oci::{ErrorCode, PrincipalName};
use serde_json::json;

use super::tag::json_body;
use crate::app::{Answer, App, Asked};
use crate::authorise::{Needs, refuse, sole_authorization};
use crate::body::RequestBody;
use crate::error::Failure;
use crate::headers::{empty, method_list, value};

/// Bytes of a form at most: a token of another issuer has 16 KiB, and is escaped.
const MAX_FORM_BYTES: usize = 64 << 10;
/// Parameters at most.
const MAX_PARAMETERS: usize = 128;
static METHODS: [Method; 2] = [Method::GET, Method::POST];

pub(crate) async fn handle(
    app: &App,
    asked: Asked,
    principal: &mut Option<PrincipalName>,
) -> Answer {
    let parts = &asked.parts;
    let (form, is_post) = match parts.method {
        Method::GET => (
            Form::parse(parts.uri.query().unwrap_or_default().as_bytes())?,
            false,
        ),
        Method::POST => {
            check_content_type(&parts.headers)?;
            (Form::parse(&read(asked.body).await?)?, true)
        }
        Method::OPTIONS => {
            let mut response = empty(StatusCode::OK);
            let methods = value(&method_list(&METHODS));
            response.headers_mut().insert(ALLOW, methods);
            return Ok(response);
        }
        _ => return Err(Failure::method_not_allowed(&METHODS)),
    };
    let authorization = sole_authorization(&parts.headers)?;
    let request = TokenRequest {
        grant: match is_post {
            true => form.grant(authorization)?,
            false => TokenGrant::Basic(authorization),
        },
        scopes: form.all("scope").collect(),
        service: form.one("service"),
        offline: form.one("offline_token") == Some("true")
            || form.one("access_type") == Some("offline"),
        client: asked.client.ip,
    };
    let answer = match app.authoriser.token(&request).await {
        Ok(answer) => answer,
        Err(refusal) => {
            if let Some(trail) = &asked.trail
                && !matches!(request.grant, TokenGrant::Basic(None))
            {
                trail.refused(claimed(&request.grant));
            }
            return Err(refused(app, refusal));
        }
    };
    let holder = &answer.principal;
    if let Some(trail) = &asked.trail {
        trail.identified(holder.name(), holder.kind());
    }
    *principal = Some(holder.name().clone());
    Ok(respond(&answer))
}

/// The name that came with what was refused.
fn claimed(grant: &TokenGrant<'_>) -> Option<String> {
    match grant {
        TokenGrant::Basic(authorization) => authorization.and_then(claimed_user),
        TokenGrant::Password(user, _) => Some((*user).to_owned()),
        _ => None,
    }
}

fn respond(answer: &TokenAnswer) -> http::Response<crate::body::ResponseBody> {
    let mut json = json!({
        "token": answer.token,
        "access_token": answer.token,
        "token_type": "Bearer",
        "expires_in": answer.lifetime.as_secs(),
        "issued_at": rfc3339(answer.issued_at),
        "scope": answer.scope,
    });
    if let Some(refresh) = &answer.refresh_token {
        json["refresh_token"] = json!(refresh);
    }
    let mut response = json_body(&json);
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Whoever may not have a token logs in here by name and password.
fn refused(app: &App, refusal: Refusal) -> Failure {
    let is_login = matches!(refusal, Refusal::Unauthenticated(_));
    let failure = refuse(&app.authoriser, refusal, &Needs::default(), None);
    if !is_login {
        return failure;
    }
    failure
        .message("the user, password or token is not known here")
        .header(WWW_AUTHENTICATE, "Basic realm=\"roadstead\"")
}

/// The parameters of a query or a form (application/x-www-form-urlencoded).
struct Form(Vec<(String, String)>);

impl Form {
    fn parse(bytes: &[u8]) -> Result<Self, Failure> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(bytes)
            .into_owned()
            .take(MAX_PARAMETERS + 1)
            .collect();
        if pairs.len() > MAX_PARAMETERS {
            return Err(bad("the request has too many parameters"));
        }
        Ok(Self(pairs))
    }

    fn all(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter();
        pairs
            .filter(move |(n, _)| n == name)
            .map(|(_, v)| v.as_str())
    }

    fn one(&self, name: &'static str) -> Option<&str> {
        self.all(name).find(|value| !value.is_empty())
    }

    fn need(&self, name: &'static str, message: &'static str) -> Result<&str, Failure> {
        self.one(name).ok_or_else(|| bad(message))
    }

    fn grant<'a>(&'a self, authorization: Option<&'a [u8]>) -> Result<TokenGrant<'a>, Failure> {
        match self.one("grant_type") {
            Some("password") => Ok(TokenGrant::Password(
                self.need("username", "grant_type=password needs a username")?,
                self.need("password", "grant_type=password needs a password")?,
            )),
            Some("refresh_token") => Ok(TokenGrant::Refresh(self.need(
                "refresh_token",
                "grant_type=refresh_token needs a refresh_token",
            )?)),
            Some("urn:ietf:params:oauth:grant-type:token-exchange") => Ok(TokenGrant::Exchange(
                self.need("subject_token", "a token exchange needs a subject_token")?,
            )),
            None => Ok(TokenGrant::Basic(authorization)),
            Some(_) => Err(bad(
                "the grant_type is not one of password, refresh_token and \
                 urn:ietf:params:oauth:grant-type:token-exchange",
            )),
        }
    }
}

fn bad(message: &'static str) -> Failure {
    Failure::new(StatusCode::BAD_REQUEST, ErrorCode::Unsupported).message(message)
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Failure> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    if kind.is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded")) {
        return Ok(());
    }
    Err(bad(
        "the body of a token request is application/x-www-form-urlencoded",
    ))
}

async fn read(mut body: RequestBody) -> Result<BytesMut, Failure> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk?;
        if whole.len() + chunk.len() > MAX_FORM_BYTES {
            return Err(
                Failure::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorCode::Unsupported)
                    .message("a token request has at most 64 KiB"),
            );
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole)
}
