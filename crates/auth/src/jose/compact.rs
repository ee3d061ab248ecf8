//! A token in its compact form: three parts in base64, parted by dots (RFC 7515 §7.1).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{Deserialize, Deserializer, IgnoredAny};

use super::Algorithm;

/// Bytes of a token at most.
pub(crate) const MAX_TOKEN_BYTES: usize = 16 << 10;

/// Why a token is refused before any of its claims is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoseError {
    /// It is longer than any token.
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLong,
    /// It has not exactly three parts, as an encrypted one has not.
    #[error("the token is not three parts with dots between")]
    Parts,
    /// A part is not base64url without padding.
    #[error("a part of the token is not base64url")]
    Encoding,
    /// The header is not the JSON that it should be.
    #[error("the token's header is malformed")]
    Header,
    /// The header speaks of encryption.
    #[error("encrypted tokens are not taken")]
    Encrypted,
    /// The header demands what is not understood.
    #[error("the token's header has critical extensions")]
    Critical,
    /// The algorithm is unknown, `none` or not allowed.
    #[error("the token's algorithm is not allowed")]
    Algorithm,
    /// The header does not say which key.
    #[error("the token names no key")]
    NoKeyNamed,
    /// No configured key is called so.
    #[error("the token names a key that is not known")]
    UnknownKey,
    /// The key did not sign this.
    #[error("the token's signature is wrong")]
    Signature,
}

/// A token taken apart; nothing of it is verified.
#[derive(Debug)]
pub(crate) struct Compact<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) header: Header,
    /// The JSON of the claims.
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// What the signature is over.
    pub(crate) signed: &'a [u8],
    /// The header demands an extension: no signature makes such a token good.
    pub(crate) critical: bool,
}

/// What a header may say of the key.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Header {
    alg: String,
    #[serde(default)]
    pub(crate) kid: Option<String>,
    /// Certificates in base64 (not base64url) of DER, the signer's first (RFC 7515 §4.1.6).
    #[serde(default)]
    pub(crate) x5c: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) jwk: Option<EmbeddedKey>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    enc: bool,
}

/// A key that a token brings along. Its material is not even read.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct EmbeddedKey {
    #[serde(default)]
    pub(crate) kid: Option<String>,
    #[serde(default)]
    pub(crate) x5c: Option<Vec<String>>,
}

impl<'a> Compact<'a> {
    /// Takes a token apart, bounds first.
    pub(crate) fn parse(token: &'a str, allowed: &[Algorithm]) -> Result<Self, JoseError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JoseError::TooLong);
        }
        // Stops at the third dot, however many there are.
        let mut parts = token.splitn(4, '.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(JoseError::Parts);
        };
        let signed = token
            .as_bytes()
            .get(..header.len() + 1 + payload.len())
            .ok_or(JoseError::Parts)?;
        let header: Header =
            serde_json::from_slice(&decode(header)?).map_err(|_| JoseError::Header)?;
        if header.enc {
            return Err(JoseError::Encrypted);
        }
        let (payload, signature) = (decode(payload)?, decode(signature)?);
        let algorithm = header.alg.parse().map_err(|_| JoseError::Algorithm)?;
        if !allowed.contains(&algorithm) {
            return Err(JoseError::Algorithm);
        }
        Ok(Self {
            algorithm,
            critical: header.crit,
            header,
            payload,
            signature,
            signed,
        })
    }

    /// The name of the key, unless it is absent or empty.
    pub(crate) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref().filter(|kid| !kid.is_empty())
    }
}

fn decode(part: &str) -> Result<Vec<u8>, JoseError> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| JoseError::Encoding)
}

