//! Keys of objects to remove.

use std::time::Duration;

use rusqlite::Connection;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::error::MetadataError;

use super::statement::{change, many, one, uuid};
use super::writer::Transaction;

/// Whether a reader may have been given a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Its bytes were never visible: they go at once.
    Never,
    /// They were: collection removes them once no reader can have them open.
    Perhaps,
}

/// Takes a key in, in the transaction that took it from its table (I5).
pub(super) fn insert(
    transaction: &Transaction<'_>,
    key: Uuid,
    seen: Seen,
) -> Result<(), MetadataError> {
    let parameters = (
        key.as_bytes().as_slice(),
        transaction.now(),
        seen == Seen::Perhaps,
    );
    change(transaction.connection, INSERT, parameters).map(drop)
}

pub(super) fn ready(
    connection: &Connection,
    now: Timestamp,
    limit: u32,
) -> Result<Vec<Uuid>, MetadataError> {
    let mut keys = many(connection, READY, (now.as_micros(), limit), |row| {
        uuid(row, 0)
    })?;
    let room = limit.saturating_sub(u32::try_from(keys.len()).unwrap_or(u32::MAX));
    if room > 0 {
        // Nothing is put off for so long: a clock that was ahead wrote it.
        let ahead = now.plus(WAIT_MAX).as_micros();
        let more = many(connection, AHEAD, (ahead, room), |row| uuid(row, 0))?;
        keys.extend(more);
    }
    Ok(keys)
}

pub(super) fn forget(transaction: &Transaction<'_>, key: Uuid) -> Result<(), MetadataError> {
    change(transaction.connection, DELETE, [key.as_bytes().as_slice()]).map(drop)
}

pub(super) fn put_off(transaction: &Transaction<'_>, key: Uuid) -> Result<(), MetadataError> {
    let key = key.as_bytes().as_slice();
    let tries = one(transaction.connection, TRIES, [key], |row| {
        Ok(row.get::<_, u32>(0)?)
    })?;
    let Some(tries) = tries else {
        return Ok(());
    };
    let wait = Duration::from_secs(1 << tries.min(TRIES_COUNTED));
    let due = transaction.now.plus(wait).as_micros();
    change(transaction.connection, PUT_OFF, (key, due)).map(drop)
}

/// Failures after which the wait for the next try does not grow: 2^12 s is over an hour.
const TRIES_COUNTED: u32 = 12;
/// More than any wait, and than clocks are set back in daily life.
const WAIT_MAX: Duration = Duration::from_secs(4 << TRIES_COUNTED);

const INSERT: &str = include_str!("../sql/sqlite/trash/insert.sql");
const READY: &str = include_str!("../sql/sqlite/trash/ready.sql");
const AHEAD: &str = include_str!("../sql/sqlite/trash/ahead.sql");
const DELETE: &str = include_str!("../sql/sqlite/trash/delete.sql");
const TRIES: &str = include_str!("../sql/sqlite/trash/tries.sql");
const PUT_OFF: &str = include_str!("../sql/sqlite/trash/put_off.sql");
