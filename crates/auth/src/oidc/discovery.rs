//! The discovery document (OpenID Connect Discovery 1.0 §3 and §4), and the keys that it leads to.

use futures_util::future::BoxFuture;
use serde::Deserialize;

use crate::fetch::{Fetcher, HttpsUrl};
use crate::jose::{Document, Load, LoadError, parse_jwks};

/// Where things are at an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The key set.
    pub jwks_uri: HttpsUrl,
    /// Where a login by device flow begins (RFC 8628 §4), if the issuer has it.
    pub device_authorization_endpoint: Option<HttpsUrl>,
    /// Where tokens are given out, if the issuer says.
    pub token_endpoint: Option<HttpsUrl>,
}

/// The keys that an issuer's discovery document leads to.
pub(super) struct DiscoveredKeys {
    issuer: HttpsUrl,
    fetcher: Fetcher,
}

#[derive(Deserialize)]
struct DiscoveryDocument {
    issuer: String,
    jwks_uri: String,
    device_authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
}

impl Discovery {
    /// Fetches the document of an issuer, which must say that it is of this issuer, exactly.
    pub(crate) async fn fetch(issuer: &HttpsUrl, fetcher: &Fetcher) -> Result<Self, LoadError> {
        let base = issuer.as_str().trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        let refused = |problem: String| LoadError::Discovery {
            url: address.clone(),
            problem,
        };
        let url: HttpsUrl = address
            .parse()
            .map_err(|problem: crate::fetch::InvalidUrl| refused(problem.to_string()))?;
        let bytes = fetcher.get(&url).await?;
        Self::parse(&bytes, issuer.as_str()).map_err(refused)
    }

    fn parse(bytes: &[u8], issuer: &str) -> Result<Self, String> {
        let document: DiscoveryDocument =
            serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if document.issuer != issuer {
            return Err(format!("it is of the issuer {:?}", document.issuer));
        }
        let url = |name: &str, text: &str| {
            text.parse::<HttpsUrl>()
                .map_err(|problem| format!("{name}: {problem}"))
        };
        let optional =
            |name: &str, text: Option<String>| text.map(|text| url(name, &text)).transpose();
        Ok(Self {
            jwks_uri: url("jwks_uri", &document.jwks_uri)?,
            device_authorization_endpoint: optional(
                "device_authorization_endpoint",
                document.device_authorization_endpoint,
            )?,
            token_endpoint: optional("token_endpoint", document.token_endpoint)?,
        })
    }
}

impl DiscoveredKeys {
    pub(super) fn new(issuer: HttpsUrl, fetcher: Fetcher) -> Self {
        Self { issuer, fetcher }
    }
}

impl Load for DiscoveredKeys {
    fn load(&self) -> BoxFuture<'_, Result<Document, LoadError>> {
        Box::pin(async move {
            let discovery = Discovery::fetch(&self.issuer, &self.fetcher).await?;
            let url = &discovery.jwks_uri;
            let bytes = self.fetcher.get(url).await?;
            let set = parse_jwks(&bytes).map_err(|problem| LoadError::Keys {
                url: url.to_string(),
                problem,
            })?;
            set.warn_of_broken(url.as_str());
            Ok(Document {
                keys: set.keys,
                discovery: Some(discovery),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_document_is_of_this_issuer_and_leads_to_https_alone() {
        let with = |member: &str, value: Value| {
            let mut document = json!({
                "issuer": "https://a", "jwks_uri": "https://a/keys", "more": [1],
                "token_endpoint": "https://a/token",
            });
            document[member] = value;
            Discovery::parse(document.to_string().as_bytes(), "https://a")
        };
        let good = with("more", json!(null)).unwrap();
        assert_eq!(good.jwks_uri.as_str(), "https://a/keys");
        assert_eq!(good.token_endpoint.unwrap().as_str(), "https://a/token");
        assert_eq!(good.device_authorization_endpoint, None);
        for (member, value) in [
            ("issuer", json!("https://a/")),
            ("issuer", json!("https://A")),
            ("issuer", json!("https://evil")),
            ("issuer", json!(null)),
            ("jwks_uri", json!("http://a/keys")),
            ("jwks_uri", json!("file:///etc/passwd")),
            ("jwks_uri", json!("/keys")),
            ("jwks_uri", json!(null)),
            ("token_endpoint", json!("http://a/token")),
            ("device_authorization_endpoint", json!("https://a@b/")),
        ] {
            assert!(with(member, value.clone()).is_err(), "{member}: {value}");
        }
        for bytes in ["", "[]", "{}", "{"] {
            assert!(Discovery::parse(bytes.as_bytes(), "https://a").is_err());
        }
    }
}
