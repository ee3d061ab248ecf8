//! Sets of keys in JSON (RFC 7517, RFC 7518 §6, RFC 8037 §2).
//!
//! What is not for checking signatures, or of a kind that is not supported, is passed over, as the
//! specification asks; so are shared secrets. Private parts are not read.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::key::{Curve, KeyError, Material};
use super::{Algorithm, KeySet, PublicKey, der, thumbprint};

/// Keys of a set at most.
const MAX_KEYS: usize = 256;

/// A set that was read.
#[derive(Debug)]
pub(crate) struct Jwks {
    pub(crate) keys: KeySet,
    /// Elements that should be keys for signatures and are not.
    pub(crate) broken: Vec<BrokenKey>,
}

impl Jwks {
    /// Tells the log of keys that somebody else's set has and that cannot be used.
    pub(crate) fn warn_of_broken(&self, url: &str) {
        for broken in &self.broken {
            tracing::warn!(url, "{broken}");
        }
    }
}

/// An element of a set that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("key {number} of the set cannot be used: {problem}")]
pub struct BrokenKey {
    /// Counted from 1.
    number: usize,
    problem: KeyError,
}

/// Why a set cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// It is not the JSON of RFC 7517.
    #[error("it is not a JSON Web Key Set")]
    NotASet(#[source] serde_json::Error),
    /// It has more keys than any set.
    #[error("it has more than {MAX_KEYS} keys")]
    TooMany,
    /// Nothing in it verifies a signature.
    #[error("it has no public key for signatures (RSA, P-256, P-384, P-521 or Ed25519)")]
    NoKey,
    /// One of its keys is broken.
    #[error(transparent)]
    Broken(#[from] BrokenKey),
}

#[derive(Deserialize)]
struct SetDocument {
    keys: Vec<Value>,
}

#[derive(Deserialize)]
struct KeyDocument {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    used_for: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// Reads a set with at least one key that can be used.
pub(crate) fn parse_jwks(bytes: &[u8]) -> Result<Jwks, JwksError> {
    let set: SetDocument = serde_json::from_slice(bytes).map_err(JwksError::NotASet)?;
    if set.keys.len() > MAX_KEYS {
        return Err(JwksError::TooMany);
    }
    let (mut keys, mut broken) = (KeySet::default(), Vec::new());
    for (index, value) in set.keys.into_iter().enumerate() {
        match read(value) {
            Ok(Some((key, kid))) => keys.insert(key, [kid]),
            Ok(None) | Err(KeyError::Unsupported) => {}
            Err(problem) => {
                let number = index + 1;
                broken.push(BrokenKey { number, problem });
            }
        }
    }
    match (keys.is_empty(), broken.first()) {
        (true, Some(first)) => Err((*first).into()),
        (true, None) => Err(JwksError::NoKey),
        (false, _) => Ok(Jwks { keys, broken }),
    }
}

/// A key and its name, unless it is not for checking signatures. One without a name is called by
/// its thumbprint.
fn read(value: Value) -> Result<Option<(PublicKey, String)>, KeyError> {
    let document: KeyDocument = serde_json::from_value(value).map_err(|_| KeyError::Malformed)?;
    let other_use = document
        .used_for
        .as_deref()
        .is_some_and(|used| used != "sig");
    let other_operations = document
        .key_ops
        .as_deref()
        .is_some_and(|operations| !operations.iter().any(|operation| operation == "verify"));
    if other_use || other_operations {
        return Ok(None);
    }
    let only: Option<Algorithm> = match document.alg.as_deref().map(str::parse) {
        Some(Ok(algorithm)) => Some(algorithm),
        // Made for something else.
        Some(Err(_)) => return Ok(None),
        None => None,
    };
    let mut key = PublicKey::new(material(&document)?)?;
    if let Some(only) = only {
        key = key.only(only);
        if !key.fits(only) {
            return Err(KeyError::Malformed);
        }
    }
    let kid = document.kid.filter(|kid| !kid.is_empty());
    let kid = kid.unwrap_or_else(|| thumbprint(&key));
    Ok(Some((key, kid)))
}

fn material(document: &KeyDocument) -> Result<Material, KeyError> {
    let bytes = |member: &Option<String>| {
        let text = member.as_deref().ok_or(KeyError::Malformed)?;
        BASE64_URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| KeyError::Malformed)
    };
    let curve = document.crv.as_deref();
    match document.kty.as_str() {
        "RSA" => Ok(Material::Rsa {
            n: der::without_leading_zeros(&bytes(&document.n)?).to_vec(),
            e: der::without_leading_zeros(&bytes(&document.e)?).to_vec(),
        }),
        "EC" => {
            let mut curves = Curve::ALL.into_iter();
            let curve = curves.find(|known| Some(known.name()) == curve);
            Ok(Material::Ec {
                curve: curve.ok_or(KeyError::Unsupported)?,
                x: bytes(&document.x)?,
                y: bytes(&document.y)?,
            })
        }
        "OKP" if curve == Some("Ed25519") => Ok(Material::Ed25519(bytes(&document.x)?)),
        _ => Err(KeyError::Unsupported),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::jose::signer::Signer;

    pub(crate) fn key(jwk: &str) -> PublicKey {
        read(serde_json::from_str(jwk).unwrap()).unwrap().unwrap().0
    }

    fn set(keys: &[Value]) -> Result<Jwks, JwksError> {
        parse_jwks(&serde_json::to_vec(&serde_json::json!({ "keys": keys })).unwrap())
    }

    /// The key with a member changed; `null` takes it away.
    fn with(jwk: &Value, member: &str, value: Value) -> Value {
        let mut jwk = jwk.clone();
        match value {
            Value::Null => jwk.as_object_mut().unwrap().remove(member),
            value => jwk.as_object_mut().unwrap().insert(member.into(), value),
        };
        jwk
    }

    #[test]
    fn what_is_no_key_for_signatures_is_passed_over() {
        let good = Signer::es256().jwk("good");
        for other in [
            serde_json::json!({"kty": "oct", "k": "c2VjcmV0", "kid": "oct", "alg": "HS256"}),
            serde_json::json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "k"}),
            serde_json::json!({"kty": "OKP", "crv": "X25519", "x": "AA", "kid": "x"}),
            serde_json::json!({"kty": "PQC", "kid": "new"}),
            with(&good, "use", "enc".into()),
            with(&good, "key_ops", serde_json::json!(["sign"])),
            with(&good, "alg", "ECDH-ES".into()),
        ] {
            assert!(
                matches!(set(std::slice::from_ref(&other)), Err(JwksError::NoKey)),
                "{other}"
            );
            let read = set(&[other, good.clone()]).unwrap();
            assert_eq!((read.keys.len(), read.broken.len()), (1, 0));
            assert!(read.keys.contains("good"));
        }
    }

    #[test]
    fn a_broken_key_is_told_by_its_number() {
        let ec = Signer::es256().jwk("ec");
        let rsa = Signer::rsa("RS256").jwk("rsa");
        for broken in [
            with(&ec, "x", Value::Null),
            with(&ec, "x", "!".into()),
            with(&ec, "x", "AAAA".into()),
            // Not a point of the curve.
            with(&ec, "x", ec["y"].clone()),
            with(&ec, "crv", "P-384".into()),
            with(&ec, "alg", "RS256".into()),
            with(&ec, "kid", 1.into()),
            with(&ec, "kty", Value::Null),
            with(&rsa, "n", "AQAB".into()),
            with(&rsa, "n", "".into()),
            with(&rsa, "e", "".into()),
            with(&rsa, "n", "_".repeat(1 << 16).into()),
            Value::Null,
            serde_json::json!("key"),
        ] {
            let told = set(std::slice::from_ref(&broken)).unwrap_err().to_string();
            assert!(told.starts_with("key 1 of the set"), "{broken}: {told}");
            let read = set(&[rsa.clone(), broken]).unwrap();
            assert_eq!(read.keys.len(), 1);
            assert_eq!(read.broken.first().unwrap().number, 2);
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[]}"#,
            "{\"keys\":[",
        ] {
            assert!(parse_jwks(text.as_bytes()).is_err(), "{text}");
        }
        let many = vec![Value::Null; MAX_KEYS + 1];
        assert!(matches!(set(&many), Err(JwksError::TooMany)));
    }

    #[test]
    fn a_key_without_a_name_is_called_by_its_thumbprint() {
        let signer = Signer::ed25519();
        let jwk = with(&signer.jwk("k"), "kid", Value::Null);
        let read = set(&[jwk]).unwrap();
        assert!(read.keys.contains(&thumbprint(&signer.public())));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            bytes in prop::collection::vec(any::<u8>(), 0..100),
            kty in "(RSA|EC|OKP|oct)",
            crv in "(P-256|P-384|P-521|Ed25519)",
            parts in prop::collection::vec("[A-Za-z0-9_-]{0,90}", 4),
        ) {
            let _any = parse_jwks(&bytes);
            let jwk = serde_json::json!({"kty": kty, "crv": crv,
                "n": parts[0], "e": parts[1], "x": parts[2], "y": parts[3]});
            let _any = set(&[jwk]);
        }
    }
}
