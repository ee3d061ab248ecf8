//! Several ranges of one blob in one answer: `multipart/byteranges` (RFC 9110 §14.6).
//!
//! Parts are opened one after the other as the client reads, so that memory and open files do not
//! grow with their number. The length of the whole is known before the first byte is sent.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};
use roadstead_oci::Grant;
use roadstead_registry::{Blob, BlobContent, Error, Registry};
use uuid::Uuid;

use crate::handlers::blob::content_range;

/// The parts of an answer and the boundary between them.
pub(crate) struct Multipart {
    boundary: String,
    ranges: VecDeque<Range<u64>>,
    size: u64,
}

impl Multipart {
    /// `ranges` lie within a blob of `size` bytes.
    pub(crate) fn new(ranges: Vec<Range<u64>>, size: u64) -> Self {
        Self {
            boundary: Uuid::new_v4().simple().to_string(),
            ranges: ranges.into(),
            size,
        }
    }

    pub(crate) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Bytes of the whole body.
    pub(crate) fn length(&self) -> u64 {
        let parts = self
            .ranges
            .iter()
            .map(|range| self.head(range).len() as u64 + (range.end - range.start));
        parts.sum::<u64>() + self.tail().len() as u64
    }

    /// The body. It breaks off where the blob's bytes do.
    pub(crate) fn stream(
        self,
        registry: Arc<Registry>,
        grant: Grant,
        blob: Blob,
    ) -> impl Stream<Item = Result<Bytes, Error>> + Send + 'static {
        let sending = Sending {
            multipart: self,
            registry,
            grant,
            blob,
            step: Step::Next,
        };
        stream::try_unfold(sending, |mut sending| async move {
            Ok(sending.next().await?.map(|chunk| (chunk, sending)))
        })
    }

    fn head(&self, range: &Range<u64>) -> String {
        format!(
            "\r\n--{}\r\nContent-Type: application/octet-stream\r\nContent-Range: {}\r\n\r\n",
            self.boundary,
            content_range(range, self.size)
        )
    }

    fn tail(&self) -> String {
        format!("\r\n--{}--\r\n", self.boundary)
    }
}

struct Sending {
    multipart: Multipart,
    registry: Arc<Registry>,
    grant: Grant,
    blob: Blob,
    step: Step,
}

enum Step {
    Next,
    Open(Range<u64>),
    Content(BlobContent),
    End,
}

impl Sending {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match std::mem::replace(&mut self.step, Step::Next) {
                Step::End => {
                    self.step = Step::End;
                    return Ok(None);
                }
                Step::Next => {
                    let Some(range) = self.multipart.ranges.pop_front() else {
                        self.step = Step::End;
                        return Ok(Some(self.multipart.tail().into()));
                    };
                    let head = self.multipart.head(&range);
                    self.step = Step::Open(range);
                    return Ok(Some(head.into()));
                }
                Step::Open(range) => {
                    let content = self
                        .registry
                        .open_blob(&self.grant, &self.blob, range)
                        .await?;
                    self.step = Step::Content(content);
                }
                Step::Content(BlobContent::Inline(bytes)) => return Ok(Some(bytes)),
                Step::Content(BlobContent::Stream(mut reader)) => {
                    if let Some(chunk) = reader.next().await {
                        self.step = Step::Content(BlobContent::Stream(reader));
                        return Ok(Some(chunk?));
                    }
                }
            }
        }
    }
}
