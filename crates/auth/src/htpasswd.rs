//! The text of an htpasswd file: users and hashes (bcrypt or argon2id), line by line.
//!
//! A line that cannot be used disables the user that it names, and nobody else. Text from the file
//! never gets into a message, but for the user's name: anything else may be a secret.

use std::collections::HashMap;

use crate::hash::{Hash, HashError};

/// The users of a file who can log in; at least one.
#[derive(Debug)]
pub(crate) struct Users {
    hashes: HashMap<String, Hash>,
    /// Nobody's hashes, one for each cost that the file has, with the number of users who have it.
    nobodies: Vec<(u64, Hash)>,
    /// The costliest of them.
    nobody: Hash,
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
    #[error(transparent)]
    Hash(#[from] HashError),
}

/// One line of a file.
enum Line<'a> {
    /// It is blank, or a comment.
    Nothing,
    User(&'a str, Hash),
    /// Whom it names, if anybody, and why it cannot be used.
    Unusable(&'a str, Unusable),
}

impl Users {
    /// The users of a file, unless it has none.
    pub(crate) fn new(listing: Listing) -> Option<Self> {
        let mut nobodies: Vec<(u64, Hash)> = Vec::new();
        for hash in listing.hashes.values() {
            match nobodies.iter_mut().find(|(_, like)| like.costs_like(hash)) {
                Some((count, _)) => *count += 1,
                None => nobodies.push((1, hash.nobody_like())),
            }
        }
        // In one order after each time that the file is read.
        nobodies.sort_by(|(_, one), (_, other)| {
            (one.work(), one.text()).cmp(&(other.work(), other.text()))
        });
        let (_, costliest) = nobodies.last()?;
        Some(Self {
            nobody: costliest.clone(),
            nobodies,
            hashes: listing.hashes,
        })
    }

    /// The hash of a user who can log in.
    pub(crate) fn find(&self, user: &str) -> Option<&Hash> {
        self.hashes.get(user)
    }

    /// What to check for somebody unknown: what one of the users costs, drawn by this lot. Where
    /// hashes differ in their cost, the time for a name that is not there says as much as that for one
    /// that is, if a name always has the same lot.
    pub(crate) fn nobody(&self, lot: u64) -> &Hash {
        let mut place = lot % (self.hashes.len() as u64).max(1);
        for (count, hash) in &self.nobodies {
            match place.checked_sub(*count) {
                Some(left) => place = left,
                None => return hash,
            }
        }
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
                Err(error) => Self::Unusable(user, error.into()),
            },
        }
    }
}

/// Whether it looks like a name: user and hash may have been swapped.
fn can_be_shown(user: &str) -> bool {
    (1..=64).contains(&user.len()) && !user.contains('$')
}

#[cfg(test)]
mod tests;
