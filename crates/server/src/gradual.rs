//! The content of a blob for HTTP/2, where a client may ask for many and take nothing of them.
//!
//! hyper reads the first chunk of an answer before it knows whether the client's window has room for
//! it. So the first is small, and no file is held open while it waits; whoever takes it gets the
//! rest in chunks as large as everybody's.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use roadstead_oci::Grant;
use roadstead_registry::{Blob, BlobContent, Error, ObjectReader, Registry};

/// Bytes of the first chunk: those of one HTTP/2 frame.
const FIRST_BYTES: u64 = 16 << 10;

/// Reads the first chunk of a range of the blob, which lies within it, and prepares for the rest.
///
/// # Errors
/// [`Error::BlobUnknown`] where the bytes are gone.
pub(crate) async fn open(
    registry: Arc<Registry>,
    grant: Grant,
    blob: Blob,
    range: Range<u64>,
) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + 'static, Error> {
    let mut gradual = Gradual {
        registry,
        grant,
        blob,
        left: range,
        chunks: 0,
        reader: None,
    };
    let first = gradual.next().await?;
    let rest = stream::try_unfold(gradual, |mut gradual| async move {
        Ok(gradual.next().await?.map(|chunk| (chunk, gradual)))
    });
    Ok(stream::iter(first.map(Ok)).chain(rest))
}

struct Gradual {
    registry: Arc<Registry>,
    grant: Grant,
    blob: Blob,
    left: Range<u64>,
    chunks: u64,
    reader: Option<ObjectReader>,
}

impl Gradual {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        if self.left.is_empty() {
            return Ok(None);
        }
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => match self.open().await? {
                BlobContent::Stream(reader) => reader,
                BlobContent::Inline(bytes) => return Ok(Some(self.took(bytes))),
            },
        };
        let Some(chunk) = reader.next().await else {
            return Ok(None);
        };
        let chunk = self.took(chunk?);
        if self.chunks > 1 {
            self.reader = Some(reader);
        }
        Ok(Some(chunk))
    }

    async fn open(&self) -> Result<BlobContent, Error> {
        let mut range = self.left.clone();
        if self.chunks == 0 {
            range.end = range.end.min(range.start.saturating_add(FIRST_BYTES));
        }
        self.registry
            .open_blob(&self.grant, &self.blob, range)
            .await
    }

    fn took(&mut self, chunk: Bytes) -> Bytes {
        self.left.start += chunk.len() as u64;
        self.chunks += 1;
        chunk
    }
}
