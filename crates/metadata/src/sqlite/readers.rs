//! Connections that only read: one for each thread that serves, a few for long lists.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use thread_local::ThreadLocal;
use tokio::sync::Semaphore;

use crate::error::MetadataError;

use super::connection;

pub(super) struct Readers {
    path: PathBuf,
    here: ThreadLocal<Connection>,
    idle: Mutex<Vec<Connection>>,
    places: Arc<Semaphore>,
}

/// Long lists at a time; more wait.
const LISTS_MAX: usize = 4;

impl Readers {
    pub(super) fn of(path: PathBuf) -> Readers {
        Readers {
            path,
            here: ThreadLocal::new(),
            idle: Mutex::new(Vec::new()),
            places: Arc::new(Semaphore::new(LISTS_MAX)),
        }
    }

    /// Reads on this thread, which is one of those that serve.
    pub(super) fn here<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, MetadataError>,
    ) -> Result<T, MetadataError> {
        read(self.here.get_or_try(|| connection::reader(&self.path))?)
    }

    /// Runs a long read on a thread that may block.
    pub(super) async fn elsewhere<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, MetadataError> + Send + 'static,
    ) -> Result<T, MetadataError> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let place = place.map_err(|_| MetadataError::Stopped)?;
        // The place goes with the thread: a reader who left does not make room for another one.
        let placed = move || {
            let _place = place;
            read()
        };
        tokio::task::spawn_blocking(placed)
            .await
            .map_err(|_| MetadataError::Stopped)?
    }

    /// Reads on a connection that any thread may use.
    pub(super) fn pooled<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, MetadataError>,
    ) -> Result<T, MetadataError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = idle().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => connection::reader(&self.path)?,
        };
        let result = read(&connection);
        idle().push(connection);
        result
    }

    /// Looks through the whole database after a stop that was not clean. Serving goes on meanwhile.
    pub(super) fn check_in_background(&self) -> Result<(), MetadataError> {
        let connection = connection::reader(&self.path)?;
        let path = self.path.clone();
        let check = move || {
            let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0));
            let found: String = found.unwrap_or_else(|error| error.to_string());
            if found == "ok" {
                tracing::info!("the metadata database is sound after an unclean stop");
            } else {
                tracing::error!(
                    path = %path.display(), found,
                    "the metadata database is damaged: stop the registry and put back a backup"
                );
            }
        };
        let thread = std::thread::Builder::new().name("metadata-check".to_owned());
        thread
            .spawn(check)
            .map(drop)
            .map_err(|source| MetadataError::Io {
                action: "start a thread for",
                path: self.path.clone(),
                source: Arc::new(source),
            })
    }
}
