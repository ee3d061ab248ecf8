//! Pushes that may fail, one answer after the other.

use crate::harness::{Answer, Image, Registry, noise, sha256};

/// A debug server, beside what is given.
pub(crate) fn debugged(sections: serde_json::Value) -> serde_json::Value {
    let mut all = serde_json::json!({ "http": { "debug": { "addr": "127.0.0.1:0" } } });
    crate::harness::merge(&mut all, &sections);
    all
}

/// Opens a session; where that is refused, the refusal.
pub(crate) fn session(registry: &Registry) -> Result<String, Answer> {
    let answer = registry.post("/v2/app/blobs/uploads/").send_any();
    match answer.status {
        202 => Ok(answer.need("location").to_owned()),
        _ => Err(answer),
    }
}

/// One blob in two chunks and a closing request: the last answer.
pub(crate) fn blob(registry: &Registry, bytes: &[u8]) -> Answer {
    let session = match session(registry) {
        Ok(session) => session,
        Err(refusal) => return refusal,
    };
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    for part in [first, rest] {
        let answer = registry.patch(&session).body(part).send_any();
        if answer.status != 202 {
            return answer;
        }
    }
    let target = format!("{session}?digest={}", sha256(bytes));
    registry.put(target).send_any()
}

/// The state that a test begins from: an image that must stay readable throughout.
pub(crate) fn kept(registry: &Registry) -> Image {
    let image = Image::new("kept");
    registry.push_image("app", "kept", &image);
    registry.push_blob("app", &noise("kept blob", 100_000));
    image
}

/// All that was acknowledged is there.
pub(crate) fn check_kept(registry: &Registry, image: &Image) {
    registry.pull_image("app", "kept", image);
    let bytes = noise("kept blob", 100_000);
    assert_eq!(registry.pull_blob("app", &sha256(&bytes)), bytes);
}
