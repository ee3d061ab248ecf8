//! `roadstead user` and `roadstead robot`: accounts are made and changed while a registry serves and
//! while none does, and no secret is shown but a new key, once.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Output, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::{Builder, Registry};

/// Runs `roadstead` with these words, `CONFIG` being the configuration's path, and this input.
fn run(builder: &Builder, words: &str, input: &str) -> Output {
    let config = builder.path("config.yml");
    let words = words.split(' ').map(|word| match word {
        "CONFIG" => config.clone().into(),
        word => word.into(),
    });
    let mut child = builder
        .command_of(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have refused before it read anything.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What it prints, which is a success.
fn done(builder: &Builder, words: &str, input: &str) -> String {
    let output = run(builder, words, input);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{words}: {said}");
    text(&output.stdout)
}

/// What it says, which is a refusal.
fn refused(builder: &Builder, words: &str, input: &str) -> String {
    let output = run(builder, words, input);
    let said = text(&output.stderr);
    assert_ne!(output.status.code(), Some(0), "{words}: {said}");
    assert_eq!(text(&output.stdout), "", "{words}");
    said
}

fn add_user(builder: &Builder, name: &str, password: &str) -> String {
    let words = format!("user add CONFIG {name} --password-stdin");
    done(builder, &words, password)
}

/// A column of an account's row.
fn column(builder: &Builder, name: &str, column: &str) -> Option<String> {
    let database = Connection::open(builder.path("data").join("roadstead.db")).unwrap();
    let sql = format!("SELECT CAST({column} AS TEXT) FROM account WHERE name = ?1");
    database.query_row(&sql, [name], |row| row.get(0)).unwrap()
}

/// A registry that was started once, and stopped.
fn stopped() -> Builder {
    let mut registry = Registry::start();
    assert!(registry.terminate().success());
    registry.builder()
}

/// Bytes of changes that are not in the database itself yet.
fn log_bytes(builder: &Builder) -> u64 {
    let log = builder.path("data").join("roadstead.db-wal");
    std::fs::metadata(log).map_or(0, |log| log.len())
}

/// Everything that is done with accounts, in one life of a registry or between two.
fn life_of_accounts(builder: &Builder) {
    assert_eq!(add_user(builder, "ada", "canary:1\n"), "");
    let hash = column(builder, "ada", "hash").unwrap();
    assert!(
        hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{hash}"
    );
    let key = done(
        builder,
        "robot create CONFIG ci --group b --group a --expires 90d --description builds",
        "",
    );
    let key = key.strip_suffix('\n').unwrap();
    assert!(key.starts_with("rsd_") && key.len() == 65, "{key}");
    assert!(
        key[4..].bytes().all(|byte| byte.is_ascii_alphanumeric()),
        "{key}"
    );
    assert_eq!(column(builder, "ci", "id").unwrap(), key[4..26]);
    assert_eq!(column(builder, "ci", "groups").unwrap(), r#"["a","b"]"#);

    let list = done(builder, "robot list CONFIG", "");
    let row: Vec<_> = list.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(
        (row[0], row[1], row[2], row[5]),
        ("ci", "active", "a,b", "builds"),
        "{list}"
    );
    done(builder, "robot expire CONFIG ci never", "");
    assert_eq!(column(builder, "ci", "expires_at"), None);
    let other = done(builder, "robot rotate CONFIG ci", "");
    assert_ne!(other.trim_end(), key);
    assert_eq!(column(builder, "ci", "id").unwrap(), other[4..26]);
    done(builder, "robot groups CONFIG ci", "");
    assert_eq!(column(builder, "ci", "groups").unwrap(), "[]");

    done(
        builder,
        "user passwd CONFIG ada --password-stdin",
        "canary 2",
    );
    assert_ne!(column(builder, "ada", "hash").unwrap(), hash);
    done(builder, "user disable CONFIG ada", "");
    let list = done(builder, "user list CONFIG", "");
    assert!(list.contains("ada   disabled  -"), "{list}");
    done(builder, "user enable CONFIG ada", "");
    done(builder, "user groups CONFIG ada --group team", "");
    let list = done(builder, "user list CONFIG", "");
    assert!(list.contains("ada   active  team"), "{list}");
    assert!(!list.contains("ci") && !list.contains("argon2"), "{list}");
    done(builder, "robot revoke CONFIG ci", "");
    done(builder, "user remove CONFIG ada", "");
    assert_eq!(done(builder, "robot list CONFIG", "").lines().count(), 1);
    assert_eq!(done(builder, "user list CONFIG", "").lines().count(), 1);
}

#[test]
fn accounts_are_managed_while_the_registry_serves() {
    let mut registry = Registry::start();
    let builder = registry.builder();
    life_of_accounts(&builder);
    registry.get("/v2/").send().expect(200);
    add_user(&builder, "last", "secret");
    assert!(registry.terminate().success());
    assert_eq!(log_bytes(&builder), 0, "a clean stop leaves no log");
    let registry = builder.start();
    assert!(!registry.log().contains("unclean"), "{}", registry.log());
    assert!(column(&registry.builder(), "last", "id").is_some());
}

#[test]
fn accounts_are_managed_while_no_registry_serves() {
    let builder = stopped();
    life_of_accounts(&builder);
    add_user(&builder, "last", "secret");
    assert_eq!(log_bytes(&builder), 0, "the command closes the database");
    let registry = builder.start();
    registry.get("/v2/").send().expect(200);
    assert!(!registry.log().contains("unclean"), "{}", registry.log());
}

/// The log of a process that was killed is not taken away behind the mark that asks for it.
#[test]
fn accounts_are_managed_after_a_kill() {
    let mut registry = Registry::start();
    let builder = registry.builder();
    add_user(&builder, "ada", "secret");
    registry.kill_9();
    add_user(&builder, "bob", "secret");
    let list = done(&builder, "user list CONFIG", "");
    assert!(list.contains("ada") && list.contains("bob"), "{list}");
    let registry = builder.start();
    let list = done(&registry.builder(), "user list CONFIG", "");
    assert!(list.contains("ada") && list.contains("bob"), "{list}");
}

/// Whatever instant a command ends at, a key that was shown is in force, and nothing is in the way of
/// the next command or start.
#[test]
fn a_command_that_is_killed_leaves_a_whole_database() {
    let mut registry = Registry::start();
    let builder = registry.builder();
    let mut shown = kill_commands(&builder, "beside");
    assert!(registry.terminate().success());
    shown.extend(kill_commands(&builder, "alone"));
    for running in [false, true] {
        let registry = running.then(|| builder.clone().start());
        let list = done(&builder, "robot list CONFIG", "");
        for name in &shown {
            assert!(list.contains(name.as_str()), "{name}: {list}");
        }
        done(&builder, &format!("robot create CONFIG last-{running}"), "");
        drop(registry);
    }
}

/// Creates robots in commands that are killed sooner or later, and returns whose key was shown.
fn kill_commands(builder: &Builder, names: &str) -> Vec<String> {
    let mut shown = Vec::new();
    // From before the database is opened to after the end.
    for step in 0..30_u32 {
        let name = format!("{names}-{step}");
        let config = builder.path("config.yml").into_os_string();
        let words = ["robot".into(), "create".into(), config, name.clone().into()];
        let mut child = builder
            .command_of(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(2) * step);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if output.stdout.ends_with(b"\n") {
            shown.push(name);
        }
    }
    shown
}

/// Commands wait for each other, and a registry that is started meanwhile for them.
#[test]
fn many_commands_and_starts_at_once_do_not_hinder_each_other() {
    let builder = stopped();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let builder = &builder;
            scope.spawn(move || {
                let words = format!("robot create CONFIG ci-{number}");
                done(builder, &words, "");
            });
        }
        for _ in 0..2 {
            let mut registry = builder.clone().start();
            assert!(registry.terminate().success());
        }
    });
    let list = done(&builder, "robot list CONFIG", "");
    assert_eq!(list.lines().count(), 9, "{list}");
    builder.start().get("/v2/").send().expect(200);
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let builder = Builder::new();
    builder.command();
    let said = refused(&builder, "user add CONFIG ada --password-stdin", "secret");
    assert!(said.contains("start the registry once"), "{said}");
    assert!(!builder.path("data").join("roadstead.db").exists());

    let builder = stopped();
    add_user(&builder, "ada", "secret");
    done(&builder, "robot create CONFIG ci", "");
    for (words, input, expected) in [
        (
            "user add CONFIG ada --password-stdin",
            "other",
            "there is a user called \"ada\"",
        ),
        (
            "user add CONFIG robot:ci --password-stdin",
            "other",
            "no colon",
        ),
        (
            "user add CONFIG anonymous --password-stdin",
            "other",
            "nobody can be called",
        ),
        (
            "user add CONFIG bob --password-stdin",
            "",
            "the password is empty",
        ),
        (
            "user add CONFIG bob --password-stdin",
            "a\nb",
            "control character",
        ),
        (
            "user add CONFIG bob --password-stdin",
            "rsd_x",
            "keys of robots",
        ),
        ("user add CONFIG bob", "secret", "--password-stdin"),
        (
            "user add CONFIG bob --group a,b --password-stdin",
            "x",
            "no comma",
        ),
        (
            "user passwd CONFIG bob --password-stdin",
            "x",
            "there is no user called \"bob\"",
        ),
        (
            "user disable CONFIG ci",
            "",
            "there is no user called \"ci\"",
        ),
        (
            "user remove CONFIG bob",
            "",
            "there is no user called \"bob\"",
        ),
        (
            "robot create CONFIG ci",
            "",
            "there is a robot called \"ci\"",
        ),
        ("robot create CONFIG CI", "", "small letters"),
        ("robot create CONFIG x --expires soon", "", "90d"),
        (
            "robot rotate CONFIG ada",
            "",
            "there is no robot called \"ada\"",
        ),
        (
            "robot revoke CONFIG ada",
            "",
            "there is no robot called \"ada\"",
        ),
        ("robot expire CONFIG ci 0d", "", "over at once"),
    ] {
        let said = refused(&builder, words, input);
        assert!(said.contains(expected), "{words}: {said}");
    }
    assert_eq!(done(&builder, "user list CONFIG", "").lines().count(), 2);
    assert_eq!(done(&builder, "robot list CONFIG", "").lines().count(), 2);
}

