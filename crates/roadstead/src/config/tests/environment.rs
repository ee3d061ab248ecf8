use super::*;

const FILE: &str = "version: 0.1\nauth: none\nstorage:\n  filesystem: {rootdirectory: /a}\n  \
                    delete: {enabled: true}\nhttp:\n  addr: ':1'\n  headers: {X-A_B: [one]}\n\
                    log: {fields: {my_field: x}}\n";

#[track_caller]
fn check(pairs: &[(&str, &str)], expected: &[&str]) {
    let printed = settings_of(FILE, pairs).to_yaml();
    for line in expected {
        assert!(
            printed.lines().any(|printed| printed.trim() == *line),
            "{line}\n{printed}"
        );
    }
}

#[test]
fn a_variable_reaches_every_kind_of_place() {
    check(
        &[("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/b")],
        &["rootdirectory: \"/b\""],
    );
    check(
        &[("REGISTRY_HTTP_ADDR", "localhost:7")],
        &["addr: \"localhost:7\""],
    );
    check(&[("REGISTRY_HTTP_ADDR", "[::]:7")], &["addr: \"[::]:7\""]);
    check(
        &[("REGISTRY_HTTP_TLS", "{certificate: c, key: k}")],
        &["certificate: \"c\""],
    );
    check(&[("REGISTRY_LOGLEVEL", "debug")], &["level: debug"]);
    check(
        &[("REGISTRY_LOG_FIELDS_MY_FIELD", "y")],
        &["\"my_field\": \"y\""],
    );
    check(
        &[("REGISTRY_LOG_FIELDS_Other_Field", "y")],
        &["\"other_field\": \"y\""],
    );
    check(&[("REGISTRY_LOG_FIELDS", "{a: b}")], &["\"a\": \"b\""]);
    check(
        &[("REGISTRY_HTTP_HEADERS_X-A_B_1", "two")],
        &["\"x-a_b\": [\"one\", \"two\"]"],
    );
    check(
        &[("REGISTRY_HTTP_HEADERS_X-C", "[d, e]")],
        &["\"x-c\": [\"d\", \"e\"]"],
    );
    check(
        &[("REGISTRY_HTTP_HEADERS", "{X-C: [d]}")],
        &["\"x-c\": [\"d\"]"],
    );
    check(
        &[("REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED", "true")],
        &["readonly:"],
    );
    check(
        &[(
            "REGISTRY_STORAGE_MAINTENANCE_UPLOADPURGING",
            "{enabled: false, age: 5h}",
        )],
        &["age: 5h"],
    );
    check(
        &[("REGISTRY_METADATA_SQLITE_PATH", "/m.db")],
        &["path: \"/m.db\""],
    );
    check(
        &[("REGISTRY_HTTP_LIMITS_MAXSTREAMS", "9")],
        &["maxstreams: 9"],
    );
}

#[test]
fn lists_are_set_by_index_scalar_elements_too() {
    check(
        &[
            ("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_0", "^https://a/"),
            ("REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_1", "^https://b/"),
            ("REGISTRY_VALIDATION_MANIFESTS_URLS_DENY", "[x, y]"),
        ],
        &[
            "allow: [\"^https://a/\", \"^https://b/\"]",
            "deny: [\"x\", \"y\"]",
        ],
    );
    check(
        &[
            ("REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMS", "list"),
            (
                "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_ARCHITECTURE",
                "arm64",
            ),
            (
                "REGISTRY_VALIDATION_MANIFESTS_INDEXES_PLATFORMLIST_0_OS",
                "linux",
            ),
        ],
        &["- architecture: \"arm64\"", "os: \"linux\""],
    );
    check(
        &[
            ("REGISTRY_MIDDLEWARE_STORAGE_0_NAME", "redirect"),
            (
                "REGISTRY_MIDDLEWARE_STORAGE_0_OPTIONS_BASEURL",
                "https://cdn/",
            ),
        ],
        &["options: {baseurl: \"https://cdn/\"}"],
    );
}

#[test]
fn a_scalar_on_a_driver_map_replaces_it_before_its_children_come() {
    check(
        &[
            ("REGISTRY_STORAGE", "filesystem"),
            ("REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY", "/c"),
            ("REGISTRY_AUTH", "htpasswd"),
            ("REGISTRY_AUTH_HTPASSWD_REALM", "r"),
            ("REGISTRY_AUTH_HTPASSWD_PATH", "/p"),
        ],
        &["rootdirectory: \"/c\"", "realm: \"r\"", "path: \"/p\""],
    );
    assert!(
        !settings_of(FILE, &[("REGISTRY_STORAGE", "filesystem")])
            .storage
            .delete
    );
    assert!(matches!(
        settings_of(FILE, &[("REGISTRY_STORAGE", "inmemory")])
            .storage
            .driver,
        Driver::InMemory
    ));
}

