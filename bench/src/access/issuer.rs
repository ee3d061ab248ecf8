//! An issuer of tokens outside of the registry: a key, its set of keys, and one token.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

const NAME: &str = "https://issuer.example";
const SERVICE: &str = "bench";

/// What the registry is told of it, and credentials that it issued.
pub(super) struct Issuer {
    /// Sections of the registry's configuration.
    pub(super) sections: Value,
    /// The header's value: a token to pull and push.
    pub(super) authorization: String,
}

impl Issuer {
    /// Writes its keys into the directory; the token (ES256) is good for a day.
    ///
    /// # Errors
    /// Of the file, and of the system's random numbers.
    pub(super) fn make(directory: &Path, repository: &str) -> Result<Self> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
        // A point that is not compressed: 4, x, y.
        let point = key.public_key().as_ref();
        let part = |range| {
            point
                .get(range)
                .map(|part| BASE64_URL_SAFE_NO_PAD.encode(part))
        };
        let (x, y) = part(1..33).zip(part(33..65)).context("no point of P-256")?;
        let keys = json!({ "keys": [
            { "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "one", "x": x, "y": y },
        ] });
        let file = directory.join("jwks.json");
        std::fs::write(&file, keys.to_string())?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let encode = |part: Value| BASE64_URL_SAFE_NO_PAD.encode(part.to_string());
        let header = encode(json!({ "alg": "ES256", "typ": "JWT", "kid": "one" }));
        let claims = encode(json!({
            "iss": NAME,
            "sub": "alice",
            "aud": SERVICE,
            "iat": now,
            "nbf": now - 10,
            "exp": now + 86_400,
            "jti": "bench",
            "access": [
                { "type": "repository", "name": repository, "actions": ["pull", "push"] },
            ],
        }));
        let signed = format!("{header}.{claims}");
        let signature = key.sign(&random, signed.as_bytes())?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref());
        Ok(Self {
            sections: json!({ "auth": { "token": {
                "realm": format!("{NAME}/token"),
                "issuer": NAME,
                "service": SERVICE,
                "jwks": file,
            } } }),
            authorization: format!("Bearer {signed}.{signature}"),
        })
    }
}
