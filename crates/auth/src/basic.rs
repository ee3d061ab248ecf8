//! Basic credentials, read strictly (RFC 7617).
//!
//! What is not exactly `Basic`, spaces and padded standard base64 of `user:password` is refused: a
//! parser that guesses gives two readers two ideas of who asks.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::secret::Secret;

/// User and password as a client sent them, unverified.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// Why an `Authorization` header has no credentials that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BasicError {
    /// Another scheme, or none.
    #[error("the scheme is not Basic")]
    Scheme,
    /// More bytes than anybody needs.
    #[error("longer than {MAX_BYTES} bytes")]
    TooLong,
    /// Not padded standard base64.
    #[error("not base64")]
    Base64,
    /// Nothing separates user and password.
    #[error("no colon")]
    NoColon,
    /// The user's name is no UTF-8.
    #[error("the user is not UTF-8")]
    NotUtf8,
    /// User or password is empty, which nobody may log in with.
    #[error("user or password is empty")]
    Empty,
    /// Both are empty: what some clients send for nobody.
    #[error("user and password are empty")]
    Nobody,
}

/// Bytes of the header's value at most: a token of 16 KiB may stand in for a password.
const MAX_BYTES: usize = 24 << 10;

impl Credentials {
    /// Reads the value of an `Authorization` header.
    pub(crate) fn parse(value: &[u8]) -> Result<Self, BasicError> {
        if value.len() > MAX_BYTES {
            return Err(BasicError::TooLong);
        }
        let (scheme, token) = value.split_at_checked(5).ok_or(BasicError::Scheme)?;
        if !scheme.eq_ignore_ascii_case(b"basic") || token.first().is_some_and(|byte| *byte != b' ')
        {
            return Err(BasicError::Scheme);
        }
        let spaces = token.iter().take_while(|byte| **byte == b' ').count();
        let pair = BASE64_STANDARD
            .decode(&token[spaces..])
            .map_err(|_| BasicError::Base64)?;
        // The first colon: a password may have more, a user's name has none.
        let colon = pair.iter().position(|byte| *byte == b':');
        let (user, password) = pair.split_at(colon.ok_or(BasicError::NoColon)?);
        let user = str::from_utf8(user).map_err(|_| BasicError::NotUtf8)?;
        let password = &password[1..];
        if user.is_empty() && password.is_empty() {
            return Err(BasicError::Nobody);
        }
        if user.is_empty() || password.is_empty() {
            return Err(BasicError::Empty);
        }
        Ok(Self {
            user: user.to_owned(),
            password: Secret::new(password),
        })
    }
}

/// The name in Basic credentials, right or wrong: to tell who somebody claimed to be. None: the value
/// of the `Authorization` header is something else.
#[must_use]
pub fn claimed_user(value: &[u8]) -> Option<String> {
    let credentials = Credentials::parse(value).ok()?;
    Some(credentials.user)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_exact_basic_credentials_are_read() {
        let encoded = |pair: &[u8]| format!("Basic {}", BASE64_STANDARD.encode(pair)).into_bytes();
        let rfc = b"Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
        for (value, expected) in [
            (&rfc[..], Ok(("Aladdin", &b"open sesame"[..]))),
            (
                b"basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
                Ok(("Aladdin", b"open sesame")),
            ),
            (
                b"BASIC   QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
                Ok(("Aladdin", b"open sesame")),
            ),
            (&encoded(b"a:b:c:"), Ok(("a", b"b:c:"))),
            (
                &encoded("é:пароль".as_bytes()),
                Ok(("é", "пароль".as_bytes())),
            ),
            (&encoded(b"a:\xff\0"), Ok(("a", b"\xff\0"))),
            (&encoded(b"\xff:a"), Err(BasicError::NotUtf8)),
            (&encoded(b"a:"), Err(BasicError::Empty)),
            (&encoded(b":a"), Err(BasicError::Empty)),
            (&encoded(b":"), Err(BasicError::Nobody)),
            (&encoded(b"a"), Err(BasicError::NoColon)),
            (&encoded(b""), Err(BasicError::NoColon)),
            (b"Basic", Err(BasicError::NoColon)),
            (b"", Err(BasicError::Scheme)),
            (b"Basi", Err(BasicError::Scheme)),
            (b"BasicQTpC", Err(BasicError::Scheme)),
            (b"Basic\tQTpC", Err(BasicError::Scheme)),
            (b"Bearer QTpC", Err(BasicError::Scheme)),
            (b" Basic QTpC", Err(BasicError::Scheme)),
            (b"Basic QTpC ", Err(BasicError::Base64)),
            (b"Basic QTpC, Basic QTpC", Err(BasicError::Base64)),
            // Padding: missing, too much, and bits that mean nothing.
            (b"Basic QTpCQw", Err(BasicError::Base64)),
            (b"Basic QTpC=", Err(BasicError::Base64)),
            (b"Basic QTpCQx==", Err(BasicError::Base64)),
            // The URL alphabet is another one.
            (b"Basic YTo_Pz8_", Err(BasicError::Base64)),
            (b"Basic \xff\xff\xff\xff", Err(BasicError::Base64)),
            (&[b'B'; MAX_BYTES + 1], Err(BasicError::TooLong)),
        ] {
            let read = Credentials::parse(value);
            let read = read
                .as_ref()
                .map(|read| (read.user.as_str(), read.password.expose()));
            let shown = String::from_utf8_lossy(value);
            assert_eq!(read.map_err(|error| *error), expected, "{shown}");
        }
    }

    #[test]
    fn credentials_are_printed_without_the_password() {
        let credentials = Credentials::parse(b"Basic YTpjYW5hcnk=").unwrap();
        assert!(!format!("{credentials:?}").contains("canary"));
        assert!(!format!("{credentials:?}").contains("99, 97"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = Credentials::parse(&value);
        }

        #[test]
        fn what_a_client_encodes_is_what_is_read(user in "[^:]{1,40}", password in ".{1,80}") {
            let token = BASE64_STANDARD.encode(format!("{user}:{password}"));
            let read = Credentials::parse(format!("Basic {token}").as_bytes()).unwrap();
            prop_assert_eq!(read.user, user);
            prop_assert_eq!(read.password.expose(), password.as_bytes());
        }
    }
}
