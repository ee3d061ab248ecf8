//! The configuration as an operator meets it: files, variables, and what the command line says.

use std::process::Output;

use serde_json::json;

use crate::harness::{Builder, Registry};

/// The document with the keys of the configuration in `distribution`'s image.
const OF_THE_IMAGE: &str = "version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

/// The same with a login, as its example with htpasswd has it.
const WITH_HTPASSWD: &str = "version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
  tag:
    concurrencylimit: 8
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
auth:
  htpasswd:
    realm: basic-realm
    path: /etc/registry
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

/// The keys of the one for its developers.
const OF_DEVELOPERS: &str = "version: 0.1
log:
  level: debug
  fields:
    service: registry
    environment: development
storage:
  delete:
    enabled: true
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
  maintenance:
    uploadpurging:
      enabled: false
  tag:
    concurrencylimit: 8
http:
  addr: :5000
  debug:
    addr: :5001
    prometheus:
      enabled: true
      path: /metrics
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

/// The keys of the one for a pull-through cache.
const OF_A_CACHE: &str = "version: 0.1
log:
  level: debug
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: redis
  filesystem:
    rootdirectory: /var/lib/registry-cache
  maintenance:
    uploadpurging:
      enabled: false
http:
  addr: :5000
  secret: canary-secret
  debug:
    addr: localhost:5001
  headers:
    X-Content-Type-Options: [nosniff]
redis:
  addr: localhost:6379
  pool:
    maxidle: 16
    maxactive: 64
    idletimeout: 300s
  dialtimeout: 10ms
  readtimeout: 10ms
  writetimeout: 10ms
notifications:
  events:
    includereferences: true
  endpoints:
    - name: local
      url: http://localhost:5003/callback
      headers:
        Authorization: [Bearer canary-token]
      timeout: 1s
      threshold: 10
      backoff: 1s
      disabled: true
proxy:
  remoteurl: https://registry-1.docker.io
  username: username
  password: canary-password
  cacheTTL: 48h
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
";

/// The file unchanged; a directory and a port of the test's own come by variables.
fn with(text: &str) -> Builder {
    let builder = Builder::new()
        .text(text)
        .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0");
    let data = builder.path("data").display().to_string();
    builder.env("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", &data)
}

fn warnings(registry: &Registry) -> Vec<String> {
    registry
        .log()
        .lines()
        .filter(|line| line.contains("WARN"))
        .map(str::to_owned)
        .collect()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_file_of_distribution_without_auth_starts_open_with_one_warning() {
    let registry = with(OF_THE_IMAGE).start();
    registry
        .get("/v2/")
        .send()
        .expect(200)
        .expect_header("x-content-type-options", "nosniff");
    let digest = registry.push_blob("app", b"open");
    // Deletes are off unless they are turned on.
    registry
        .delete(format!("/v2/app/blobs/{digest}"))
        .send()
        .expect_error(405, "UNSUPPORTED");
    let warnings = warnings(&registry);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].contains("no auth is configured"),
        "{warnings:#?}"
    );
    registry.wait_for_log("service=\"registry\"");
}

#[test]
fn a_file_of_distribution_with_htpasswd_starts() {
    let builder = with(WITH_HTPASSWD).users(&[("alice", "secret")]);
    let path = builder.path("htpasswd").display().to_string();
    let registry = builder.env("REGISTRY_AUTH_HTPASSWD_PATH", &path).start();
    let answer = registry
        .get("/v2/")
        .send()
        .expect_error(401, "UNAUTHORIZED");
    assert_eq!(
        answer.need("www-authenticate"),
        "Basic realm=\"basic-realm\""
    );
    registry
        .get("/v2/")
        .basic("alice", "secret")
        .send()
        .expect(200);
    assert_eq!(warnings(&registry), Vec::<String>::new());
}

