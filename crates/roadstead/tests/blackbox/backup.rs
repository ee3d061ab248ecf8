//! `roadstead backup` and `roadstead restore-backup`: what was acknowledged is in a backup that is
//! taken while clients push, and what is not a whole backup is never made a registry of.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{Blob, Builder, Image, Registry, SOON, noise, until};

fn image(seed: &str) -> Image {
    // Large enough for an object of its own.
    Image::of(seed, vec![Blob::layer(seed, 30_000)])
}

fn back_up(registry: &Registry, directory: &Path) -> Output {
    let builder = registry.builder();
    let config = builder.path("config.yml");
    builder.run([Path::new("backup"), &config, directory])
}

/// A registry to be, whose configuration is written.
fn empty() -> Builder {
    let builder = Builder::new();
    builder.command();
    builder
}

fn restore(builder: &Builder, directory: &Path, options: &[&str]) -> Output {
    let config = builder.path("config.yml");
    let mut words: Vec<PathBuf> = vec!["restore-backup".into()];
    words.extend(options.iter().map(PathBuf::from));
    words.extend([directory.to_owned(), config]);
    builder.run(words)
}

/// The last line of a refusal, which must leave status 1.
fn refusal(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    text.lines().last().unwrap_or_default().to_owned()
}

fn succeeded(output: &Output) -> String {
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(0), "{text}");
    text
}

/// The objects of a backup.
fn objects(directory: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(directory.join("objects")).unwrap();
    folders
        .flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap())
        .map(|object| object.unwrap().path())
        .collect()
}

/// A registry with one image, and a backup of it beside.
fn backed_up() -> (Registry, Image, PathBuf) {
    let registry = Registry::start();
    let image = image("one");
    registry.push_image("app", "v1", &image);
    let directory = registry.builder().path("backup");
    succeeded(&back_up(&registry, &directory));
    (registry, image, directory)
}

#[test]
fn what_was_acknowledged_before_a_backup_is_whole_in_what_is_made_of_it() {
    let registry = Registry::start();
    let stop = AtomicBool::new(false);
    let directory = registry.builder().path("backup");
    let push = |client: usize| {
        let mut acknowledged = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let seed = format!("{client}-{}", acknowledged.len());
            let image = image(&seed);
            registry.push_image(&format!("team/app{client}"), &seed, &image);
            acknowledged.push((seed, image));
        }
        acknowledged
    };
    let (before, all) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| scope.spawn(move || push(client)))
            .collect();
        let count = |registry: &Registry| registry.pages("/v2/_catalog", "repositories").len();
        until("all push", SOON, || (count(&registry) == 4).then_some(()));
        let before: Vec<Vec<String>> = (0..4)
            .map(|client| registry.tags(&format!("team/app{client}")))
            .collect();
        let output = back_up(&registry, &directory);
        stop.store(true, Ordering::Relaxed);
        let all: Vec<_> = clients.into_iter().map(|it| it.join().unwrap()).collect();
        succeeded(&output);
        (before, all)
    });

    let builder = empty();
    succeeded(&restore(&builder, &directory, &["--verify"]));
    let restored = builder.start();
    for (client, images) in all.iter().enumerate() {
        let repository = format!("team/app{client}");
        let there = restored.tags(&repository);
        let lost: Vec<_> = before[client]
            .iter()
            .filter(|tag| !there.contains(tag))
            .collect();
        assert!(!before[client].is_empty() && lost.is_empty(), "{lost:?}");
        // What came while it ran is there whole or not at all.
        for (tag, image) in images.iter().filter(|(tag, _)| there.contains(tag)) {
            restored.pull_image(&repository, tag, image);
        }
    }
    restored.push_image("team/app0", "later", &image("later"));
    restored.pull_image("team/app0", "later", &image("later"));
    assert!(restored.get("/v2/_catalog").send().expect(200).status == 200);
}