/// R19: not in what is said, not in the journal, not in the log of the registry.
#[test]
fn no_password_and_no_key_is_left_anywhere_but_as_a_hash() {
    let mut registry = Registry::start();
    let builder = registry.builder();
    let output = run(
        &builder,
        "user add CONFIG ada --password-stdin",
        "canary-password",
    );
    assert!(output.status.success());
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(!said.contains("canary"), "{said}");
    let output = run(&builder, "robot create CONFIG ci", "");
    let key = text(&output.stdout).trim_end().to_owned();
    assert!(!text(&output.stderr).contains(&key));
    assert!(registry.terminate().success());
    let database = std::fs::read(builder.path("data").join("roadstead.db")).unwrap();
    let has = |part: &str| {
        database
            .windows(part.len())
            .any(|bytes| bytes == part.as_bytes())
    };
    assert!(has(&key[4..26]), "the id is there");
    assert!(!has("canary") && !has(&key[26..59]));
    let log = registry.log();
    assert!(
        !log.contains("canary") && !log.contains(&key[26..59]),
        "{log}"
    );
}

/// Reads until `part` has come, and returns all that came.
fn read_until(from: &mut impl Read, part: &str) -> String {
    let (mut read, mut byte) = (Vec::new(), [0]);
    while !String::from_utf8_lossy(&read).contains(part) {
        assert_eq!(
            from.read(&mut byte).unwrap(),
            1,
            "{}",
            String::from_utf8_lossy(&read)
        );
        read.extend(byte);
    }
    text(&read)
}

