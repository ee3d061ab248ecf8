//! The journal: one line a change, in the change's own transaction.

use rusqlite::{Connection, Row};

use crate::change::Origin;
use crate::clock::Timestamp;
use crate::error::MetadataError;
use crate::journal::{AccountEntry, Change, Entry, JournalRow};
use crate::rows::RepositoryId;

use super::statement::{change, many, optional_digest, optional_tag, size, text, time, unreadable};
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

/// Writes a line about an account and returns its number.
pub(super) fn write_account(
    connection: &Connection,
    now: Timestamp,
    entry: &AccountEntry<'_>,
    origin: &Origin,
) -> Result<u64, MetadataError> {
    let parameters = (
        now.as_micros(),
        &origin.actor,
        entry.change.as_str(),
        NO_REPOSITORY,
        None::<&str>,
        None::<&str>,
        None::<&str>,
        entry.detail(origin).to_string(),
    );
    change(connection, INSERT, parameters)?;
    u64::try_from(connection.last_insert_rowid()).map_err(|_| unreadable("a journal line's number"))
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
        repository: match row.get(4)? {
            NO_REPOSITORY => None,
            id => Some(RepositoryId::new(id)),
        },
        tag: optional_tag(row, 5)?,
        digest: optional_digest(row, 6)?,
        previous: optional_digest(row, 7)?,
        detail: detail.map_err(|_| unreadable("a journal line's detail"))?,
    })
}

/// Stands where a line is about no repository; their numbers begin at 1.
const NO_REPOSITORY: i64 = 0;

const INSERT: &str = include_str!("../sql/sqlite/journal/insert.sql");
const LIST: &str = include_str!("../sql/sqlite/journal/list.sql");
