//! The query of a request: few parameters, decoded once, strictly.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Parameters of one query at most; `?tag=` may stand in it many times.
const PARAMETERS_MAX: usize = 128;

/// The parameters of a query in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(Vec<(String, String)>);

/// Why a query cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// More parameters than any endpoint has a use for.
    #[error("the query has more than {PARAMETERS_MAX} parameters")]
    TooMany,
    /// An escape that is none, or bytes that are no UTF-8.
    #[error("the query is not valid percent-encoded UTF-8")]
    Malformed,
    /// A parameter that may stand once stands there with several values.
    #[error("the query parameter {0} is given more than once")]
    Repeated(&'static str),
}

impl Query {
    /// # Errors
    /// [`QueryError::TooMany`], [`QueryError::Malformed`].
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, QueryError> {
        let mut parameters = Vec::new();
        for pair in query
            .unwrap_or_default()
            .split('&')
            .filter(|pair| !pair.is_empty())
        {
            if parameters.len() == PARAMETERS_MAX {
                return Err(QueryError::TooMany);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let decoded = |text| {
                decode(text)
                    .map(Cow::into_owned)
                    .ok_or(QueryError::Malformed)
            };
            parameters.push((decoded(name)?, decoded(value)?));
        }
        Ok(Self(parameters))
    }

    /// The value of a parameter that may stand once.
    ///
    /// # Errors
    /// [`QueryError::Repeated`].
    pub(crate) fn one(&self, name: &'static str) -> Result<Option<&str>, QueryError> {
        let mut values = self.all(name);
        let first = values.next();
        if values.any(|value| Some(value) != first) {
            return Err(QueryError::Repeated(name));
        }
        Ok(first)
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(n, _)| n == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Decodes percent escapes, each of which must be one. A plus sign is itself: it stands in media
/// types, and no parameter of ours has a space.
pub(crate) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let bytes = text.as_bytes();
    let is_escape = |at: usize| {
        bytes
            .get(at + 1..at + 3)
            .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
    };
    let whole = bytes
        .iter()
        .enumerate()
        .all(|(at, byte)| *byte != b'%' || is_escape(at));
    if !whole {
        return None;
    }
    percent_decode_str(text).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_query_is_decoded_once_and_strictly() {
        let query = Query::parse(Some("a=1&b=%25&c&a=1&t=x%2By&t=x+y")).unwrap();
        assert_eq!(query.one("a"), Ok(Some("1")));
        assert_eq!(query.one("b"), Ok(Some("%")));
        assert_eq!(query.one("c"), Ok(Some("")));
        assert_eq!(query.one("d"), Ok(None));
        assert_eq!(query.all("t").collect::<Vec<_>>(), ["x+y", "x+y"]);
        assert_eq!(
            Query::parse(Some("a=1&a=2")).unwrap().one("a"),
            Err(QueryError::Repeated("a"))
        );
        for bad in ["a=%", "a=%4", "a=%zz", "a=%ff"] {
            assert_eq!(Query::parse(Some(bad)), Err(QueryError::Malformed), "{bad}");
        }
        assert_eq!(
            Query::parse(Some(&"a=1&".repeat(20_000))),
            Err(QueryError::TooMany)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Query::parse(Some(&text));
        }
    }
}
