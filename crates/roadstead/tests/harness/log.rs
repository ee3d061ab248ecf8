//! What a process writes, kept line by line for as long as it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Everything that the process wrote to standard output and standard error.
#[derive(Default)]
pub(super) struct Log {
    text: Mutex<String>,
    grown: Condvar,
}

impl Log {
    pub(super) fn text(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    pub(super) fn follow(self: &Arc<Self>, from: impl Read + Send + 'static) -> JoinHandle<()> {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n') {
                let Ok(line) = line else { return };
                let mut text = log.text.lock().unwrap();
                text.push_str(&String::from_utf8_lossy(&line));
                text.push('\n');
                log.grown.notify_all();
            }
        })
    }

    /// The first line that `look` takes, waited for.
    pub(super) fn wait_for<T>(
        &self,
        limit: Duration,
        look: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + limit;
        let mut text = self.text.lock().unwrap();
        loop {
            if let Some(found) = text.lines().find_map(&look) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            text = self.grown.wait_timeout(text, left).unwrap().0;
        }
    }
}
