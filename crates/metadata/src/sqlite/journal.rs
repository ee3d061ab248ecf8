//! The journal: one line a change, in the change's own transaction.

use rusqlite::{Connection, Row};

use crate::change::Origin;
use crate::error::MetadataError;
use crate::journal::{Change, Entry, JournalRow};

use super::statement::{
    change, many, optional_digest, optional_tag, repository_id, size, text, time, unreadable,
};
use super::writer::Transaction;

pub(super) fn write(
    transaction: &Transaction<'_>,
    entry: &Entry<'_>,
    origin: &Origin,
) -> Result<(), MetadataError> {
    let digest = entry.digest.map(|digest| digest.to_string());
    let previous = entry.previous.map(|digest| digest.to_string());
    let parameters = (
        transaction.now(),
        &origin.actor,
        entry.change.as_str(),
        entry.repository.as_i64(),
        entry.tag.map(|tag| tag.as_str()),
        digest,
        previous,
        entry.detail(origin).to_string(),
    );
    change(transaction.connection, INSERT, parameters).map(drop)
}

pub(super) fn list(
    connection: &Connection,
    after_seq: u64,
    limit: u32,
) -> Result<Vec<JournalRow>, MetadataError> {
    let after_seq = i64::try_from(after_seq).unwrap_or(i64::MAX);
    many(connection, LIST, (after_seq, limit), line)
}

fn line(row: &Row<'_>) -> Result<JournalRow, MetadataError> {
    let detail = serde_json::from_str(text(row, 8)?);
    Ok(JournalRow {
        seq: size(row, 0)?,
        at: time(row, 1)?,
        actor: row.get(2)?,
        change: Change::parse(text(row, 3)?).ok_or_else(|| unreadable("a kind of change"))?,
        repository: repository_id(row, 4)?,
        tag: optional_tag(row, 5)?,
        digest: optional_digest(row, 6)?,
        previous: optional_digest(row, 7)?,
        detail: detail.map_err(|_| unreadable("a journal line's detail"))?,
    })
}

const INSERT: &str = include_str!("../sql/sqlite/journal/insert.sql");
const LIST: &str = include_str!("../sql/sqlite/journal/list.sql");