#[test]
fn variables_apply_to_the_built_in_configuration() {
    let variables = variables(&[("REGISTRY_HTTP_ADDR", ":7"), ("HOME", "/root")]);
    let loaded = load(None, &variables).unwrap();
    assert_eq!(
        loaded.settings.http.listen,
        Listen::Tcp {
            host: None,
            port: 7
        }
    );
}

#[test]
fn a_bad_variable_is_named() {
    let table = [
        (
            "REGISTRY_STORAGE_S3_BUCKET",
            "b",
            "storage.s3 is not served by Roadstead yet",
        ),
        (
            "REGISTRY_HTTP_DRAINTIMEOUT",
            "soon",
            "http.draintimeout: expected a duration",
        ),
        (
            "REGISTRY_STORAGE_DELETE_ENABLED",
            "maybe",
            "expected true or false, found maybe",
        ),
        ("REGISTRY_HTTP_HEADERS", "{a: [", ""),
        (
            "REGISTRY_HTTP",
            "{addr: ':1', ports: 2}",
            "unknown key \"http.ports\"",
        ),
        (
            "REGISTRY_VALIDATION_MANIFESTS_URLS_ALLOW_3",
            "x",
            "index 3 leaves a gap",
        ),
        (
            "REGISTRY_NOTIFICATIONS_ENDPOINTS_0_URL",
            "http://x",
            "notifications.endpoints is not",
        ),
        (
            "REGISTRY_HEALTH_FILECHECKERS_0_FILE",
            "/x",
            "health.file is not served",
        ),
        (
            "REGISTRY_HEALTH_FILE_0_FILE",
            "/x",
            "health.file is not served",
        ),
        (
            "REGISTRY_HEALTH_TCPCHECKERS",
            "[{addr: x}]",
            "health.tcp is not served",
        ),
        (
            "REGISTRY_LOG_HOOKS_0_MAILOPTIONS_FROM",
            "x",
            "log.hooks is not served",
        ),
        (
            "REGISTRY_HTTP_DEBUG_PROMETHEUS_ENABLED",
            "true",
            "prometheus.enabled is not served",
        ),
        (
            "REGISTRY_STORAGE_GCS_KEYFILE",
            "/k",
            "storage.gcs is not served",
        ),
        (
            "REGISTRY_HTTP_SECRET_FILE",
            "/nowhere/at/all",
            "cannot read the secret from",
        ),
    ];
    for (name, value, expected) in table {
        let found = problems(FILE, &[(name, value)]);
        assert!(found.starts_with(&format!("{name}: ")), "{found}");
        assert!(found.contains(expected), "{name}\n{found}");
        assert_eq!(found.lines().count(), 1, "{name}\n{found}");
    }
}

#[test]
fn names_that_lead_nowhere_are_one_warning() {
    let pairs = [
        ("REGISTRY_CONFIGURATION_PATH", "/x"),
        ("REGISTRY_PORT", "tcp://10.0.0.1:5000"),
        ("REGISTRY_PORT_5000_TCP_ADDR", "10.0.0.1"),
        ("REGISTRY_SERVICE_HOST", "10.0.0.1"),
        ("REGISTRY_HTTP_ADDR_X", "y"),
        ("REGISTRY_", "y"),
        ("UNRELATED", "y"),
    ];
    let warnings = read(FILE, &pairs).unwrap().warnings;
    assert_eq!(
        warnings,
        [
            "no configuration key answers to REGISTRY_, REGISTRY_HTTP_ADDR_X, REGISTRY_PORT, \
          REGISTRY_PORT_5000_TCP_ADDR, REGISTRY_SERVICE_HOST: ignored"
        ]
    );
    let warnings = read(FILE, &[("REGISTRY_VERSION", "0.2")]).unwrap().warnings;
    assert_eq!(
        warnings,
        ["REGISTRY_VERSION is ignored: the version belongs to the file"]
    );
}

#[test]
fn a_secret_may_come_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("secret");
    std::fs::write(&path, "a: b # c\n").unwrap();
    let settings = settings_of(
        FILE,
        &[("REGISTRY_HTTP_SECRET_FILE", path.to_str().unwrap())],
    );
    assert_eq!(settings.http.secret, Some(secret::Secret::new("a: b # c")));
    let settings = settings_of(FILE, &[("REGISTRY_HTTP_SECRET", "a: b # c")]);
    assert!(settings.http.secret.is_some());
}
