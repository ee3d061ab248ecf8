//! The parsers of this crate for the fuzz targets, with what holds of them for every input. Only
//! built for those.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};

use crate::api_key::{API_KEY_PREFIX, ApiKey};
use crate::basic::Credentials;
use crate::hash::Hash;
use crate::htpasswd::{Listing, Users};
use crate::jose::{Algorithm, Compact, KeySet, PublicKey, certificate_kids, parse_jwks};
use crate::ldap::parse_name as ldap_name;

/// The value of an Authorization header: who is read from it is read the same from the one way to
/// write it.
pub fn authorization(value: &[u8]) {
    let Ok(read) = Credentials::parse(value) else {
        return;
    };
    assert!(!read.user.is_empty() && !read.user.contains(':'));
    assert!(!read.password.expose().is_empty());
    let pair = [read.user.as_bytes(), b":", read.password.expose()].concat();
    let written = format!("Basic {}", BASE64_STANDARD.encode(&pair));
    assert!(written.len() <= value.len());
    let again = Credentials::parse(written.as_bytes()).expect("its own form");
    assert_eq!(again.user, read.user);
    assert_eq!(again.password.expose(), read.password.expose());
    // No secret is printed. One of few letters may stand in the rest of the text.
    let secret = str::from_utf8(read.password.expose()).unwrap_or_default();
    let shown = format!("{:?}", read.password);
    assert!(secret.len() < 12 || !shown.contains(secret));
}

/// A file of users: every hash that is taken is read the same again and can be checked in bounded
/// time, and a line that cannot be used lets nobody in.
pub fn htpasswd(file: &[u8]) {
    let listing = Listing::parse(file);
    let lines = file.split(|byte| *byte == b'\n').count();
    assert!(listing.problems.len() <= lines);
    let mut last = 0;
    for problem in &listing.problems {
        assert!(problem.line > last && problem.line <= lines);
        last = problem.line;
        let _ = (problem.kind.to_string(), &problem.user);
    }
    let cut_short = listing.cut_short;
    assert!(!cut_short || last == lines);
    let Some(users) = Users::new(listing) else {
        return;
    };
    assert!(users.count() >= 1 && users.count() <= lines);
    let text = str::from_utf8(file).unwrap_or_default();
    for line in text.lines() {
        let user = line.trim().split(':').next().unwrap_or_default();
        let Some(hash) = users.find(user) else {
            continue;
        };
        assert!(!user.is_empty());
        readable(hash);
    }
    for lot in [0, 1, u64::MAX] {
        readable(users.nobody(lot));
    }
}

fn readable(hash: &Hash) {
    assert_eq!(Hash::parse(hash.text()).as_ref(), Ok(hash));
    // Some seconds at most, on a machine that is slow.
    assert!(hash.work() <= 1_000_000_000);
    assert!(!format!("{hash:?}").contains(hash.text()));
}

/// A signed token of anybody: its bounds hold, it is taken apart in one way only, and what signs
/// nothing verifies nothing.
pub fn token(text: &str) {
    let Ok(read) = Compact::parse(text, &Algorithm::ALL) else {
        return;
    };
    assert!(text.len() <= 16 << 10);
    assert_eq!(text.matches('.').count(), 2);
    let parts: Vec<&str> = text.split('.').collect();
    assert_eq!(read.signed, format!("{}.{}", parts[0], parts[1]).as_bytes());
    for (part, bytes) in [(parts[1], &read.payload), (parts[2], &read.signature)] {
        assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(bytes), part);
    }
    assert!(KeySet::default().verify("k", &read).is_err());
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    if let Ok(token) = crate::token::claims::check(&read.payload, "issuer", "service", now) {
        assert!(token.expires_at > now);
    }
    crate::oidc::claims::read(&read.payload, now);
}

/// A set of keys, a bundle of certificates, and one key: what is taken has a name that it is found
/// by.
pub fn keys(bytes: &[u8]) {
    if let Ok(set) = parse_jwks(bytes) {
        assert!(!set.keys.is_empty() && set.keys.len() + set.broken.len() <= 256);
    }
    crate::token::fuzz_bundle(bytes);
    if let Ok(key) = PublicKey::from_spki(bytes) {
        let [proper, variant, libtrust] = certificate_kids(&key, bytes);
        assert_eq!((proper.len(), variant.len(), libtrust.len()), (43, 43, 59));
    }
}

/// A robot's key: what is taken is exactly what was given, and shows its id alone.
pub fn api_key(text: &str) {
    let Ok(key) = ApiKey::parse(text) else {
        return;
    };
    assert_eq!((key.expose(), text.len()), (text, 65));
    assert!(text.starts_with(API_KEY_PREFIX) && text[4..].starts_with(key.id()));
    assert!(key.matches(&key.hash()) && !key.matches(text));
    assert!(!format!("{key:?}").contains(&text[4 + key.id().len()..]));
}

/// A name in a directory: what is read of it reads the same when it is written with escapes.
pub fn dn(text: &str) {
    let Some(parts) = ldap_name(text) else {
        return;
    };
    let attribute =
        |(name, value): &(String, String)| format!("{name}={}", ldap3::dn_escape(value.as_str()));
    let written: Vec<String> = parts
        .iter()
        .map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+"))
        .collect();
    assert_eq!(ldap_name(&written.join(",")).as_ref(), Some(&parts));
}