#[test]
fn an_upload_that_is_open_is_not_part_of_a_backup() {
    let registry = Registry::start();
    let session = registry.session("app");
    let patch = registry.patch(&session).body(noise("part", 50_000));
    patch.send().expect(202);
    let directory = registry.builder().path("backup");
    succeeded(&back_up(&registry, &directory));
    assert_eq!(objects(&directory), Vec::<PathBuf>::new());
    // The registry itself goes on with it.
    registry.get(&session).send().expect(204);
    let builder = empty();
    succeeded(&restore(&builder, &directory, &[]));
    let restored = builder.start();
    restored.get(&session).send().expect(404);
    restored.push_image("app", "v1", &image("one"));
}

#[test]
fn a_later_backup_copies_only_what_is_new_and_removes_no_object() {
    let (registry, first, directory) = backed_up();
    let copied = objects(&directory);
    let times = |paths: &[PathBuf]| -> Vec<_> {
        let time = |path: &PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
        paths.iter().map(time).collect()
    };
    let before = times(&copied);
    let second = image("two");
    registry.push_image("app", "v2", &second);
    let said = succeeded(&back_up(&registry, &directory));
    assert!(
        said.contains("2 objects of 60000 bytes, 1 of them new (30000 bytes)"),
        "{said}"
    );
    assert_eq!(objects(&directory).len(), 2);
    assert_eq!(times(&copied), before);
    let databases = std::fs::read_dir(&directory).unwrap();
    let databases = databases.filter(|file| {
        let name = file.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("database-")
    });
    assert_eq!(databases.count(), 1, "the earlier database is taken away");
    let builder = empty();
    succeeded(&restore(&builder, &directory, &[]));
    let restored = builder.start();
    restored.pull_image("app", "v1", &first);
    restored.pull_image("app", "v2", &second);
}

/// The registry need not run.
#[test]
fn a_registry_that_was_killed_is_backed_up_with_the_commits_of_its_log() {
    let mut registry = Registry::start();
    let image = image("one");
    registry.push_image("app", "v1", &image);
    registry.kill_9();
    let directory = registry.builder().path("backup");
    succeeded(&back_up(&registry, &directory));
    let builder = empty();
    succeeded(&restore(&builder, &directory, &[]));
    builder.start().pull_image("app", "v1", &image);
    registry.restart().pull_image("app", "v1", &image);
}

#[test]
fn a_backup_that_was_cut_off_is_refused_and_the_next_run_completes_it() {
    let (registry, image, directory) = backed_up();
    // What a run leaves that did not come to its record.
    std::fs::remove_file(directory.join("backup.json")).unwrap();
    let [object] = objects(&directory).try_into().unwrap();
    std::fs::rename(&object, object.with_extension("part")).unwrap();
    let builder = empty();
    let line = refusal(&restore(&builder, &directory, &["--force"]));
    assert!(line.contains("no whole backup in"), "{line}");
    assert!(!builder.path("data").exists(), "something was made");
    succeeded(&back_up(&registry, &directory));
    succeeded(&restore(&builder, &directory, &[]));
    builder.start().pull_image("app", "v1", &image);
}

#[test]
fn a_later_backup_that_was_cut_off_leaves_the_earlier_one_whole() {
    let (registry, image, directory) = backed_up();
    let record = std::fs::read(directory.join("backup.json")).unwrap();
    let database: Value = serde_json::from_slice(&record).unwrap();
    let database = directory.join(database["database"]["file"].as_str().unwrap());
    let kept = std::fs::read(&database).unwrap();
    registry.push_image("app", "v2", &self::image("two"));
    succeeded(&back_up(&registry, &directory));
    // As it was before the last step: both databases, the earlier record.
    std::fs::write(directory.join("backup.json"), record).unwrap();
    std::fs::write(&database, kept).unwrap();
    let builder = empty();
    succeeded(&restore(&builder, &directory, &[]));
    let restored = builder.start();
    restored.pull_image("app", "v1", &image);
    assert_eq!(restored.tags("app"), ["v1"]);
}