#[test]
fn what_is_not_served_yet_is_named_exactly() {
    for (text, place, key, off) in [
        (
            OF_DEVELOPERS,
            ":24:7: ",
            "http.debug.prometheus.enabled",
            ("HTTP_DEBUG_PROMETHEUS_ENABLED", "false"),
        ),
        (
            OF_A_CACHE,
            ":43:3: ",
            "proxy.remoteurl",
            ("PROXY_REMOTEURL", "''"),
        ),
    ] {
        let builder = with(text).env("REGISTRY_HTTP_DEBUG_ADDR", "127.0.0.1:0");
        let said = builder.refused();
        let file = builder.path("config.yml").display().to_string();
        assert_eq!(
            said,
            [format!("{file}{place}{key} is not served by Roadstead yet")]
        );
        // Without it, the rest starts as it is.
        let registry = builder.env(&format!("REGISTRY_{}", off.0), off.1).start();
        registry.get("/v2/").send().expect(200);
        registry.health().expect(200);
        registry.wait_for_log("has no effect");
        assert!(!registry.log().contains("canary"), "{}", registry.log());
    }
}

#[test]
fn an_unknown_key_stops_the_start_and_names_the_nearest_one() {
    let text = "version: 0.1\nstorage:\n  filesystem:\n    rootdirectry: /data\n\
                http: {address: ':5000'}\n";
    let builder = Builder::new().text(text);
    let said = builder.refused();
    let file = builder.path("config.yml").display().to_string();
    let expected = [
        "4:5: unknown key \"storage.filesystem.rootdirectry\", \
         did you mean storage.filesystem.rootdirectory?",
        "5:8: unknown key \"http.address\", did you mean http.addr?",
    ];
    assert_eq!(said, expected.map(|line| format!("{file}:{line}")));
}

/// All at once, so that nobody has to start ten times.
#[test]
fn every_problem_of_a_file_is_named_in_one_start() {
    let text = "version: 0.2\nlog: {level: loud}\nstorage:\n  filesystem: {}\n  s3: {bucket: b}\n\
                http: {addr: nowhere, limits: {maxheaders: 1}}\n\
                validation: {manifests: {references: some}}\n";
    let builder = Builder::new()
        .text(text)
        .env("REGISTRY_STORAGE_DELETE_ENABLED", "perhaps");
    let said = builder.refused();
    for (line, key) in [
        (1, "version"),
        (2, "log.level"),
        (5, "storage.s3"),
        (6, "http.addr"),
        (6, "http.limits.maxheaders"),
        (7, "validation.manifests.references"),
    ] {
        let place = format!("config.yml:{line}:");
        let found = said
            .iter()
            .any(|said| said.contains(&place) && said.contains(key));
        assert!(found, "{line} {key}: {said:#?}");
    }
    let variable = |said: &&String| said.contains("REGISTRY_STORAGE_DELETE_ENABLED");
    assert!(said.iter().find(variable).is_some(), "{said:#?}");
    let output = builder.check();
    assert_eq!(output.status.code(), Some(1));
    let lines: Vec<String> = said
        .iter()
        .map(|line| format!("roadstead: {line}"))
        .collect();
    assert_eq!(stderr(&output).lines().collect::<Vec<_>>(), lines);
    assert!(output.stdout.is_empty());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let builder = Builder::new();
    let missing = builder.path("missing.yml");
    for command in ["serve", "check"] {
        let output = builder.run([command.into(), missing.clone().into_os_string()]);
        assert_eq!(output.status.code(), Some(1));
        let said = stderr(&output);
        assert!(
            said.starts_with("roadstead: cannot read the configuration file"),
            "{said}"
        );
        assert!(
            said.contains("missing.yml") && said.contains("No such file"),
            "{said}"
        );
    }
    for broken in [
        "version: [",
        "a: b: c",
        "\t",
        "version: 0.1\nversion: 0.1\n",
        "just text",
        "[]",
    ] {
        let said = Builder::new().text(broken).refused();
        assert!(said[0].contains("config.yml:"), "{broken:?}: {said:?}");
    }
}

