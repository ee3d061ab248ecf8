//! `auth.token`: tokens of another server, as in `distribution`, and where its keys may be fetched.

use std::path::PathBuf;

use roadstead_auth::{Algorithm, TokenSettings};

use super::cursor::Cursor;

/// The `auth.token` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenAuth {
    /// Where the challenge sends clients for a token.
    pub(crate) realm: String,
    /// The path that the challenge has in place of the realm's, on the host that the client asked,
    /// if `autoredirect` is set. Default: `/auth/token`.
    pub(crate) redirect_path: Option<String>,
    /// How tokens are verified.
    pub(crate) verification: TokenSettings,
}

/// Where tokens are, on the same host, by default.
const REDIRECT_PATH: &str = "/auth/token";

pub(crate) fn read(root: &Cursor<'_>) -> Option<TokenAuth> {
    let auth = root.section("auth");
    if !auth.contains("token") {
        return None;
    }
    let section = auth.section("token");
    let required = |name: &str| {
        section.text(name).unwrap_or_else(|| {
            section.refuse(name, "auth.token needs it");
            String::new()
        })
    };
    let path = |name: &str| section.text(name).map(PathBuf::from);
    let (rootcertbundle, jwks) = (path("rootcertbundle"), path("jwks"));
    let jwks_url = section.url("jwksurl");
    if rootcertbundle.is_none() && jwks.is_none() && section.text("jwksurl").is_none() {
        let message = "auth.token needs a key: rootcertbundle, jwks or jwksurl";
        section.refuse("rootcertbundle", message);
    }
    let redirect_path = section.text("autoredirectpath");
    if redirect_path
        .as_ref()
        .is_some_and(|path| !path.starts_with('/'))
    {
        section.refuse("autoredirectpath", "must begin with /");
    }
    let redirect_path = section
        .flag("autoredirect", false)
        .then(|| redirect_path.unwrap_or_else(|| REDIRECT_PATH.to_owned()));
    Some(TokenAuth {
        realm: required("realm"),
        redirect_path,
        verification: TokenSettings {
            issuer: required("issuer"),
            service: required("service"),
            rootcertbundle,
            jwks,
            jwks_url,
            algorithms: algorithms(&section, &Algorithm::ALL),
        },
    })
}

/// The algorithms of a list, or all of `default` where there is none.
pub(super) fn algorithms(section: &Cursor<'_>, default: &[Algorithm]) -> Vec<Algorithm> {
    let mut algorithms = Vec::new();
    for located in section.texts("signingalgorithms") {
        match located.text.parse::<Algorithm>() {
            Ok(algorithm) if default.contains(&algorithm) => algorithms.push(algorithm),
            Ok(algorithm) => {
                let message = format!("signingalgorithms: {algorithm} is not allowed here");
                section.report().refuse(&located.origin, &message);
            }
            Err(error) => {
                let message = format!("signingalgorithms: {:?}: {error}", located.text);
                section.report().refuse(&located.origin, &message);
            }
        }
    }
    if algorithms.is_empty() {
        algorithms = default.to_vec();
    }
    algorithms
}
