//! The text of an htpasswd file: users and bcrypt hashes, line by line.
//!
//! A line that cannot be used disables the user that it names, and nobody else. Text from the file
//! never gets into a message, but for the user's name: anything else may be a secret.

use std::collections::HashMap;

use base64::Engine as _;
use base64::alphabet::BCRYPT;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// The users of a file who can log in; at least one.
#[derive(Debug)]
pub(crate) struct Users {
    hashes: HashMap<String, Hash>,
    /// Nobody's hash, as costly as the costliest in the file.
    nobody: Hash,
}

/// A bcrypt hash that can be checked.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Hash {
    cost: u32,
    text: String,
}

/// What a file says.
#[derive(Debug)]
pub(crate) struct Listing {
    hashes: HashMap<String, Hash>,
    pub(crate) problems: Vec<LineProblem>,
    /// The last line cannot be used and has no end: somebody may still be writing.
    pub(crate) cut_short: bool,
}

/// A line that cannot be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineProblem {
    /// Counted from 1.
    pub(crate) line: usize,
    /// The user who cannot log in because of it, as far as the line names one.
    pub(crate) user: Option<String>,
    pub(crate) kind: Unusable,
}

/// What is wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it has no colon between user and hash")]
    NoColon,
    #[error("it names no user")]
    NoUser,
    #[error("its hash is not bcrypt (make one with htpasswd -B)")]
    NotBcrypt,
    #[error("its bcrypt hash is malformed")]
    Malformed,
    #[error("its bcrypt cost of {0} is above {MAX_COST}: each login would keep a core busy")]
    TooCostly(u32),
}

/// One line of a file.
enum Line<'a> {
    /// It is blank, or a comment.
    Nothing,
    User(&'a str, Hash),
    /// Whom it names, if anybody, and why it cannot be used.
    Unusable(&'a str, Unusable),
}

/// The least cost that bcrypt has, and the highest that is taken: about a second for each login.
const MIN_COST: u32 = 4;
const MAX_COST: u32 = 14;
/// The versions of bcrypt that htpasswd programs write. `$2x$` marks hashes of a broken program.
const VERSIONS: [&str; 3] = ["$2a$", "$2b$", "$2y$"];
/// Characters of the encoded salt and digest, and the bytes that they stand for.
const SALT: (usize, usize) = (22, 16);
const DIGEST: (usize, usize) = (31, 23);
/// Some programs set the last character's unused bits; Go, and so `distribution`, reads over them.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

impl Users {
    /// The users of a file, unless it has none.
    pub(crate) fn new(listing: Listing) -> Option<Self> {
        let cost = listing.hashes.values().map(|hash| hash.cost).max()?;
        Some(Self {
            hashes: listing.hashes,
            nobody: Hash::new(cost, &[0; SALT.1], &[0; DIGEST.1]),
        })
    }

    /// The hash of a user who can log in.
    pub(crate) fn find(&self, user: &str) -> Option<&Hash> {
        self.hashes.get(user)
    }

    /// What to check for somebody unknown, so that it takes as long.
    pub(crate) fn nobody(&self) -> &Hash {
        &self.nobody
    }

    pub(crate) fn count(&self) -> usize {
        self.hashes.len()
    }
}

impl Listing {
    /// Reads a file's bytes. Of several lines for one user the last counts, as with `distribution`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let mut hashes = HashMap::new();
        let mut problems = Vec::new();
        let mut count = 0;
        for line in bytes.split(|byte| *byte == b'\n') {
            count += 1;
            match Line::read(line) {
                Line::Nothing => {}
                Line::User(user, hash) => {
                    hashes.insert(user.to_owned(), hash);
                }
                Line::Unusable(user, kind) => {
                    hashes.remove(user);
                    let user = Some(user)
                        .filter(|user| can_be_shown(user))
                        .map(str::to_owned);
                    let line = count;
                    problems.push(LineProblem { line, user, kind });
                }
            }
        }
        // What follows the last newline is the empty string where the file ends as it should.
        let cut_short = problems.last().is_some_and(|problem| problem.line == count);
        Self {
            hashes,
            problems,
            cut_short,
        }
    }
}

impl Hash {
    fn parse(text: &str) -> Result<Self, Unusable> {
        let rest = VERSIONS
            .iter()
            .find_map(|version| text.strip_prefix(version))
            .ok_or(Unusable::NotBcrypt)?;
        let (cost, rest) = rest.split_once('$').ok_or(Unusable::Malformed)?;
        let cost = match cost.as_bytes() {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                u32::from(tens - b'0') * 10 + u32::from(ones - b'0')
            }
            _ => return Err(Unusable::Malformed),
        };
        // The length is not trusted to fall between two characters.
        let (salt, digest) = rest.split_at_checked(SALT.0).ok_or(Unusable::Malformed)?;
        let (salt, digest) = (decode(salt, SALT)?, decode(digest, DIGEST)?);
        match cost {
            ..MIN_COST | 32.. => Err(Unusable::Malformed),
            MIN_COST..=MAX_COST => Ok(Self::new(cost, &salt, &digest)),
            _ => Err(Unusable::TooCostly(cost)),
        }
    }

    /// One way to write it, whatever the file has.
    fn new(cost: u32, salt: &[u8], digest: &[u8]) -> Self {
        let (salt, digest) = (bcrypt::BASE_64.encode(salt), bcrypt::BASE_64.encode(digest));
        Self {
            cost,
            text: format!("$2b${cost:02}${salt}{digest}"),
        }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl std::fmt::Debug for Hash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hash")
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Self {
        let Ok(line) = str::from_utf8(line) else {
            return Self::Unusable("", Unusable::NotUtf8);
        };
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return Self::Nothing;
        }
        match line.split_once(':') {
            None => Self::Unusable("", Unusable::NoColon),
            Some(("", _)) => Self::Unusable("", Unusable::NoUser),
            Some((user, hash)) => match Hash::parse(hash) {
                Ok(hash) => Self::User(user, hash),
                Err(kind) => Self::Unusable(user, kind),
            },
        }
    }
}

/// Exactly the text of so many characters that stands for so many bytes.
fn decode(text: &str, (characters, bytes): (usize, usize)) -> Result<Vec<u8>, Unusable> {
    if text.len() != characters {
        return Err(Unusable::Malformed);
    }
    let decoded = LENIENT.decode(text).map_err(|_| Unusable::Malformed)?;
    if decoded.len() == bytes {
        Ok(decoded)
    } else {
        Err(Unusable::Malformed)
    }
}

/// Whether it looks like a name: user and hash may have been swapped.
fn can_be_shown(user: &str) -> bool {
    (1..=64).contains(&user.len()) && !user.contains('$')
}

#[cfg(test)]
mod tests;