#[test]
fn a_damaged_backup_is_refused_before_anything_is_written() {
    let (_registry, image, directory) = backed_up();
    let [object] = objects(&directory).try_into().unwrap();
    let whole = std::fs::read(&object).unwrap();
    let builder = empty();

    let mut flipped = whole.clone();
    flipped[17_000] ^= 1;
    std::fs::write(&object, flipped).unwrap();
    let line = refusal(&restore(&builder, &directory, &["--verify"]));
    assert!(
        line.contains("1 of the objects are missing or damaged"),
        "{line}"
    );
    std::fs::write(&object, &whole[..whole.len() - 1]).unwrap();
    refusal(&restore(&builder, &directory, &[]));
    std::fs::remove_file(&object).unwrap();
    let output = restore(&builder, &directory, &[]);
    refusal(&output);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&image.layers[0].digest), "{said}");
    std::fs::write(&object, &whole).unwrap();

    let record = std::fs::read(directory.join("backup.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let database = directory.join(record["database"]["file"].as_str().unwrap());
    let bytes = std::fs::read(&database).unwrap();
    let mut flipped = bytes.clone();
    flipped[5_000] ^= 1;
    std::fs::write(&database, flipped).unwrap();
    let line = refusal(&restore(&builder, &directory, &["--force"]));
    assert!(line.contains("another digest"), "{line}");
    std::fs::write(&database, bytes).unwrap();
    assert!(!builder.path("data").exists(), "something was made");
    succeeded(&restore(&builder, &directory, &["--verify"]));
}

/// D9: what is missing counts as absent, and a push heals it.
#[test]
fn what_a_backup_lacks_is_unknown_until_it_is_pushed_again() {
    let (registry, image, directory) = backed_up();
    let layer = &image.layers[0];
    let [object] = objects(&directory).try_into().unwrap();
    std::fs::remove_file(&object).unwrap();
    let builder = empty();
    let output = restore(&builder, &directory, &["--force"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let restored = builder.start();
    assert!(!restored.has_blob("app", &layer.digest));
    restored.push_blob("app", &layer.bytes);
    restored.pull_image("app", "v1", &image);

    // Lost in the registry itself: the backup says so, and is made all the same.
    let [object] = registry.objects().try_into().unwrap();
    std::fs::remove_file(object).unwrap();
    let output = back_up(&registry, &directory);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&layer.digest), "{said}");
    let builder = empty();
    let output = restore(&builder, &directory, &[]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(!builder.start().has_blob("app", &layer.digest));
}

#[test]
fn nothing_is_overwritten_by_a_backup_or_a_restore() {
    let (registry, _, directory) = backed_up();
    let builder = registry.builder();
    let line = refusal(&restore(&builder, &directory, &["--force"]));
    assert!(line.contains("is not empty"), "{line}");
    let foreign = builder.path("foreign");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("letter.txt"), "dear").unwrap();
    let line = refusal(&back_up(&registry, &foreign));
    assert!(line.contains("letter.txt"), "{line}");
    for inside in ["data", "data/backup", "data/objects"] {
        let line = refusal(&back_up(&registry, &builder.path(inside)));
        assert!(line.contains("data"), "{line}");
    }
    assert!(!builder.path("data/backup").exists());
    registry.push_image("app", "v2", &image("two"));
}

#[test]
fn a_registry_in_memory_cannot_be_backed_up() {
    let storage = json!({ "storage": { "filesystem": null, "inmemory": {} } });
    let registry = Registry::configured(storage);
    let directory = registry.builder().path("backup");
    let line = refusal(&back_up(&registry, &directory));
    assert!(line.contains("in the memory"), "{line}");
    assert!(!directory.exists());
}

#[test]
fn a_backup_of_another_registry_is_left_as_it_is() {
    let (registry, image, directory) = backed_up();
    let record = std::fs::read(directory.join("backup.json")).unwrap();
    let other = Registry::start();
    other.push_image("app", "v1", &self::image("other"));
    let line = refusal(&back_up(&other, &directory));
    assert!(line.contains("a backup of another registry"), "{line}");
    assert_eq!(
        std::fs::read(directory.join("backup.json")).unwrap(),
        record
    );
    assert_eq!(objects(&directory).len(), 1);
    // What is restored of it goes on with it, and so does the registry itself.
    let builder = empty();
    succeeded(&restore(&builder, &directory, &[]));
    let restored = builder.start();
    restored.pull_image("app", "v1", &image);
    succeeded(&back_up(&restored, &directory));
    succeeded(&back_up(&registry, &directory));
}
