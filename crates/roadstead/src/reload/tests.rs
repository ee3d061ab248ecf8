use std::path::Path;

use super::*;

/// Applies the level of the log to a text, unless it is told to fail.
#[derive(Clone, Default)]
struct Made {
    level: Arc<Mutex<String>>,
    fails: Arc<Mutex<bool>>,
}

impl Part for Made {
    fn name(&self) -> &'static str {
        "made"
    }

    fn keys(&self) -> &'static [&'static str] {
        &["log.level"]
    }

    fn prepare(&self, settings: &Settings) -> anyhow::Result<Change> {
        if *self.fails.lock().unwrap() {
            anyhow::bail!("it was told to fail");
        }
        let (level, made) = (settings.log.level.as_str(), Arc::clone(&self.level));
        Ok(Box::new(move || *made.lock().unwrap() = level.to_owned()))
    }

    fn problem(&self) -> Option<String> {
        self.fails.lock().unwrap().then(|| "it fails".to_owned())
    }
}

fn write(path: &Path, rest: &str) {
    let text = format!("version: 0.1\nstorage: inmemory\nauth: none\n{rest}");
    std::fs::write(path, text).unwrap();
}

#[test]
fn all_parts_change_or_none_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yml");
    write(&path, "http: {addr: ':1'}\n");
    let loaded = config::load(Some(&path), &BTreeMap::new()).unwrap();
    let (one, other) = (Made::default(), Made::default());
    let reloader = Reloader::new(
        Some(path.clone()),
        BTreeMap::new(),
        &loaded.settings,
        Vec::new(),
    )
    .with(one.clone())
    .with(other.clone());
    let levels = || [&one, &other].map(|part| part.level.lock().unwrap().clone());
    let names = || -> Vec<String> {
        let problems = reloader.problems();
        problems.into_iter().map(|(name, _)| name).collect()
    };

    write(&path, "http: {addr: ':2'}\nlog: {level: debug}\n");
    reloader.reload();
    assert_eq!(
        (levels(), names()),
        (["debug", "debug"].map(str::to_owned), vec![])
    );

    // A file that is no configuration.
    write(&path, "http: {adr: ':2'}\nlog: {level: error}\n");
    reloader.reload();
    assert_eq!(levels(), ["debug", "debug"]);
    assert_eq!(names(), ["configuration"]);

    // A part that cannot have what it needs.
    write(&path, "http: {addr: ':1'}\nlog: {level: error}\n");
    *other.fails.lock().unwrap() = true;
    reloader.reload();
    assert_eq!(levels(), ["debug", "debug"]);
    assert_eq!(names(), ["configuration", "made"]);

    *other.fails.lock().unwrap() = false;
    reloader.reload();
    assert_eq!(
        (levels(), names()),
        (["error", "error"].map(str::to_owned), vec![])
    );

    std::fs::remove_file(&path).unwrap();
    reloader.reload();
    assert_eq!(
        (levels(), names()),
        (
            ["error", "error"].map(str::to_owned),
            vec!["configuration".to_owned()]
        )
    );
}

/// Never comes back from its look until it is let go.
struct Hangs(Mutex<std::sync::mpsc::Receiver<()>>);

impl Part for Hangs {
    fn name(&self) -> &'static str {
        "hangs"
    }

    fn look(&self) {
        let _gone = self.0.lock().unwrap().recv();
    }
}

#[tokio::test]
async fn a_disk_that_hangs_does_not_hold_up_the_stop() {
    let settings = config::load(None, &BTreeMap::new()).unwrap().settings;
    let (release, hangs) = std::sync::mpsc::channel();
    let reloader =
        Reloader::new(None, BTreeMap::new(), &settings, Vec::new()).with(Hangs(Mutex::new(hangs)));
    let (hangup, stop) = (Arc::new(Notify::new()), CancellationToken::new());
    hangup.notify_one();
    let running = tokio::spawn(Arc::new(reloader).run(hangup, stop.clone()));
    tokio::task::yield_now().await;
    stop.cancel();
    running.await.unwrap();
    drop(release);
}
