//! Shared secrets. Nothing of them is kept outside the database.

use bytes::Bytes;
use rusqlite::Connection;

use crate::error::MetadataError;
use crate::secret::{self, SecretRow, Secrets};

use super::SqliteMetadata;
use super::statement::{bytes, change, one, size};
use super::writer::Transaction;

impl Secrets for SqliteMetadata {
    async fn secret(&self, name: &str) -> Result<Option<SecretRow>, MetadataError> {
        self.read(|connection| read(connection, name))
    }

    async fn swap_secret(
        &self,
        name: &str,
        expected: Option<u64>,
        value: Option<Bytes>,
    ) -> Result<bool, MetadataError> {
        secret::check(name, value.as_ref())?;
        let name = name.to_owned();
        self.write(move |transaction| swap(transaction, &name, expected, value.as_ref()))
            .await
    }
}

fn read(connection: &Connection, name: &str) -> Result<Option<SecretRow>, MetadataError> {
    one(connection, READ, [name], |row| {
        Ok(SecretRow {
            value: bytes(row, 0)?,
            version: size(row, 1)?,
        })
    })
}

fn swap(
    transaction: &Transaction<'_>,
    name: &str,
    expected: Option<u64>,
    value: Option<&Bytes>,
) -> Result<bool, MetadataError> {
    let connection = transaction.connection;
    let found = read(connection, name)?.map(|row| row.version);
    if found != expected {
        return Ok(false);
    }
    if found.is_some() {
        change(connection, DELETE, [name])?;
    }
    if let Some(value) = value {
        change(connection, INSERT, (name, &value[..], transaction.now()))?;
    }
    Ok(true)
}

const READ: &str = include_str!("../sql/sqlite/secret/read.sql");
const DELETE: &str = include_str!("../sql/sqlite/secret/delete.sql");
const INSERT: &str = include_str!("../sql/sqlite/secret/insert.sql");
