//! The parsers of this crate for the fuzz targets, with what holds of them for every input. Only
//! built for those.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::basic::Credentials;
use crate::hash::Hash;
use crate::htpasswd::{Listing, Users};

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
    readable(users.nobody());
}

fn readable(hash: &Hash) {
    assert_eq!(Hash::parse(hash.text()).as_ref(), Ok(hash));
    // Some seconds at most, on a machine that is slow.
    assert!(hash.work() <= 1_000_000_000);
    assert!(!format!("{hash:?}").contains(hash.text()));
}
