//! As much of DER (X.690) as a public key needs.

/// The tags of what a key is made of.
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OBJECT: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;

/// Takes the next value off `input` if it has this tag.
pub(crate) fn take<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (&found, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        ..=0x7f => (usize::from(first), rest),
        // Keys are far from needing more than three bytes of length.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first - 0x80))?;
            let length = bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some(value)
}

/// An integer that is not negative, without its leading zeros.
pub(crate) fn take_unsigned<'a>(input: &mut &'a [u8]) -> Option<&'a [u8]> {
    let value = take(input, INTEGER)?;
    match value.first()? {
        0x80.. => None,
        _ => Some(without_leading_zeros(value)),
    }
}

/// Writes one value.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let length = without_leading_zeros(&length);
    if content.len() >= 0x80 {
        // A length has at most eight bytes.
        out.push(0x80 | u8::try_from(length.len()).unwrap_or(8));
    }
    if content.is_empty() {
        out.push(0);
    }
    out.extend_from_slice(length);
    out.extend_from_slice(content);
    out
}

/// Writes an integer that is not negative.
pub(crate) fn unsigned(magnitude: &[u8]) -> Vec<u8> {
    let mut content = without_leading_zeros(magnitude).to_vec();
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    value(INTEGER, &content)
}

pub(crate) fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.get(zeros..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            content in prop::collection::vec(any::<u8>(), 0..70_000),
            after in prop::collection::vec(any::<u8>(), 0..3),
        ) {
            let written = [value(SEQUENCE, &content), after.clone()].concat();
            let mut rest = written.as_slice();
            prop_assert_eq!(take(&mut rest, INTEGER), None);
            prop_assert_eq!(take(&mut rest, SEQUENCE), Some(content.as_slice()));
            prop_assert_eq!(rest, after);
            let number = unsigned(&content);
            let read = take_unsigned(&mut number.as_slice());
            prop_assert_eq!(read, Some(without_leading_zeros(&content)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let mut rest = bytes.as_slice();
            if let Some(value) = bytes.first().and_then(|tag| take(&mut rest, *tag)) {
                prop_assert!(value.len() + rest.len() + 2 <= bytes.len());
            }
        }
    }
}
