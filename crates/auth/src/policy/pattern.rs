//! Patterns of names in rules.

use globset::{GlobBuilder, GlobMatcher};
use roadstead_oci::RepositoryName;

use super::RuleError;

/// A pattern of repositories' names: `*` stays within a part between slashes, `**` does not.
#[derive(Debug, Clone)]
pub(crate) struct RepositoryPattern {
    text: String,
    matcher: Matcher,
    /// What every name that matches begins with.
    prefix: String,
}

/// A pattern of other names, where `*` stands for any text.
#[derive(Debug, Clone)]
pub(crate) struct NamePattern(Matcher);

#[derive(Debug, Clone)]
enum Matcher {
    Any,
    Exact(String),
    Glob(Box<GlobMatcher>),
}

/// Bytes of a pattern at most.
const MAX_BYTES: usize = 512;
/// What makes a pattern more than a name.
const SPECIAL: [char; 6] = ['*', '?', '[', ']', '{', '}'];

impl RepositoryPattern {
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        let end = text.find(SPECIAL).unwrap_or(text.len());
        Ok(Self {
            text: text.to_owned(),
            matcher: match text {
                "**" => Matcher::Any,
                _ => matcher(text, true)?,
            },
            prefix: text[..end].to_owned(),
        })
    }

    pub(crate) fn matches(&self, name: &RepositoryName) -> bool {
        self.matcher.matches(name.as_str())
    }

    /// The least name after `after` that could match: none once they are all passed.
    pub(crate) fn next_candidate<'a>(&'a self, after: &'a str) -> Option<Candidate<'a>> {
        if after < self.prefix.as_str() {
            return Some(Candidate::From(&self.prefix));
        }
        // Names with the prefix stand together, so that `after` is among them or behind them.
        after.starts_with(&self.prefix).then_some(Candidate::Next)
    }
}

/// Where to look for the next name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Candidate<'a> {
    /// Behind the last one.
    Next,
    /// At this text, or behind it.
    From(&'a str),
}

impl Candidate<'_> {
    /// The text that a list goes on behind, to begin here.
    pub(crate) fn before(self, last: &str) -> String {
        match self {
            Self::Next => last.to_owned(),
            Self::From(text) => just_before(text),
        }
    }
}

/// A text after which `text` comes, and no name of a repository between the two: what a name has
/// first is greater than a space.
fn just_before(text: &str) -> String {
    let mut before = text.to_owned();
    match before.pop() {
        // A name that begins like this and goes on comes after `text` or before its last character.
        Some(last) => {
            let below = char::from_u32(u32::from(last).saturating_sub(1)).unwrap_or(' ');
            before.push(below);
            before.push('~');
            before
        }
        None => before,
    }
}

impl std::fmt::Display for RepositoryPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl NamePattern {
    pub(crate) fn parse(text: &str) -> Result<Self, RuleError> {
        match text {
            "*" => Ok(Self(Matcher::Any)),
            _ => matcher(text, false).map(Self),
        }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        self.0.matches(name)
    }
}

impl Matcher {
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(text) => text == name,
            Self::Glob(glob) => glob.is_match(name),
        }
    }
}

fn matcher(text: &str, by_parts: bool) -> Result<Matcher, RuleError> {
    let refused = |why: String| RuleError::Pattern {
        text: text.to_owned(),
        why,
    };
    if text.is_empty() || text.len() > MAX_BYTES {
        return Err(refused(format!("a pattern has 1 to {MAX_BYTES} bytes")));
    }
    if !text.contains(SPECIAL) {
        return Ok(Matcher::Exact(text.to_owned()));
    }
    let glob = GlobBuilder::new(text)
        .literal_separator(by_parts)
        .backslash_escape(false)
        .build()
        .map_err(|error| refused(error.kind().to_string()))?;
    Ok(Matcher::Glob(Box::new(glob.compile_matcher())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_part_and_two_do_not() {
        for (pattern, name, matches) in [
            ("**", "a/b/c", true),
            ("team/app", "team/app", true),
            ("team/app", "team/app2", false),
            ("team/*", "team/app", true),
            ("team/*", "team/app/web", false),
            ("team/*", "team", false),
            ("team/**", "team/app/web", true),
            ("team/**", "team", false),
            ("team/**", "teams/app", false),
            ("**/web", "team/app/web", true),
            ("**/web", "web", true),
            ("*/web", "team/app/web", false),
            ("team-*/app", "team-a/app", true),
            ("team-?/app", "team-a/app", true),
            ("{red,blue}/*", "blue/app", true),
            ("{red,blue}/*", "green/app", false),
        ] {
            let name = RepositoryName::parse(name).unwrap();
            let pattern = RepositoryPattern::parse(pattern).unwrap();
            assert_eq!(pattern.matches(&name), matches, "{pattern} {name}");
        }
        for text in ["", "team/[", "{a", &"a".repeat(513)] {
            assert!(RepositoryPattern::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn other_names_are_one_part() {
        for (pattern, name, matches) in [
            ("*", "", true),
            ("ci-*", "ci-build", true),
            ("repo:org/*:ref:*", "repo:org/app/x:ref:main", true),
            ("alice", "Alice", false),
            ("\\*", "\\x", true),
        ] {
            let parsed = NamePattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(name), matches, "{pattern} {name}");
        }
    }

    #[test]
    fn a_list_that_goes_on_behind_begins_with_the_candidate() {
        for text in ["team/", "app", "a", "a-b", "0", "a.b/"] {
            let before = Candidate::From(text).before("");
            assert!(before.as_str() < text, "{text}");
            // The greatest names that are less than the candidate are less than that, too.
            let (head, last) = text.split_at(text.len() - 1);
            let lesser = char::from(last.as_bytes()[0] - 1);
            for tail in ["", "z", "zz/zz"] {
                assert!(format!("{head}{lesser}{tail}") < before, "{text}");
            }
        }
    }

    #[test]
    fn what_cannot_match_is_skipped() {
        for (pattern, after, candidate) in [
            ("**", "", Some(Candidate::Next)),
            ("**", "zebra", Some(Candidate::Next)),
            ("team/**", "", Some(Candidate::From("team/"))),
            ("team/**", "alpha", Some(Candidate::From("team/"))),
            ("team/**", "team/app", Some(Candidate::Next)),
            ("team/**", "teams", None),
            ("team/app", "team/app", Some(Candidate::Next)),
            ("team/app", "team/b", None),
        ] {
            let parsed = RepositoryPattern::parse(pattern).unwrap();
            assert_eq!(parsed.next_candidate(after), candidate, "{pattern} {after}");
        }
    }
}
