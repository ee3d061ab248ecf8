//! The names that a key has by itself.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::PublicKey;
use super::der::without_leading_zeros;
use super::key::Material;

/// The thumbprint of RFC 7638 (RFC 8037 §2 for Ed25519): SHA-256, base64url.
pub(crate) fn thumbprint(key: &PublicKey) -> String {
    hash(&key.material, |coordinate| coordinate)
}

/// All names of a certificate's key: the thumbprint, `distribution`'s variant of it, which drops
/// the leading zeros of coordinates, and the name that libtrust gave it, over the
/// SubjectPublicKeyInfo.
pub(crate) fn certificate_kids(key: &PublicKey, spki: &[u8]) -> [String; 3] {
    [
        thumbprint(key),
        hash(&key.material, without_leading_zeros),
        libtrust(spki),
    ]
}

fn hash(material: &Material, coordinate: fn(&[u8]) -> &[u8]) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let json = match material {
        Material::Rsa { n, e } => {
            format!(r#"{{"e":"{}","kty":"RSA","n":"{}"}}"#, encode(e), encode(n))
        }
        Material::Ec { curve, x, y } => format!(
            r#"{{"crv":"{}","kty":"EC","x":"{}","y":"{}"}}"#,
            curve.name(),
            encode(coordinate(x)),
            encode(coordinate(y))
        ),
        Material::Ed25519(point) => {
            format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, encode(point))
        }
    };
    encode(&Sha256::digest(json))
}

/// The first 240 bits of the hash in base32 (RFC 4648 §6), in groups of four.
fn libtrust(spki: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let digest = Sha256::digest(spki);
    let mut kid = String::new();
    for (index, group) in digest[..30].chunks_exact(5).enumerate() {
        let bits = group
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for place in 0..8 {
            if place % 4 == 0 && (index, place) != (0, 0) {
                kid.push(':');
            }
            let digit = bits >> (35 - 5 * place) & 31;
            kid.push(char::from(ALPHABET[digit as usize]));
        }
    }
    kid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jose::key::Curve;

    fn key_of(jwk: &str) -> PublicKey {
        super::super::jwk::tests::key(jwk)
    }

    /// RFC 7638 §3.1 and RFC 8037 appendix A.3.
    #[test]
    fn the_vectors_of_the_specifications() {
        let rsa = key_of(
            r#"{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}"#,
        );
        assert_eq!(
            thumbprint(&rsa),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
        let ed25519 = key_of(
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
        );
        assert_eq!(
            thumbprint(&ed25519),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
    }

    #[test]
    fn the_variant_differs_exactly_where_a_coordinate_begins_with_zero() {
        let mut seen = [false; 2];
        for number in 0..2000 {
            let signer = crate::jose::signer::Signer::es256();
            let key = signer.public();
            let Material::Ec { x, y, curve } = &key.material else {
                panic!("not an EC key");
            };
            assert_eq!(*curve, Curve::P256);
            let zero = x[0] == 0 || y[0] == 0;
            let [proper, variant, _] = certificate_kids(&key, b"");
            assert_eq!(proper != variant, zero);
            seen[usize::from(zero)] = true;
            if seen == [true; 2] {
                return;
            }
            assert!(number < 1999, "no coordinate with a leading zero");
        }
    }

    /// What libtrust made of 30 bytes: 12 groups of four.
    #[test]
    fn libtrusts_name_has_its_form() {
        // openssl dgst -sha256 -binary /dev/null | head -c 30 | base32
        assert_eq!(
            libtrust(b""),
            "4OYM:IQUY:7QOB:JGX3:6TEJ:S35Z:EQT2:4QPE:MSNZ:GTFE:SWMR:W6CS"
        );
    }
}
