//! Conditional requests (RFC 9110 §13): a pure function from headers and validators to a verdict.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderName, HeaderValue};

/// What an answer would be identified by.
#[derive(Debug, Clone)]
pub(crate) struct Validators {
    /// The entity tag with its quotes.
    pub(crate) etag: HeaderValue,
    /// The same without quotes.
    pub(crate) digest: HeaderValue,
    /// To the second.
    pub(crate) last_modified: Option<SystemTime>,
}

/// Of a digest with quotes: `sha512:` and 128 digits.
const ETAG_BYTES_MAX: usize = 137;

/// What the conditions of a request come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The method is carried out.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    Failed,
}

impl Validators {
    /// For content named by its digest.
    pub(crate) fn new(digest: impl std::fmt::Display, changed: Option<SystemTime>) -> Self {
        // One allocation for both, that does not grow. Writing to a String cannot fail.
        let mut quoted = String::with_capacity(ETAG_BYTES_MAX);
        let _ = write!(quoted, "\"{digest}\"");
        let quoted = Bytes::from(quoted);
        let bare = quoted.slice(1..quoted.len() - 1);
        let value = |text| {
            HeaderValue::from_maybe_shared(text).unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        Self {
            etag: value(quoted),
            digest: value(bare),
            last_modified: changed.map(to_second),
        }
    }

    /// Evaluates in the order of RFC 9110 §13.2.2, for GET and HEAD.
    pub(crate) fn verdict(&self, headers: &HeaderMap) -> Verdict {
        if headers.contains_key(IF_MATCH) {
            if !self.matches(headers, IF_MATCH, Comparison::Strong) {
                return Verdict::Failed;
            }
        } else if let (Some(date), Some(changed)) =
            (date(headers, IF_UNMODIFIED_SINCE), self.last_modified)
            && changed > date
        {
            return Verdict::Failed;
        }
        if headers.contains_key(IF_NONE_MATCH) {
            if self.matches(headers, IF_NONE_MATCH, Comparison::Weak) {
                return Verdict::NotModified;
            }
        } else if let (Some(date), Some(changed)) =
            (date(headers, IF_MODIFIED_SINCE), self.last_modified)
            && changed <= date
        {
            return Verdict::NotModified;
        }
        Verdict::Proceed
    }

    /// Whether a Range header counts (RFC 9110 §13.1.5).
    pub(crate) fn range_applies(&self, headers: &HeaderMap) -> bool {
        let Some(condition) = headers.get(IF_RANGE) else {
            return true;
        };
        match condition.to_str().map(str::trim) {
            Ok(tag) if tag.starts_with('"') => tag == self.etag,
            Ok(date) => {
                httpdate::parse_http_date(date).is_ok_and(|date| Some(date) == self.last_modified)
            }
            Err(_) => false,
        }
    }

    fn matches(&self, headers: &HeaderMap, name: HeaderName, comparison: Comparison) -> bool {
        headers.get_all(name).iter().any(|line| {
            let Ok(line) = line.to_str() else {
                return false;
            };
            line.split(',')
                .map(str::trim)
                .any(|tag| match (tag, comparison) {
                    ("*", _) => true,
                    (tag, Comparison::Strong) => tag == self.etag,
                    (tag, Comparison::Weak) => tag.strip_prefix("W/").unwrap_or(tag) == self.etag,
                })
        })
    }
}

#[derive(Clone, Copy)]
enum Comparison {
    Strong,
    Weak,
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

/// HTTP dates have no fractions: what is compared with them must have none either.
fn to_second(time: SystemTime) -> SystemTime {
    let since = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEW: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn validators() -> Validators {
        let changed = httpdate::parse_http_date(SAME).unwrap() + Duration::from_millis(7);
        Validators::new("sha256:a", Some(changed))
    }

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn conditions_come_to_the_verdict_of_the_rfc() {
        use Verdict::{Failed, NotModified, Proceed};
        for (lines, expected) in [
            (vec![], Proceed),
            (vec![(IF_NONE_MATCH, "\"sha256:a\"")], NotModified),
            (vec![(IF_NONE_MATCH, "W/\"sha256:a\"")], NotModified),
            (vec![(IF_NONE_MATCH, "\"x\", \"sha256:a\"")], NotModified),
            (vec![(IF_NONE_MATCH, "*")], NotModified),
            (vec![(IF_NONE_MATCH, "sha256:a")], Proceed),
            (
                vec![(IF_NONE_MATCH, "\"x\""), (IF_MODIFIED_SINCE, NEW)],
                Proceed,
            ),
            (vec![(IF_MODIFIED_SINCE, SAME)], NotModified),
            (vec![(IF_MODIFIED_SINCE, OLD)], Proceed),
            (vec![(IF_MODIFIED_SINCE, "rubbish")], Proceed),
            (vec![(IF_MATCH, "\"sha256:a\"")], Proceed),
            (vec![(IF_MATCH, "W/\"sha256:a\"")], Failed),
            (vec![(IF_MATCH, "\"x\"")], Failed),
            (vec![(IF_MATCH, "*")], Proceed),
            (vec![(IF_UNMODIFIED_SINCE, OLD)], Failed),
            (vec![(IF_UNMODIFIED_SINCE, SAME)], Proceed),
        ] {
            assert_eq!(
                validators().verdict(&headers(&lines)),
                expected,
                "{lines:?}"
            );
        }
    }

    #[test]
    fn a_range_applies_only_to_the_content_that_if_range_names() {
        for (value, expected) in [
            ("\"sha256:a\"", true),
            ("\"x\"", false),
            ("W/\"sha256:a\"", false),
            (SAME, true),
            (OLD, false),
            (NEW, false),
        ] {
            assert_eq!(
                validators().range_applies(&headers(&[(IF_RANGE, value)])),
                expected
            );
        }
        assert!(validators().range_applies(&HeaderMap::new()));
    }
}