/// Whether a member is there, whatever its value, `null` included.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, payload: &str) -> String {
        let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", encode(header), encode(payload))
    }

    fn refusal(token: &str) -> JoseError {
        Compact::parse(token, &[Algorithm::Rs256, Algorithm::Hs256]).unwrap_err()
    }

    #[test]
    fn a_token_is_taken_apart() {
        let token = token(
            r#"{"alg":"RS256","kid":"k","typ":"JWT","x":{"y":[1]}}"#,
            "{}",
        );
        let read = Compact::parse(&token, &Algorithm::ALL).unwrap();
        assert_eq!(read.algorithm, Algorithm::Rs256);
        assert_eq!(read.kid(), Some("k"));
        assert_eq!(read.payload, b"{}");
        assert_eq!(read.signature, b"sig");
        assert_eq!(read.signed, &token.as_bytes()[..token.len() - 5]);
        assert!(!read.critical);
    }

    /// Cases 72 and 73.
    #[test]
    fn what_is_no_signed_token_is_refused() {
        let with = |header: &str| token(header, "{}");
        let deep = format!(r#"{{"alg":"RS256","x":{}}}"#, "[".repeat(4000));
        for (token, expected) in [
            (String::new(), JoseError::Parts),
            ("a".into(), JoseError::Parts),
            ("a.b".into(), JoseError::Parts),
            ("a.b.c.d".into(), JoseError::Parts),
            // An encrypted token's five parts.
            (with(r#"{"alg":"dir"}"#) + ".a.b", JoseError::Parts),
            (".".repeat(10_000), JoseError::Parts),
            (".".repeat(1 << 20), JoseError::TooLong),
            ("a".repeat(MAX_TOKEN_BYTES + 1), JoseError::TooLong),
            ("..".into(), JoseError::Header),
            (" .a.b".into(), JoseError::Encoding),
            ("YQ==.YQ.YQ".into(), JoseError::Encoding),
            // Bits that no byte needs, and the other alphabet.
            ("YR.YQ.YQ".into(), JoseError::Encoding),
            ("YQ.+/.YQ".into(), JoseError::Header),
            (with("[]"), JoseError::Header),
            (with("{}"), JoseError::Header),
            (with(r#"{"alg":1}"#), JoseError::Header),
            (with(r#"{"alg":"RS256"} x"#), JoseError::Header),
            (with(r#"{"alg":"RS256","alg":"HS256"}"#), JoseError::Header),
            (with(r#"{"alg":"RS256","kid":1}"#), JoseError::Header),
            (
                with(r#"{"alg":"RS256","kid":"a","kid":"b"}"#),
                JoseError::Header,
            ),
            (with(r#"{"alg":"RS256","x5c":"a"}"#), JoseError::Header),
            (with(r#"{"alg":"RS256","jwk":"a"}"#), JoseError::Header),
            (with(&deep), JoseError::Header),
            (
                with(r#"{"alg":"RS256","enc":"A128GCM"}"#),
                JoseError::Encrypted,
            ),
            (with(r#"{"alg":"RS256","enc":null}"#), JoseError::Encrypted),
            (with(r#"{"alg":"none"}"#), JoseError::Algorithm),
            (with(r#"{"alg":"NONE"}"#), JoseError::Algorithm),
            (with(r#"{"alg":""}"#), JoseError::Algorithm),
            (with(r#"{"alg":"ES256"}"#), JoseError::Algorithm),
        ] {
            let shown = &token[..token.len().min(80)];
            assert_eq!(refusal(&token), expected, "{shown}");
        }
    }

    #[test]
    fn a_critical_extension_is_seen_whatever_its_value() {
        for (header, critical) in [
            (r#"{"alg":"RS256"}"#, false),
            (r#"{"alg":"RS256","crit":["exp"]}"#, true),
            (r#"{"alg":"RS256","crit":[]}"#, true),
            (r#"{"alg":"RS256","crit":null}"#, true),
        ] {
            let token = token(header, "{}");
            let read = Compact::parse(&token, &[Algorithm::Rs256]).unwrap();
            assert_eq!(read.critical, critical, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,200}", dots in "[A-Za-z0-9_.-]{0,200}") {
            for token in [&text, &dots] {
                if let Ok(read) = Compact::parse(token, &Algorithm::ALL) {
                    prop_assert_eq!(token.matches('.').count(), 2);
                    prop_assert!(token.as_bytes().starts_with(read.signed));
                }
            }
        }

        #[test]
        fn any_header_is_read_or_refused(
            alg in "(RS256|HS256|none|ES256|[a-z]{0,3})",
            kid in proptest::option::of(any::<String>()),
            more in any::<String>(),
        ) {
            let header = serde_json::json!({"alg": alg, "kid": kid, more.as_str(): more});
            let token = token(&header.to_string(), &more);
            match Compact::parse(&token, &[Algorithm::Rs256]) {
                Ok(read) => {
                    prop_assert_eq!(alg, "RS256");
                    prop_assert_eq!(read.kid(), kid.as_deref().filter(|kid| !kid.is_empty()));
                    prop_assert_eq!(read.payload, more.into_bytes());
                }
                Err(JoseError::Algorithm) => prop_assert_ne!(alg, "RS256"),
                // A member that has another meaning.
                Err(JoseError::Header | JoseError::Encrypted) => {
                    prop_assert!(["alg", "kid", "x5c", "jwk", "enc"].contains(&more.as_str()));
                }
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }
}
