//! What users, robots and groups may be called.

/// Why a name is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountNameError {
    /// Empty or too long.
    #[error("a name has 1 to {NAME_BYTES_MAX} bytes")]
    Length,
    /// A user's name that Basic login cannot carry, or that a log would show as something else.
    #[error("a user's name has no colon, no control character, and no space at either end")]
    User,
    /// The name of those who do not log in.
    #[error("nobody can be called anonymous: that is whoever does not log in")]
    Anonymous,
    /// Not as a part of a repository's name.
    #[error("a robot's name has small letters and digits, with single . _ or - between them")]
    Robot,
    /// A group that a list could not show as one.
    #[error("a group's name has no comma, no space and no control character")]
    Group,
}

/// Bytes of a name, at most.
const NAME_BYTES_MAX: usize = 128;

/// Whether a local user may be called so. A colon ends the name in Basic credentials (RFC 7617,
/// section 2), and is what tells a robot's principal from a user's.
///
/// # Errors
/// What is wrong with it.
pub fn check_user_name(name: &str) -> Result<(), AccountNameError> {
    length(name)?;
    if name.contains(':') || name.chars().any(char::is_control) || name.trim() != name {
        return Err(AccountNameError::User);
    }
    if name == "anonymous" {
        return Err(AccountNameError::Anonymous);
    }
    Ok(())
}

/// Whether a robot may be called so: `[a-z0-9]+([._-][a-z0-9]+)*`. Its principal is `robot:` and
/// the name.
///
/// # Errors
/// What is wrong with it.
pub fn check_robot_name(name: &str) -> Result<(), AccountNameError> {
    length(name)?;
    let part = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'))
    };
    if name.split(['.', '_', '-']).all(part) {
        Ok(())
    } else {
        Err(AccountNameError::Robot)
    }
}

/// Whether a group may be called so.
///
/// # Errors
/// What is wrong with it.
pub fn check_group(name: &str) -> Result<(), AccountNameError> {
    length(name)?;
    let apart = |c: char| c == ',' || c.is_whitespace() || c.is_control();
    if name.contains(apart) {
        Err(AccountNameError::Group)
    } else {
        Ok(())
    }
}

fn length(name: &str) -> Result<(), AccountNameError> {
    if (1..=NAME_BYTES_MAX).contains(&name.len()) {
        Ok(())
    } else {
        Err(AccountNameError::Length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_or_refused() {
        let long = "a".repeat(129);
        let (ok, length) = (Ok(()), Err(AccountNameError::Length));
        let user = Err(AccountNameError::User);
        for (name, expected) in [
            ("ada", ok),
            ("Ada Lovelace", ok),
            ("ada@example.com", ok),
            ("дмитрий", ok),
            (&long[..128], ok),
            ("", length),
            (&long, length),
            ("robot:ci", user),
            ("a\nb", user),
            ("a\u{9b}b", user),
            (" ada", user),
            ("ada\u{a0}", user),
            ("anonymous", Err(AccountNameError::Anonymous)),
        ] {
            assert_eq!(check_user_name(name), expected, "{name:?}");
        }
        let robot = Err(AccountNameError::Robot);
        for (name, expected) in [
            ("ci", ok),
            ("ci-2.build_x", ok),
            ("0", ok),
            ("", length),
            (&long, length),
            ("CI", robot),
            ("ci-", robot),
            (".ci", robot),
            ("a--b", robot),
            ("a b", robot),
            ("é", robot),
            ("a:b", robot),
        ] {
            assert_eq!(check_robot_name(name), expected, "{name:?}");
        }
        let group = Err(AccountNameError::Group);
        for (name, expected) in [
            ("Team/A:x", ok),
            ("", length),
            ("a,b", group),
            ("a b", group),
            ("a\u{1b}b", group),
        ] {
            assert_eq!(check_group(name), expected, "{name:?}");
        }
    }
}