#[test]
fn a_password_that_is_typed_is_not_shown() {
    let builder = stopped();
    for (again, code) in [("canary", 0), ("Canary", 1)] {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = File::options().read(true).write(true).open(name).unwrap();
        let before = rustix::termios::tcgetattr(&slave).unwrap().local_modes;
        let mut master = File::from(master);
        let user = format!("user-{code}");
        let config = builder.path("config.yml").into_os_string();
        let mut child = builder
            .command_of(["user".into(), "add".into(), config, user.into()])
            .stdin(slave.try_clone().unwrap())
            .stdout(slave.try_clone().unwrap())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        read_until(&mut stderr, "New password: ");
        master.write_all(b"canary\n").unwrap();
        read_until(&mut stderr, "The same again: ");
        master.write_all(format!("{again}\n").as_bytes()).unwrap();
        let mut rest = String::new();
        stderr.read_to_string(&mut rest).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest}");
        // What the terminal shows up to a mark of the test's own.
        (&slave).write_all(b"end").unwrap();
        let shown = read_until(&mut master, "end");
        assert!(!shown.to_lowercase().contains("canary"), "{shown}");
        let after = rustix::termios::tcgetattr(&slave).unwrap().local_modes;
        assert_eq!(after, before);
    }
    let list = done(&builder, "user list CONFIG", "");
    assert!(
        list.contains("user-0") && !list.contains("user-1"),
        "{list}"
    );
}