#[test]
fn variables_change_the_file() {
    let registry = with(OF_THE_IMAGE)
        .env("REGISTRY_STORAGE_DELETE_ENABLED", "true")
        .env("REGISTRY_HTTP_HEADERS", "{X-One: [a, b], X-Two: [c]}")
        .env("REGISTRY_HTTP_HOST", "https://registry.example")
        .env("REGISTRY_LOG_FIELDS_MY_FIELD", "of a variable")
        .env("REGISTRY_CATALOG_MAXENTRIES", "1")
        .env("REGISTRY_AUTH", "none")
        // What Kubernetes sets beside a service called registry.
        .env("REGISTRY_PORT", "tcp://10.0.0.1:5000")
        .env("REGISTRY_SERVICE_HOST", "10.0.0.1")
        .start();
    let answer = registry
        .get("/v2/")
        .send()
        .expect(200)
        .expect_header("x-two", "c");
    assert!(
        answer.header("x-content-type-options").is_none(),
        "{answer:?}"
    );
    let session = registry.post("/v2/app/blobs/uploads/").send().expect(202);
    assert!(
        session
            .need("location")
            .starts_with("https://registry.example/v2/"),
        "{session:?}"
    );
    registry
        .delete("/v2/app/manifests/unknown")
        .send()
        .expect_error(404, "MANIFEST_UNKNOWN");
    registry.wait_for_log("my_field=\"of a variable\"");
    let warnings = warnings(&registry);
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].contains("REGISTRY_PORT, REGISTRY_SERVICE_HOST"),
        "{warnings:#?}"
    );
}

/// Lists, maps of lists, lists of maps, and the names of `distribution`'s own fields.
#[test]
fn variables_reach_lists_and_maps_and_odd_names() {
    let text = "version: 0.1\nstorage: {filesystem: {}}\nauth: none\n";
    let builder = Builder::new()
        .text(text)
        .env(
            "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0",
            "^https://a\\.example/",
        )
        .env(
            "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1",
            "^https://b\\.example/",
        )
        .env("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "list")
        .env(
            "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS",
            "linux",
        )
        .env(
            "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE",
            "arm64",
        )
        .env("REGISTRY_HTTP_HEADERS_X-ONE", "[a, b]")
        .env(
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING",
            "{enabled: true, age: 5h, interval: 1h, dryrun: true}",
        );
    let output = builder.check();
    let yaml = stdout(&output);
    assert!(output.status.success(), "{}", stderr(&output));
    for part in [
        "allow: [\"^https://a\\\\.example/\", \"^https://b\\\\.example/\"]",
        "- architecture: \"arm64\"",
        "os: \"linux\"",
        "\"x-one\": [\"a\", \"b\"]",
        "age: 5h",
        "dryrun: true",
    ] {
        assert!(yaml.contains(part), "{part}:\n{yaml}");
    }
    // Not served, by the name of its field: found, and refused by the variable's name.
    let said = builder
        .clone()
        .env("REGISTRY_HEALTH_FILECHECKERS_0_FILE", "/x")
        .refused();
    assert!(
        said[0].contains("REGISTRY_HEALTH_FILECHECKERS_0_FILE"),
        "{said:?}"
    );
    assert!(said[0].contains("health.file"), "{said:?}");
}

#[test]
fn check_prints_the_effective_configuration_with_secrets_masked() {
    let builder = Builder::new().config(json!({ "http": { "secret": "canary-secret" } }));
    let output = builder.check();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let yaml = stdout(&output);
    assert!(
        !yaml.contains("canary") && !stderr(&output).contains("canary"),
        "{yaml}"
    );
    for part in [
        "version: 0.1",
        "secret: \"<secret>\"",
        "draintimeout: 10s",
        "maxconnections: 0",
        "enabled: true",
    ] {
        assert!(yaml.contains(part), "{part}:\n{yaml}");
    }
    let warnings: Vec<String> = stderr(&output).lines().map(str::to_owned).collect();
    assert!(
        warnings
            .iter()
            .any(|line| line.starts_with("warning: no auth")),
        "{warnings:?}"
    );
    // What it prints is a configuration that comes to the same.
    let again = Builder::new().text(&yaml).check();
    assert_eq!(stdout(&again), yaml, "{}", stderr(&again));
    // Nothing was started or made.
    assert!(!builder.path("data").exists());
}

/// The defaults of a start without a file, which a test cannot start with: the port is one for all.
#[test]
fn check_without_a_file_prints_the_built_in_configuration() {
    let output = Builder::new().bare().check();
    let yaml = stdout(&output);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        stderr(&output)
    );
    for part in [
        "addr: \"127.0.0.1:5000\"",
        "rootdirectory: \"./roadstead-data\"",
        "auth: none",
    ] {
        assert!(yaml.contains(part), "{part}:\n{yaml}");
    }
}

