use super::*;

fn line(user: &str) -> String {
    format!("{user}:{}\n", bcrypt::hash("secret", 4).unwrap())
}

/// A file in a directory of its own, and what to write into it.
fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("htpasswd");
    std::fs::write(&path, content).unwrap();
    (directory, path)
}

fn has(file: &UserFile, user: &str) -> bool {
    file.users.load().find(user).is_some()
}

#[test]
fn a_change_is_seen_whatever_the_file_systems_clock_says() {
    let (_directory, path) = file(&line("alice"));
    let file = UserFile::open(&path).unwrap();
    for user in ["bobby", "carol", "david"] {
        // The same size, written within one tick.
        std::fs::write(&path, line(user)).unwrap();
        file.refresh();
        assert!(has(&file, user));
        assert_eq!(file.users.load().count(), 1);
    }
    let replacement = path.with_extension("new");
    std::fs::write(&replacement, line("renamed")).unwrap();
    std::fs::rename(&replacement, &path).unwrap();
    file.refresh();
    assert!(has(&file, "renamed"));
    assert_eq!(file.problem(), None);
}

/// Case 78.
#[test]
fn a_broken_file_keeps_the_users_and_is_a_problem_until_it_is_mended() {
    let (_directory, path) = file(&line("alice"));
    let file = UserFile::open(&path).unwrap();
    let good = line("bob") + &line("carol");
    let huge = "#".repeat(usize::try_from(MAX_BYTES).unwrap() + 1);
    for (broken, problem) in [
        ("", "no user"),
        ("# nobody\n", "no user"),
        ("\u{0}\u{1}garbage", "middle of a line"),
        ("garbage\n", "no user"),
        (&good[..good.len() - 20], "middle of a line"),
        (&good[..10], "middle of a line"),
        (&huge, "larger than"),
    ] {
        std::fs::write(&path, broken).unwrap();
        for _ in 0..2 {
            file.refresh();
            let told = file.problem().unwrap();
            assert!(told.contains(problem), "{told}");
            assert!(has(&file, "alice") && !has(&file, "bob"));
        }
    }
    std::fs::remove_file(&path).unwrap();
    file.refresh();
    assert!(file.problem().unwrap().contains("cannot be read"));
    std::fs::create_dir(&path).unwrap();
    file.refresh();
    assert!(file.problem().unwrap().contains("regular file"));
    assert!(has(&file, "alice"));
    std::fs::remove_dir(&path).unwrap();
    std::fs::write(&path, &good).unwrap();
    file.refresh();
    assert_eq!(file.problem(), None);
    assert!(!has(&file, "alice") && has(&file, "carol"));
}

#[test]
fn the_file_of_before_ends_a_problem_too() {
    let content = line("alice");
    let (_directory, path) = file(&content);
    let file = UserFile::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.refresh();
    assert!(file.problem().is_some());
    std::fs::write(&path, &content).unwrap();
    file.refresh();
    assert_eq!(file.problem(), None);
}

#[test]
fn a_start_without_users_is_refused_and_says_how_to_make_some() {
    let (directory, path) = file("# nobody\nalice:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    let missing = directory.path().join("missing");
    for (path, problem) in [
        (path.as_path(), "no user"),
        (&missing, "cannot be read"),
        (directory.path(), "regular file"),
    ] {
        let Err(error) = UserFile::open(path) else {
            panic!("{path:?} was taken");
        };
        let told = format!("{error}: {}", error.problem);
        assert!(told.contains(problem), "{told}");
        assert!(told.contains("htpasswd -Bbn USER PASSWORD > /"), "{told}");
        assert!(!told.contains('\n') && !told.contains("5en6"), "{told}");
    }
    assert!(!missing.try_exists().unwrap());
}
