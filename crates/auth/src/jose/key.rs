//! A public key, by its material, with what verifies its signatures ready to use.

use std::fmt;

use aws_lc_rs::signature::ParsedPublicKey;

use super::der::{self, BIT_STRING, OBJECT, SEQUENCE, take, take_unsigned};
use super::{Algorithm, Compact, JoseError};

/// A key and the algorithms that it may be used with.
pub(crate) struct PublicKey {
    pub(crate) material: Material,
    verifiers: Vec<(Algorithm, ParsedPublicKey)>,
}

/// What a key consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// Modulus and exponent, big-endian, without leading zeros.
    Rsa { n: Vec<u8>, e: Vec<u8> },
    /// The coordinates of the point, each as long as the curve's field.
    Ec {
        curve: Curve,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    /// The encoded point.
    Ed25519(Vec<u8>),
}

/// A curve of NIST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

/// Why a key cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither RSA nor one of the curves.
    #[error("its kind is not supported (RSA, P-256, P-384, P-521 and Ed25519 are)")]
    Unsupported,
    /// The bytes make no key.
    #[error("its material is malformed")]
    Malformed,
    /// The bytes are no key of this kind, or one of another strength than is safe.
    #[error("it is not a valid key (RSA needs 2048 to 8192 bits)")]
    Invalid,
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];
/// What stands before the coordinates of an uncompressed point.
const UNCOMPRESSED: u8 = 4;

impl Curve {
    pub(crate) const ALL: [Self; 3] = [Self::P256, Self::P384, Self::P521];

    /// The name in a JWK.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::P521 => "P-521",
        }
    }

    /// Bytes of a coordinate.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
            Self::P521 => 66,
        }
    }

    fn object(self) -> &'static [u8] {
        match self {
            Self::P256 => &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
            Self::P384 => &[0x2b, 0x81, 0x04, 0x00, 0x22],
            Self::P521 => &[0x2b, 0x81, 0x04, 0x00, 0x23],
        }
    }
}

impl PublicKey {
    /// Checks the material and makes a key of it.
    pub(crate) fn new(material: Material) -> Result<Self, KeyError> {
        let (algorithms, encoded): (&[Algorithm], Vec<u8>) = match &material {
            Material::Rsa { n, e } => {
                check_rsa(n, e)?;
                let numbers = [der::unsigned(n), der::unsigned(e)].concat();
                (&RSA_ALGORITHMS, der::value(SEQUENCE, &numbers))
            }
            Material::Ec { curve, x, y } => {
                if x.len() != curve.size() || y.len() != curve.size() {
                    return Err(KeyError::Malformed);
                }
                let algorithm = match curve {
                    Curve::P256 => &[Algorithm::Es256],
                    Curve::P384 => &[Algorithm::Es384],
                    Curve::P521 => &[Algorithm::Es512],
                };
                (algorithm, [&[UNCOMPRESSED][..], x, y].concat())
            }
            Material::Ed25519(point) => (&[Algorithm::EdDsa], point.clone()),
        };
        let mut verifiers = Vec::new();
        for algorithm in algorithms {
            let verification = algorithm.verification().ok_or(KeyError::Unsupported)?;
            let key = ParsedPublicKey::new(verification, encoded.as_slice())
                .map_err(|_| KeyError::Invalid)?;
            verifiers.push((*algorithm, key));
        }
        Ok(Self {
            material,
            verifiers,
        })
    }

    /// Reads the key of a certificate, a SubjectPublicKeyInfo (RFC 5280 §4.1.2.7).
    pub(crate) fn from_spki(spki: &[u8]) -> Result<Self, KeyError> {
        Self::new(material(spki)?)
    }

    /// Forbids all algorithms but one.
    pub(crate) fn only(mut self, allowed: Algorithm) -> Self {
        self.verifiers
            .retain(|(algorithm, _)| *algorithm == allowed);
        self
    }

    /// Whether signatures of this algorithm can be this key's.
    pub(crate) fn fits(&self, wanted: Algorithm) -> bool {
        self.verifiers
            .iter()
            .any(|(algorithm, _)| *algorithm == wanted)
    }

    /// Checks the signature of a token. No key verifies a token with critical extensions.
    pub(crate) fn verify(&self, token: &Compact<'_>) -> Result<(), JoseError> {
        if token.critical {
            return Err(JoseError::Critical);
        }
        let verifier = self
            .verifiers
            .iter()
            .find(|(algorithm, _)| *algorithm == token.algorithm);
        let (_, key) = verifier.ok_or(JoseError::Signature)?;
        key.verify_sig(token.signed, &token.signature)
            .map_err(|_| JoseError::Signature)
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.material.fmt(f)
    }
}

const RSA_ALGORITHMS: [Algorithm; 6] = [
    Algorithm::Rs256,
    Algorithm::Rs384,
    Algorithm::Rs512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
];

/// The library looks at these only when it verifies.
fn check_rsa(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
    let bits = |number: &[u8]| match number.first() {
        Some(first) => number.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    };
    let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    let good = (2048..=8192).contains(&bits(n)) && (2..=33).contains(&bits(e));
    (good && odd(n) && odd(e))
        .then_some(())
        .ok_or(KeyError::Invalid)
}

fn material(mut spki: &[u8]) -> Result<Material, KeyError> {
    let mut whole = take(&mut spki, SEQUENCE).ok_or(KeyError::Malformed)?;
    let mut kind = take(&mut whole, SEQUENCE).ok_or(KeyError::Malformed)?;
    let object = take(&mut kind, OBJECT).ok_or(KeyError::Malformed)?;
    let bits = take(&mut whole, BIT_STRING).ok_or(KeyError::Malformed)?;
    // The first byte counts the bits that the last one has too many.
    let (Some((0, key)), true, true) = (bits.split_first(), whole.is_empty(), spki.is_empty())
    else {
        return Err(KeyError::Malformed);
    };
    match object {
        RSA => rsa(key).ok_or(KeyError::Malformed),
        EC => {
            let named = take(&mut kind, OBJECT).ok_or(KeyError::Unsupported)?;
            let mut curves = Curve::ALL.into_iter();
            let curve = curves.find(|curve| curve.object() == named);
            ec(curve.ok_or(KeyError::Unsupported)?, key).ok_or(KeyError::Malformed)
        }
        ED25519 => Ok(Material::Ed25519(key.to_vec())),
        _ => Err(KeyError::Unsupported),
    }
}

fn rsa(mut key: &[u8]) -> Option<Material> {
    let mut numbers = take(&mut key, SEQUENCE)?;
    let n = take_unsigned(&mut numbers)?.to_vec();
    let e = take_unsigned(&mut numbers)?.to_vec();
    (key.is_empty() && numbers.is_empty()).then_some(Material::Rsa { n, e })
}

fn ec(curve: Curve, key: &[u8]) -> Option<Material> {
    let (&UNCOMPRESSED, point) = key.split_first()? else {
        return None;
    };
    let (x, y) = point.split_at_checked(curve.size())?;
    let (x, y) = (x.to_vec(), y.to_vec());
    Some(Material::Ec { curve, x, y })
}
