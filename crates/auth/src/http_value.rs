//! Values of parameters in HTTP headers (RFC 9110 §5.6).

/// A token or a quoted string at the beginning of a text, and what follows it. None: it is neither.
#[must_use]
pub fn parameter_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ',', ' ', '\t']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return is_token(token).then(|| (token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            character => value.push(character),
        }
    }
    None
}

/// Whether the text is a token (RFC 9110 §5.6.2).
#[must_use]
pub fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_tokens_or_quoted() {
        for (text, value) in [
            ("abc", Some(("abc", ""))),
            ("abc;x", Some(("abc", ";x"))),
            ("abc, x", Some(("abc", ", x"))),
            (r#""a b";x"#, Some(("a b", ";x"))),
            (r#""a\"b\\" x"#, Some((r#"a"b\"#, " x"))),
            (r#""""#, Some(("", ""))),
            ("", None),
            (";", None),
            ("a=b", None),
            ("é", None),
            (r#""a"#, None),
            (r#""a\"#, None),
        ] {
            let read = parameter_value(text);
            let read = read.as_ref().map(|(value, rest)| (value.as_str(), *rest));
            assert_eq!(read, value, "{text:?}");
        }
    }
}
