//! `WWW-Authenticate`: how a client is told to log in (RFC 9110 §11.6.1, RFC 7617, RFC 6750 §3, the
//! Docker registry token specification).

use std::fmt::Write as _;

use crate::scope::Scope;

/// How clients are told to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// By name and password.
    Basic {
        /// What the client may show.
        realm: String,
    },
    /// By a token, which is to be had elsewhere.
    Bearer {
        /// Where.
        realm: Realm,
        /// For which service.
        service: String,
    },
}

/// Where tokens are to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Realm {
    /// At this URL.
    Url(String),
    /// At this path of the host that the request named, which the configuration asked for.
    OfRequest {
        /// It begins with a slash.
        path: String,
    },
}

/// What a request says of the registry's own URL.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin<'a> {
    /// `http` or `https`, as far as it is known.
    pub scheme: Option<&'a str>,
    /// The host, perhaps with a port.
    pub host: Option<&'a str>,
}

/// What is wrong with a token (RFC 6750 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerError {
    /// It is malformed, of somebody unknown, or has ended.
    InvalidToken,
    /// It does not say that its holder may do this.
    InsufficientScope,
}

impl Challenge {
    /// The value of the header for a request that needs these scopes.
    ///
    /// Values are quoted as Go's `%+q` does it, which is how `distribution` writes them, with what
    /// is not ASCII escaped: a header has no encoding of its own. Nothing in a name can end its
    /// quotes.
    pub(crate) fn value(
        &self,
        scopes: &[Scope],
        error: Option<BearerError>,
        origin: Origin<'_>,
    ) -> String {
        let mut text = String::new();
        match self {
            Self::Basic { realm } => {
                text.push_str("Basic realm=");
                push_text(&mut text, realm);
            }
            Self::Bearer { realm, service } => {
                text.push_str("Bearer realm=");
                push_text(&mut text, &realm.url(origin));
                text.push_str(",service=");
                push_text(&mut text, service);
                if !scopes.is_empty() {
                    let scopes: Vec<_> = scopes.iter().map(Scope::to_string).collect();
                    text.push_str(",scope=");
                    push_text(&mut text, &scopes.join(" "));
                }
                if let Some(error) = error {
                    text.push_str(",error=");
                    push_text(&mut text, error.as_str());
                }
            }
        }
        text
    }
}

impl Realm {
    fn url(&self, origin: Origin<'_>) -> String {
        match self {
            Self::Url(url) => url.clone(),
            Self::OfRequest { path } => format!(
                "{}://{}{path}",
                origin.scheme.unwrap_or("https"),
                origin.host.unwrap_or_default()
            ),
        }
    }
}

impl BearerError {
    const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
        }
    }
}

fn push_text(into: &mut String, text: &str) {
    into.push('"');
    for character in text.chars() {
        push_quoted(into, character);
    }
    into.push('"');
}

fn push_quoted(text: &mut String, character: char) {
    let code = u32::from(character);
    // Writing to a string cannot fail.
    let _written = match character {
        '"' | '\\' => write!(text, "\\{character}"),
        '\n' => write!(text, "\\n"),
        '\r' => write!(text, "\\r"),
        '\t' => write!(text, "\\t"),
        '\u{7}' => write!(text, "\\a"),
        '\u{8}' => write!(text, "\\b"),
        '\u{b}' => write!(text, "\\v"),
        '\u{c}' => write!(text, "\\f"),
        ' '..='~' => write!(text, "{character}"),
        '\0'..='\u{7f}' => write!(text, "\\x{code:02x}"),
        '\u{80}'..='\u{ffff}' => write!(text, "\\u{code:04x}"),
        _ => write!(text, "\\U{code:08x}"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realms_are_quoted_as_go_does() {
        for (realm, quoted) in [
            ("basic-realm", r#""basic-realm""#),
            ("Registry Realm", r#""Registry Realm""#),
            ("", r#""""#),
            (r#"a "b" \c"#, r#""a \"b\" \\c""#),
            ("a\r\nX-Evil: 1", r#""a\r\nX-Evil: 1""#),
            (
                "\0\u{7}\u{8}\t\u{b}\u{c}\u{1b}\u{7f}",
                r#""\x00\a\b\t\v\f\x1b\x7f""#,
            ),
            ("é\u{2028}🚢", r#""\u00e9\u2028\U0001f6a2""#),
        ] {
            let challenge = Challenge::Basic {
                realm: realm.to_owned(),
            };
            assert_eq!(
                challenge.value(&[], None, Origin::default()),
                format!("Basic realm={quoted}")
            );
        }
    }

    #[test]
    fn a_token_is_asked_for_as_clients_expect_it() {
        let bearer = |realm| Challenge::Bearer {
            realm,
            service: "registry \"x\"".to_owned(),
        };
        let fixed = bearer(Realm::Url("https://r.example/auth/token".to_owned()));
        let moving = bearer(Realm::OfRequest {
            path: "/auth/token".to_owned(),
        });
        let scopes: Vec<_> =
            Scope::parse_all(["repository:a:pull,push repository:b:pull"].into_iter());
        let origin = Origin {
            scheme: None,
            host: Some("r.example:5000"),
        };
        assert_eq!(
            fixed.value(&scopes, Some(BearerError::InsufficientScope), origin),
            r#"Bearer realm="https://r.example/auth/token",service="registry \"x\"",scope="repository:a:pull,push repository:b:pull",error="insufficient_scope""#
        );
        assert_eq!(
            moving.value(&[], Some(BearerError::InvalidToken), origin),
            r#"Bearer realm="https://r.example:5000/auth/token",service="registry \"x\"",error="invalid_token""#
        );
    }
}