#[test]
fn a_bare_start_says_what_it_does_in_three_lines() {
    let builder = Builder::new()
        .bare()
        .env("REGISTRY_HTTP_ADDR", "127.0.0.1:0");
    let registry = builder.start();
    registry.wait_for_log("roadstead serve CONFIG");
    let log = registry.log();
    let said: Vec<&str> = log
        .lines()
        .filter(|line| !line.contains(" INFO "))
        .collect();
    assert_eq!(said.len(), 3, "{log}");
    assert!(
        said[0].contains(&format!("http://{}", registry.address())),
        "{log}"
    );
    let directory = registry.builder().path("roadstead-data");
    assert!(
        said[1].contains(&*directory.canonicalize().unwrap().to_string_lossy()),
        "{log}"
    );
    assert!(
        said[1].contains("may be deleted") && said[1].contains("no login"),
        "{log}"
    );
    assert!(said[2].contains("roadstead serve CONFIG"), "{log}");
    let digest = registry.push_blob("app", b"bare");
    registry
        .delete(format!("/v2/app/blobs/{digest}"))
        .send()
        .expect(202);
}

#[test]
fn the_path_of_the_file_may_come_from_a_variable() {
    let builder = Builder::new();
    let file = builder.path("of-a-variable.yml");
    std::fs::write(
        &file,
        "version: 0.1\nstorage: inmemory\nauth: none\nhttp: {addr: '127.0.0.1:0'}\n",
    )
    .unwrap();
    let registry = builder
        .bare()
        .env("REGISTRY_CONFIGURATION_PATH", &file.display().to_string())
        .start();
    registry.get("/v2/").send().expect(200);
    assert!(!registry.log().contains("built-in"), "{}", registry.log());
}

#[test]
fn the_command_line_explains_itself() {
    let builder = Builder::new();
    let version = builder.run(["--version"]);
    assert_eq!(
        stdout(&version),
        format!("roadstead {}\n", env!("CARGO_PKG_VERSION"))
    );
    for (arguments, parts) in [
        (
            &["--help"][..],
            &["serve", "check", "127.0.0.1:5000", "roadstead-data"][..],
        ),
        (
            &["serve", "--help"],
            &["SIGTERM", "draintimeout", "REGISTRY_"],
        ),
        (&["check", "--help"], &["secrets masked", "Exits with 1"]),
    ] {
        let output = builder.run(arguments.iter().copied());
        assert!(output.status.success());
        for part in parts {
            assert!(
                stdout(&output).contains(part),
                "{part}:\n{}",
                stdout(&output)
            );
        }
    }
    for wrong in [&["serv"][..], &["--nonsense"], &["serve", "a", "b"]] {
        let output = builder.run(wrong.iter().copied());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(stderr(&output).contains("error: "), "{}", stderr(&output));
    }
}

#[test]
fn a_log_in_json_is_json_in_every_line() {
    let mut registry = Builder::new()
        .config(json!({ "log": { "formatter": "json", "fields": { "service": "r\"1" } } }))
        .start();
    registry.get("/v2/").send().expect(200);
    registry.get("/v2/%22/tags/list").send();
    assert!(registry.terminate().success());
    registry.wait_for_log("stopped");
    for line in registry.log().lines() {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(event["service"], "r\"1", "{line}");
    }
}

/// The log of requests has a switch of its own, whatever the level of the rest.
#[test]
fn the_log_of_requests_can_be_turned_off() {
    for (log, logged) in [
        (json!({ "accesslog": { "disabled": true } }), false),
        (
            json!({ "level": "info", "accesslog": { "disabled": false } }),
            true,
        ),
    ] {
        let mut registry = Builder::new().config(json!({ "log": log })).start();
        let id = registry.get("/v2/").send().need("x-request-id").to_owned();
        assert!(registry.terminate().success());
        registry.wait_for_log("stopped");
        assert_eq!(registry.log().contains(&id), logged, "{}", registry.log());
    }
}
