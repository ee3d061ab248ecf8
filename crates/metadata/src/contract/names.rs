//! Names that come from outside, whatever they are.

use proptest::prelude::*;

use crate::{Change, UploadId};

#[test]
fn an_upload_id_is_read_only_as_it_is_written() {
    let id = UploadId::parse("f81d4fae-7dec-41d0-a765-00a0c91e6bf6").unwrap();
    assert_eq!(id.as_uuid().get_version_num(), 4);
    assert_eq!(UploadId::random().as_uuid().get_version_num(), 4);
    let text = id.to_string();
    assert_eq!(UploadId::parse(&text), Some(id));
    let simple = id.as_uuid().simple().to_string();
    let others = [
        String::new(),
        simple,
        format!("{{{text}}}"),
        format!("urn:uuid:{text}"),
        format!("{text} "),
        text.replace('-', "_"),
        text.to_uppercase(),
        text[1..].to_owned(),
    ];
    for other in others {
        assert_eq!(UploadId::parse(&other), None, "{other:?}");
    }
}

#[test]
fn a_change_is_read_as_it_is_written() {
    for change in Change::ALL {
        assert_eq!(Change::parse(change.as_str()), Some(change));
    }
    assert_eq!(Change::parse("tag.explode"), None);
}

proptest! {
    #[test]
    fn an_upload_id_of_any_text_is_none_or_itself(text in "\\PC{0,48}") {
        if let Some(id) = UploadId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn an_upload_id_of_near_misses_is_none_or_itself(text in "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-f]{12}") {
        if let Some(id) = UploadId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn a_change_of_any_text_is_none_or_itself(text in "[a-z.]{0,20}") {
        if let Some(change) = Change::parse(&text) {
            prop_assert_eq!(change.as_str(), text);
        }
    }
}
