//! A challenge as a client reads it (RFC 9110 §11.2, RFC 6750 §3).

use crate::http_value::{is_token, parameter_value};

/// Where tokens are to be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bearer {
    pub(super) realm: String,
    pub(super) service: Option<String>,
}

/// Bytes of a challenge at most.
const MAX_BYTES: usize = 8 << 10;

/// Reads the value of a `WWW-Authenticate` header that is one Bearer challenge. None: it is another
/// one, or malformed. Of parameters with the same name the first counts.
pub(super) fn bearer(value: &str) -> Option<Bearer> {
    if value.len() > MAX_BYTES {
        return None;
    }
    let (scheme, mut rest) = value.split_at_checked(7)?;
    if !scheme.eq_ignore_ascii_case("bearer ") {
        return None;
    }
    let (mut realm, mut service) = (None, None);
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            break;
        }
        let (name, after) = rest.split_once('=')?;
        let (text, after) = parameter_value(after.trim_start_matches([' ', '\t']))?;
        rest = after.trim_start_matches([' ', '\t']);
        if !rest.is_empty() && !rest.starts_with(',') {
            return None;
        }
        let name = name.trim_end_matches([' ', '\t']);
        let place = match name.to_ascii_lowercase().as_str() {
            "realm" => &mut realm,
            "service" => &mut service,
            _ if is_token(name) => continue,
            _ => return None,
        };
        place.get_or_insert(text);
    }
    realm.map(|realm| Bearer { realm, service })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bearer_challenge_says_where_tokens_are() {
        let read = |realm: &str, service: Option<&str>| {
            Some(Bearer {
                realm: realm.to_owned(),
                service: service.map(str::to_owned),
            })
        };
        for (value, expected) in [
            (
                r#"Bearer realm="https://a/t",service="a""#,
                read("https://a/t", Some("a")),
            ),
            (
                r#"bearer service=a , realm = "x\"\\y" ,scope="r:b:pull,push""#,
                read("x\"\\y", Some("a")),
            ),
            (r#"Bearer realm="a",realm="b""#, read("a", None)),
            (
                r#"Bearer ,,realm="a,service=b",,"#,
                read("a,service=b", None),
            ),
            (r#"Bearer realm="a" service="b""#, None),
            (r#"Bearer realm="a"#, None),
            (r#"Bearer realm="a\"#, None),
            (r#"Bearer service="a""#, None),
            (r#"Basic realm="a""#, None),
            ("Bearer", None),
            ("Bearer ", None),
            ("Bearer realm", None),
            ("Bearer realm=", None),
            (r#"Bearer a b="c",realm="d""#, None),
            (&format!("Bearer realm=\"{}\"", "a".repeat(MAX_BYTES)), None),
        ] {
            assert_eq!(bearer(value), expected, "{value:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,80}", more in "[a-z=\",\\\\ ]{0,60}") {
            let _ = bearer(&text);
            let _ = bearer(&format!("Bearer {more}"));
        }

        #[test]
        fn what_a_registry_writes_is_read(realm in "[ -~]{1,40}", service in "[ -~]{1,40}") {
            use crate::challenge::{Challenge, Origin, Realm};
            let written = Challenge::Bearer { realm: Realm::Url(realm.clone()), service: service.clone() };
            let written = written.value(&[], None, Origin::default());
            prop_assert_eq!(bearer(&written), Some(Bearer { realm, service: Some(service) }));
        }
    }
}
