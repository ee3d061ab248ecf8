//! `backup.json`: what a backup is, written when all of it is on the disk.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use roadstead_oci::{Algorithm, Digest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::hashing::Hasher;

use super::{BackupError, Contents, failed, flush_directory};

/// The record's name in a backup.
pub(super) const RECORD: &str = "backup.json";
/// Its name until it is flushed.
pub(super) const NEW_RECORD: &str = "backup.json.new";
/// The format that this release writes and reads.
const FORMAT: u64 = 1;
/// A record has some hundred bytes.
const MAX_BYTES: u64 = 64 << 10;

/// What `backup.json` says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    format: u64,
    /// The release that wrote it.
    release: String,
    /// When the backup began, as HTTP writes times: what came later is not in it.
    begun: String,
    /// Which registry it is of; early ones did not say.
    #[serde(default, with = "id")]
    pub(super) registry: Option<Uuid>,
    pub(super) database: DatabaseFile,
    objects: Objects,
}

/// The copy of the database.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DatabaseFile {
    pub(super) file: String,
    bytes: u64,
    digest: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Objects {
    count: u64,
    bytes: u64,
    lost: u64,
}

impl Record {
    pub(super) fn new(
        begun: SystemTime,
        registry: Option<Uuid>,
        database: DatabaseFile,
        contents: &Contents,
    ) -> Self {
        Self {
            format: FORMAT,
            release: env!("CARGO_PKG_VERSION").to_owned(),
            begun: httpdate::fmt_http_date(begun),
            registry,
            database,
            objects: Objects {
                count: contents.objects,
                bytes: contents.bytes,
                lost: contents.lost.len() as u64,
            },
        }
    }

    /// Writes it: after a crash it is there whole, or the one before it is.
    pub(super) fn write(&self, directory: &Path) -> Result<(), BackupError> {
        let (new, path) = (directory.join(NEW_RECORD), directory.join(RECORD));
        let mut text =
            serde_json::to_vec_pretty(self).map_err(|error| failed("write", &new)(error.into()))?;
        text.push(b'\n');
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&new)
            .and_then(|mut file| {
                file.write_all(&text)?;
                file.sync_all()
            });
        written.map_err(failed("write", &new))?;
        fs::rename(&new, &path).map_err(failed("write", &path))?;
        flush_directory(directory)
    }

    pub(super) fn read(directory: &Path) -> Result<Self, BackupError> {
        let path = directory.join(RECORD);
        let mut text = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::NoRecord {
                    directory: directory.to_owned(),
                });
            }
            read => read.map_err(failed("read", &path))?,
        };
        Self::parse(&text).map_err(|reason| BackupError::Record { path, reason })
    }

    fn parse(text: &[u8]) -> Result<Self, String> {
        // The format first: that of a newer release may have other members.
        let document: serde_json::Value =
            serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match document.get("format").and_then(serde_json::Value::as_u64) {
            Some(FORMAT) => {}
            Some(newer) => {
                return Err(format!(
                    "it has format {newer}, this release understands {FORMAT}: use the release \
                     that wrote it, or a newer one"
                ));
            }
            None => return Err("it does not say its format".to_owned()),
        }
        let record: Self = serde_json::from_value(document).map_err(|error| error.to_string())?;
        if !is_database(&record.database.file) {
            return Err("it names a database that no backup has".to_owned());
        }
        Ok(record)
    }

    /// When the backup began.
    pub(super) fn begun(&self) -> &str {
        &self.begun
    }
}

impl DatabaseFile {
    /// Of a file that is flushed.
    pub(super) fn of(file: String, path: &Path) -> Result<Self, BackupError> {
        let (bytes, digest) = measure(path)?;
        Ok(Self {
            file,
            bytes,
            digest: digest.to_string(),
        })
    }

    /// Whether the file at `path` is the one that this speaks of.
    pub(super) fn check(&self, path: &Path) -> Result<(), BackupError> {
        let damaged = |reason| BackupError::Database {
            path: path.to_owned(),
            reason,
        };
        if !path.exists() {
            return Err(damaged("it is not there"));
        }
        let (bytes, digest) = measure(path)?;
        if bytes != self.bytes {
            return Err(damaged("it has another length than backup.json says"));
        }
        if digest.to_string() != self.digest {
            return Err(damaged("it has another digest than backup.json says"));
        }
        Ok(())
    }
}

/// A file's length and sha256 digest.
fn measure(path: &Path) -> Result<(u64, Digest), BackupError> {
    let mut file = File::open(path).map_err(failed("open", path))?;
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut buffer = vec![0; 256 << 10];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((bytes, hasher.digest())),
            Ok(read) => {
                hasher.update(&buffer[..read]);
                bytes += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed("read", path)(error)),
        }
    }
}

/// An id as text.
mod id {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &Option<Uuid>, to: S) -> Result<S::Ok, S::Error> {
        id.map(|id| id.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Uuid>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let id = text.map(|text| Uuid::try_parse(&text));
        id.transpose().map_err(D::Error::custom)
    }
}

/// A fresh name for a copy of the database, so that the one before it stays until the end.
pub(super) fn database_name() -> String {
    format!("{PREFIX}{}{SUFFIX}", Uuid::new_v4())
}

/// Whether a copy that was cut off may have left this.
pub(super) fn is_left_of_database(name: &str) -> bool {
    is_database(name.strip_suffix("-journal").unwrap_or(name))
}

/// Whether this is such a name, and so no path.
pub(super) fn is_database(name: &str) -> bool {
    let id = name
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.strip_suffix(SUFFIX));
    id.and_then(|id| Uuid::try_parse(id).ok())
        .is_some_and(|id| name == format!("{PREFIX}{id}{SUFFIX}"))
}

const PREFIX: &str = "database-";
const SUFFIX: &str = ".db";

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Uuid = Uuid::from_u128(1);

    fn record(file: &str) -> Record {
        let database = DatabaseFile {
            file: file.to_owned(),
            bytes: 1,
            digest: "sha256:a".to_owned(),
        };
        Record::new(
            SystemTime::UNIX_EPOCH,
            Some(ID),
            database,
            &Contents::default(),
        )
    }

    #[test]
    fn what_is_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let name = database_name();
        record(&name).write(directory.path()).unwrap();
        let read = Record::read(directory.path()).unwrap();
        assert_eq!(read.database.file, name);
        assert_eq!(read.registry, Some(ID));
        assert_eq!(read.begun(), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert!(!directory.path().join(NEW_RECORD).exists());
    }

    #[test]
    fn a_record_of_before_registries_had_ids_is_read() {
        let text = serde_json::to_string(&record(&database_name())).unwrap();
        let member = format!("\"registry\":\"{ID}\",");
        assert!(text.contains(&member), "{text}");
        let read = Record::parse(text.replace(&member, "").as_bytes()).unwrap();
        assert_eq!(read.registry, None);
        let odd = text.replace(&ID.to_string(), "odd");
        assert!(Record::parse(odd.as_bytes()).is_err());
    }

    #[test]
    fn a_record_that_is_not_ours_is_refused() {
        for file in ["../roadstead.db", "/etc/passwd", "database-x.db", ""] {
            let text = serde_json::to_vec(&record(file)).unwrap();
            assert!(Record::parse(&text).is_err(), "{file}");
        }
        for (text, part) in [
            (&b""[..], "EOF"),
            (b"{}", "format"),
            (b"{\"format\": 2}", "newer"),
            (b"{\"format\": 1}", "missing"),
        ] {
            let reason = Record::parse(text).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
