//! Keys that sign tokens for tests.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::PublicKey;
use super::key::{Curve, Material};

/// A private key that signs with one algorithm.
pub(crate) struct Signer {
    pub(crate) algorithm: &'static str,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, Curve),
    Ed25519(Ed25519KeyPair),
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(crate) fn rsa(algorithm: &'static str) -> Self {
        let key = Key::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap());
        Self { algorithm, key }
    }

    pub(crate) fn es256() -> Self {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        Self::ec("ES256", algorithm, Curve::P256)
    }

    pub(crate) fn es384() -> Self {
        let algorithm = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
        Self::ec("ES384", algorithm, Curve::P384)
    }

    pub(crate) fn es512() -> Self {
        let algorithm = &signature::ECDSA_P521_SHA512_FIXED_SIGNING;
        Self::ec("ES512", algorithm, Curve::P521)
    }

    pub(crate) fn ed25519() -> Self {
        let key = Key::Ed25519(Ed25519KeyPair::generate().unwrap());
        let algorithm = "EdDSA";
        Self { algorithm, key }
    }

    fn ec(name: &'static str, algorithm: &'static EcdsaSigningAlgorithm, curve: Curve) -> Self {
        let key = Key::Ec(EcdsaKeyPair::generate(algorithm).unwrap(), curve);
        let algorithm = name;
        Self { algorithm, key }
    }

    pub(crate) fn public(&self) -> PublicKey {
        PublicKey::new(self.material()).unwrap()
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn spki(&self) -> Vec<u8> {
        let der = |key: Result<aws_lc_rs::encoding::PublicKeyX509Der<'_>, _>| {
            let key: Result<_, aws_lc_rs::error::Unspecified> = key;
            key.unwrap().as_ref().to_vec()
        };
        match &self.key {
            Key::Rsa(key) => der(key.public_key().as_der()),
            Key::Ec(key, _) => der(key.public_key().as_der()),
            Key::Ed25519(key) => der(key.public_key().as_der()),
        }
    }

    /// The private key, PKCS #8.
    pub(crate) fn pkcs8(&self) -> Vec<u8> {
        match &self.key {
            Key::Rsa(key) => key.as_der().unwrap().as_ref().to_vec(),
            Key::Ec(key, _) => key.to_pkcs8v1().unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.to_pkcs8v1().unwrap().as_ref().to_vec(),
        }
    }

    fn material(&self) -> Material {
        match &self.key {
            Key::Rsa(_) => PublicKey::from_spki(&self.spki()).unwrap().material,
            Key::Ec(key, curve) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(curve.size());
                Material::Ec {
                    curve: *curve,
                    x: x.to_vec(),
                    y: y.to_vec(),
                }
            }
            Key::Ed25519(key) => Material::Ed25519(key.public_key().as_ref().to_vec()),
        }
    }

    pub(crate) fn jwk(&self, kid: &str) -> Value {
        match self.material() {
            Material::Rsa { n, e } => {
                json!({"kty": "RSA", "kid": kid, "n": encode(n), "e": encode(e)})
            }
            Material::Ec { curve, x, y } => json!({
                "kty": "EC", "kid": kid, "crv": curve.name(), "x": encode(x), "y": encode(y)
            }),
            Material::Ed25519(point) => {
                json!({"kty": "OKP", "kid": kid, "crv": "Ed25519", "x": encode(point)})
            }
        }
    }

    pub(crate) fn jwks(&self, kid: &str) -> Vec<u8> {
        serde_json::to_vec(&json!({"keys": [self.jwk(kid)]})).unwrap()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Key::Rsa(key) => {
                let padding: &dyn signature::RsaEncoding = match self.algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    other => panic!("not of RSA: {other}"),
                };
                let mut signature = vec![0; key.public_modulus_len()];
                let random = SystemRandom::new();
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Key::Ec(key, _) => {
                let signature = key.sign(&SystemRandom::new(), message).unwrap();
                signature.as_ref().to_vec()
            }
            Key::Ed25519(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header, to which the algorithm is added where it has none.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let mut header = header.clone();
        let members = header.as_object_mut().unwrap();
        members
            .entry("alg")
            .or_insert_with(|| self.algorithm.into());
        let signed = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        let signature = encode(self.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}
