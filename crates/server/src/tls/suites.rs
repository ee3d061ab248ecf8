//! Cipher suites by the names that `distribution` has for them, which are Go's.

use std::fmt;
use std::str::FromStr;

use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite as suite;

/// A cipher suite that can be agreed on.
#[derive(Clone, Copy, PartialEq)]
pub struct CipherSuite {
    name: &'static str,
    suite: SupportedCipherSuite,
}

/// The name of a cipher suite that is not known, or known and not safe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cipher suite that can be had; these are: {list}", list = list())]
pub struct UnknownCipherSuite(String);

/// Those of `distribution`'s default: all that authenticate the key exchange and the data.
const SUITES: [CipherSuite; 9] = [
    of("TLS_AES_128_GCM_SHA256", suite::TLS13_AES_128_GCM_SHA256),
    of("TLS_AES_256_GCM_SHA384", suite::TLS13_AES_256_GCM_SHA384),
    of(
        "TLS_CHACHA20_POLY1305_SHA256",
        suite::TLS13_CHACHA20_POLY1305_SHA256,
    ),
    of(
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    of(
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    of(
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    of(
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    of(
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    of(
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

const fn of(name: &'static str, suite: SupportedCipherSuite) -> CipherSuite {
    CipherSuite { name, suite }
}

impl CipherSuite {
    /// Its name in a configuration file.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.name
    }

    fn is_of_tls13(self) -> bool {
        self.suite.tls13().is_some()
    }
}

impl Eq for CipherSuite {}

impl FromStr for CipherSuite {
    type Err = UnknownCipherSuite;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = SUITES.into_iter().find(|suite| suite.name == name);
        known.ok_or_else(|| UnknownCipherSuite(name.to_owned()))
    }
}

impl fmt::Debug for CipherSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

fn list() -> String {
    SUITES.map(CipherSuite::name).join(", ")
}

/// What may be agreed on where these are named. As in Go, a list of suites of TLS 1.2 leaves
/// TLS 1.3 as it is; one that has none of TLS 1.2 leaves that version out.
pub(super) fn allowed(named: &[CipherSuite]) -> Vec<SupportedCipherSuite> {
    let names_tls13 = named.iter().any(|suite| suite.is_of_tls13());
    let may_be = |suite: &CipherSuite| {
        named.is_empty() || named.contains(suite) || (suite.is_of_tls13() && !names_tls13)
    };
    let allowed = SUITES.into_iter().filter(may_be);
    allowed.map(|suite| suite.suite).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_rustls_has_can_be_named() {
        let all = rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES;
        assert_eq!(all.len(), SUITES.len());
        for suite in SUITES {
            assert!(all.contains(&suite.suite), "{suite:?}");
            assert_eq!(suite.name.parse(), Ok(suite));
            // rustls says TLS13 where Go says TLS, and nothing else differs.
            let theirs = format!("{:?}", suite.suite.suite()).replace("TLS13_", "TLS_");
            assert_eq!(suite.name, theirs);
        }
    }

    #[test]
    fn a_name_that_cannot_be_had_is_refused_with_those_that_can() {
        for name in [
            "",
            "tls_aes_128_gcm_sha256",
            "TLS_RSA_WITH_RC4_128_SHA",
            "TLS_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        ] {
            let said = name.parse::<CipherSuite>().unwrap_err().to_string();
            assert!(said.starts_with(&format!("{name:?}")), "{said}");
            assert!(said.contains(" TLS_AES_256_GCM_SHA384, "), "{said}");
        }
    }

    #[test]
    fn each_version_keeps_what_is_named_of_it() {
        let named = |names: &[&str]| {
            let named: Vec<CipherSuite> = names.iter().map(|name| name.parse().unwrap()).collect();
            let allowed = allowed(&named);
            let of_tls13 = allowed.iter().filter(|suite| suite.tls13().is_some());
            (of_tls13.count(), allowed.len())
        };
        let (old, new) = (
            "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
            "TLS_AES_256_GCM_SHA384",
        );
        assert_eq!(named(&[]), (3, 9));
        assert_eq!(named(&[old]), (3, 4));
        assert_eq!(named(&[new]), (1, 1));
        assert_eq!(named(&[new, old, old]), (1, 2));
    }
}
