//! `WWW-Authenticate`: how a client is told to log in (RFC 9110 §11.6.1, RFC 7617).

use std::fmt::Write as _;

/// The challenge of Basic authentication.
///
/// The realm is quoted as Go's `%+q` does it, which is how `distribution` writes it, with what is
/// not ASCII escaped: a header has no encoding of its own.
pub(crate) fn basic(realm: &str) -> String {
    let mut challenge = String::from("Basic realm=\"");
    for character in realm.chars() {
        push_quoted(&mut challenge, character);
    }
    challenge.push('"');
    challenge
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
            assert_eq!(basic(realm), format!("Basic realm={quoted}"));
        }
    }
}
