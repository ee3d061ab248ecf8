//! Names of entries (RFC 4514), as far as it takes to tell what is below what.

/// One part of a name: attributes in small letters with their values, unescaped.
pub(crate) type Part = Vec<(String, String)>;

/// Reads a name, its first part first. `None`: it is none, or has a value in hexadecimal digits,
/// which no group is called by.
pub(crate) fn parse(text: &str) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut part = Part::new();
    let mut rest = text;
    loop {
        let (attribute, after) = rest.split_once('=')?;
        let attribute = attribute.trim();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ';');
        if attribute.is_empty() || !attribute.chars().all(plain) {
            return None;
        }
        let (value, end, after) = value(after)?;
        part.push((attribute.to_ascii_lowercase(), value));
        match end {
            Some('+') => {}
            Some(_) => parts.push(std::mem::take(&mut part)),
            None => {
                parts.push(part);
                return Some(parts);
            }
        }
        rest = after;
    }
}

/// A value, the character that ends it (`None`: the name ends with it), and what follows.
fn value(text: &str) -> Option<(String, Option<char>, &str)> {
    let text = text.trim_start_matches(' ');
    if text.starts_with('#') {
        return None;
    }
    let mut bytes = Vec::new();
    // Spaces at the end are not part of it, unless the last is escaped.
    let mut kept = 0;
    let mut characters = text.char_indices();
    let mut end = (None, "");
    while let Some((at, c)) = characters.next() {
        match c {
            ',' | ';' | '+' => {
                end = (Some(c), &text[at + 1..]);
                break;
            }
            '\\' => {
                let (_, first) = characters.next()?;
                if let Some(high) = first.to_digit(16) {
                    let (_, second) = characters.next()?;
                    let byte = high * 16 + second.to_digit(16)?;
                    bytes.push(u8::try_from(byte).ok()?);
                } else if first.is_ascii() {
                    bytes.push(first as u8);
                } else {
                    return None;
                }
                kept = bytes.len();
            }
            '"' | '<' | '>' | '\0' => return None,
            c => {
                bytes.extend(c.encode_utf8(&mut [0; 4]).bytes());
                if c != ' ' {
                    kept = bytes.len();
                }
            }
        }
    }
    bytes.truncate(kept);
    Some((String::from_utf8(bytes).ok()?, end.0, end.1))
}

/// What an entry below `base` is called by its first part alone: the value of its only attribute.
/// `None`: it is not below, or has several.
pub(super) fn name_below(base: &str, entry: &str) -> Option<String> {
    let (base, entry) = (parse(base)?, parse(entry)?);
    let split = entry
        .len()
        .checked_sub(base.len())
        .filter(|above| *above > 0)?;
    let same = |one: &Part, other: &Part| {
        let folded = |part: &Part| {
            let mut part: Vec<_> = part
                .iter()
                .map(|(attribute, value)| (attribute.clone(), value.to_lowercase()))
                .collect();
            part.sort_unstable();
            part
        };
        folded(one) == folded(other)
    };
    if !entry[split..]
        .iter()
        .zip(&base)
        .all(|(one, other)| same(one, other))
    {
        return None;
    }
    match &entry[0][..] {
        [(_, value)] => Some(value.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entry_is_called_by_its_first_part_below_the_base() {
        const BASE: &str = "ou=groups,dc=example,dc=org";
        for (entry, expected) in [
            ("cn=devs,ou=groups,dc=example,dc=org", Some("devs")),
            ("CN=Devs, OU=Groups , DC=Example,dc=ORG", Some("Devs")),
            ("cn=a,cn=b,ou=groups,dc=example,dc=org", Some("a")),
            (r"cn=a\,ou\3dx,ou=groups,dc=example,dc=org", Some("a,ou=x")),
            (r"cn=\c3\a9 \ ,ou=groups,dc=example,dc=org", Some("é  ")),
            ("ou=groups,dc=example,dc=org", None),
            ("dc=org", None),
            ("cn=devs,ou=people,dc=example,dc=org", None),
            (r"cn=devs\,ou=groups,dc=example,dc=org", None),
            (r"cn=x,cn=devs\,ou=groups,dc=example,dc=org", None),
            ("cn=a+uid=b,ou=groups,dc=example,dc=org", None),
            ("cn=#0403,ou=groups,dc=example,dc=org", None),
            ("cn=\"a\",ou=groups,dc=example,dc=org", None),
            ("devs", None),
            ("", None),
        ] {
            assert_eq!(name_below(BASE, entry).as_deref(), expected, "{entry}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r"([a-z]{0,2}[=,+\\# ;\x00é0-9a-f]{0,3}){0,8}") {
            let _parts = parse(&text);
        }

        #[test]
        fn what_is_escaped_is_read_as_it_was(value in "[ -~é]{1,12}") {
            let escaped = ldap3::dn_escape(&*value).into_owned();
            let read = parse(&format!("cn={escaped},dc=org"));
            let part = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
            prop_assert_eq!(read, Some(vec![part("cn", &value), part("dc", "org")]));
        }
    }
}
