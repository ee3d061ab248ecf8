//! Running a statement and reading its columns as our types.
//!
//! All statements are prepared once a connection and kept; every value is a bound parameter.

use bytes::Bytes;
use roadstead_oci::{Algorithm, Digest, MediaType, RepositoryName, Tag};
use rusqlite::{Connection, Params, Row};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::rows::RepositoryId;

/// The first row of a query, if there is one.
pub(super) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T, MetadataError>,
) -> Result<Option<T>, MetadataError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    rows.next()?.map(read).transpose()
}

/// Every row of a query, which has a limit of its own.
pub(super) fn many<T>(
    connection: &Connection,
    sql: &str,
    params: impl Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, MetadataError>,
) -> Result<Vec<T>, MetadataError> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut items = Vec::new();
    while let Some(row) = rows.next()? {
        items.push(read(row)?);
    }
    Ok(items)
}

/// Runs a change and returns how many rows it touched.
pub(super) fn change(
    connection: &Connection,
    sql: &str,
    params: impl Params,
) -> Result<usize, MetadataError> {
    Ok(connection.prepare_cached(sql)?.execute(params)?)
}

/// The one row of a statement that always has one.
pub(super) fn sole<T>(found: Option<T>) -> Result<T, MetadataError> {
    found.ok_or_else(|| rusqlite::Error::QueryReturnedNoRows.into())
}

/// A size or offset as the engine keeps it.
pub(super) fn int(value: u64) -> Result<i64, MetadataError> {
    i64::try_from(value).map_err(|_| MetadataError::Misuse("a size or offset is above 2^63 - 1"))
}

/// The number of rows to ask for to see whether a page is followed by another.
pub(super) fn one_more(limit: u32) -> i64 {
    i64::from(limit) + 1
}

pub(super) fn size(row: &Row<'_>, column: usize) -> Result<u64, MetadataError> {
    u64::try_from(row.get::<_, i64>(column)?).map_err(|_| unreadable("a size"))
}

pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp, MetadataError> {
    Ok(Timestamp::from_micros(row.get(column)?))
}

pub(super) fn repository_id(row: &Row<'_>, column: usize) -> Result<RepositoryId, MetadataError> {
    Ok(RepositoryId::new(row.get(column)?))
}

pub(super) fn text<'row>(row: &'row Row<'_>, column: usize) -> Result<&'row str, MetadataError> {
    row.get_ref(column)?
        .as_str()
        .map_err(|_| unreadable("a text"))
}

pub(super) fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes, MetadataError> {
    let blob = row
        .get_ref(column)?
        .as_blob()
        .map_err(|_| unreadable("bytes"))?;
    Ok(Bytes::copy_from_slice(blob))
}

pub(super) fn optional_bytes(row: &Row<'_>, column: usize) -> Result<Option<Bytes>, MetadataError> {
    let blob = row
        .get_ref(column)?
        .as_blob_or_null()
        .map_err(|_| unreadable("bytes"))?;
    Ok(blob.map(Bytes::copy_from_slice))
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid, MetadataError> {
    optional_uuid(row, column)?.ok_or_else(|| unreadable("a key"))
}

pub(super) fn optional_uuid(row: &Row<'_>, column: usize) -> Result<Option<Uuid>, MetadataError> {
    let blob = row
        .get_ref(column)?
        .as_blob_or_null()
        .map_err(|_| unreadable("a key"))?;
    blob.map(|blob| Uuid::from_slice(blob).map_err(|_| unreadable("a key")))
        .transpose()
}

pub(super) fn digest(row: &Row<'_>, column: usize) -> Result<Digest, MetadataError> {
    Digest::parse(text(row, column)?).map_err(|_| unreadable("a digest"))
}

pub(super) fn optional_digest(
    row: &Row<'_>,
    column: usize,
) -> Result<Option<Digest>, MetadataError> {
    let text = row
        .get_ref(column)?
        .as_str_or_null()
        .map_err(|_| unreadable("a digest"))?;
    text.map(|text| Digest::parse(text).map_err(|_| unreadable("a digest")))
        .transpose()
}

pub(super) fn tag(row: &Row<'_>, column: usize) -> Result<Tag, MetadataError> {
    Tag::parse(text(row, column)?).map_err(|_| unreadable("a tag"))
}

pub(super) fn optional_tag(row: &Row<'_>, column: usize) -> Result<Option<Tag>, MetadataError> {
    let text = row
        .get_ref(column)?
        .as_str_or_null()
        .map_err(|_| unreadable("a tag"))?;
    text.map(|text| Tag::parse(text).map_err(|_| unreadable("a tag")))
        .transpose()
}

pub(super) fn repository_name(
    row: &Row<'_>,
    column: usize,
) -> Result<RepositoryName, MetadataError> {
    RepositoryName::parse(text(row, column)?).map_err(|_| unreadable("a repository's name"))
}

pub(super) fn media_type(row: &Row<'_>, column: usize) -> Result<MediaType, MetadataError> {
    MediaType::parse(text(row, column)?).map_err(|_| unreadable("a media type"))
}

pub(super) fn algorithm(row: &Row<'_>, column: usize) -> Result<Algorithm, MetadataError> {
    Algorithm::parse(text(row, column)?).ok_or_else(|| unreadable("a digest algorithm"))
}

pub(super) fn unreadable(what: &'static str) -> MetadataError {
    MetadataError::Unreadable { what }
}
