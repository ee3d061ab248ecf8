//! The thread that writes the audit log.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc::Receiver;

use super::event::push_time;
use super::{Message, Shared};

/// Bytes that are gathered before they are written.
const BATCH_BYTES: usize = 64 << 10;
/// Between two tries where the file cannot be written to.
const PAUSE: Duration = Duration::from_secs(1);

/// Opens the file for adding to it, for its owner alone where it is new. A line that was broken off
/// gets its end.
pub(super) fn open(path: &Path) -> io::Result<File> {
    // Opening a pipe for reading, too, does not wait for its other end.
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)?;
    if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
        }
    }
    Ok(file)
}

pub(super) struct Writer {
    file: File,
    shared: Arc<Shared>,
}

impl Writer {
    pub(super) fn new(file: File, shared: Arc<Shared>) -> Self {
        Self { file, shared }
    }

    /// Writes until there is nobody left to record anything, or somebody says that it is the end.
    pub(super) fn run(mut self, mut messages: Receiver<Message>) {
        let mut batch = String::new();
        while let Some(message) = messages.blocking_recv() {
            let mut next = Some(message);
            let mut order = None;
            while let Some(message) = next {
                match message {
                    Message::Event(event) => event.write(&mut batch),
                    other => {
                        order = Some(other);
                        break;
                    }
                }
                next = (batch.len() < BATCH_BYTES)
                    .then(|| messages.try_recv().ok())
                    .flatten();
            }
            self.add_lost(&mut batch);
            let ending = matches!(order, Some(Message::Finish(_)));
            self.write(&batch, ending);
            batch.clear();
            match order {
                Some(Message::Finish(done)) => {
                    if let Err(error) = self.file.sync_data()
                        && error.kind() != io::ErrorKind::InvalidInput
                    {
                        tracing::error!(%error, "the audit log could not be flushed");
                    }
                    // Nobody may wait for it any more.
                    let _ = done.send(());
                    return;
                }
                Some(Message::Reopen) => self.reopen(),
                Some(Message::Event(_)) | None => {}
            }
        }
    }

    /// A line that says how many events are missing here.
    fn add_lost(&self, batch: &mut String) {
        let lost = self.shared.lost.swap(0, Ordering::AcqRel);
        if lost == 0 {
            return;
        }
        tracing::error!(lost, "events are missing in the audit log");
        batch.push_str("{\"time\":\"");
        push_time(batch, SystemTime::now());
        batch.push_str(&format!("\",\"lost\":{lost}}}\n"));
    }

    /// Writes lines, again and again until they are written; once where it is the end.
    fn write(&mut self, lines: &str, ending: bool) {
        let mut left = lines.as_bytes();
        while let Err(error) = self.write_some(&mut left) {
            self.report(&error);
            if ending {
                tracing::error!(bytes = left.len(), "the end of the audit log is lost");
                return;
            }
            std::thread::sleep(PAUSE);
            // Perhaps it was moved, or its disk came back. The line under way begins anew: a reader
            // finds the part of it that was written as a line of its own.
            if let Ok(file) = open(&self.shared.path) {
                self.file = file;
                let written = &lines.as_bytes()[..lines.len() - left.len()];
                let begun = written.iter().rposition(|byte| *byte == b'\n');
                left = &lines.as_bytes()[begun.map_or(0, |at| at + 1)..];
            }
        }
        if self.shared.problem.swap(None).is_some() {
            tracing::info!(path = %self.shared.path.display(), "the audit log is written again");
        }
    }

    fn write_some(&mut self, left: &mut &[u8]) -> io::Result<()> {
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => *left = &left[written..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn reopen(&mut self) {
        match open(&self.shared.path) {
            Ok(file) => {
                self.file = file;
                self.shared.problem.store(None);
            }
            // The old one is still there to be written to.
            Err(error) => self.report(&error),
        }
    }

    /// Logs a problem once, however often it is met.
    fn report(&self, error: &io::Error) {
        let text = error.to_string();
        let before = self.shared.problem.load();
        if before.as_deref() == Some(&text) {
            return;
        }
        tracing::error!(
            path = %self.shared.path.display(),
            %error,
            "the audit log cannot be written to; what is recorded waits"
        );
        self.shared.problem.store(Some(Arc::new(text)));
    }
}
