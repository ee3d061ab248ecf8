use proptest::prelude::*;

use super::*;

mod environment;
mod examples;
mod issuers;

/// A configuration that is complete in itself; tables append to it.
const BASE: &str = "version: 0.1\nstorage: {inmemory: {}}\nauth: none\nhttp: {addr: ':5000'}\n";

fn variables(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn read(text: &str, pairs: &[(&str, &str)]) -> Result<Loaded, ConfigError> {
    parse(text, &Source::File(Arc::from("c.yml")), &variables(pairs))
}

fn settings_of(text: &str, pairs: &[(&str, &str)]) -> Settings {
    match read(text, pairs) {
        Ok(loaded) => loaded.settings,
        Err(error) => panic!("{text}\n{pairs:?}\n{error}"),
    }
}

#[track_caller]
fn problems(text: &str, pairs: &[(&str, &str)]) -> String {
    match read(text, pairs) {
        Ok(_) => panic!("this should not start:\n{text}\n{pairs:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_built_in_configuration_serves_this_machine_only() {
    let loaded = load(None, &BTreeMap::new()).unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.http.listen.to_string(), "127.0.0.1:5000");
    assert!(settings.storage.delete);
    let Driver::Filesystem { root, database, .. } = settings.storage.driver else {
        panic!()
    };
    assert_eq!(root, Path::new("./roadstead-data"));
    assert_eq!(database, Path::new("./roadstead-data/roadstead.db"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.notes, Vec::<String>::new());
}

#[test]
fn defaults_of_a_file_are_those_of_distribution() {
    let loaded = read("version: 0.1\nstorage: filesystem\n", &[]).unwrap();
    assert_eq!(
        loaded.warnings.len(),
        1,
        "open registry: {:?}",
        loaded.warnings
    );
    assert_eq!(loaded.notes, ["http.addr is not set: :5000 is used"]);
    let settings = loaded.settings;
    assert_eq!(
        settings.http.listen,
        Listen::Tcp {
            host: None,
            port: 5000
        }
    );
    assert!(!settings.storage.delete);
    let Driver::Filesystem { root, .. } = &settings.storage.driver else {
        panic!()
    };
    assert_eq!(root, Path::new("/var/lib/registry"));
    assert_eq!(settings.storage.upload_purging.age.as_secs(), 168 * 3600);
    assert_eq!(settings.listing.catalog_max_entries, 1000);
    assert_eq!(
        settings.validation.urls,
        Urls::Checked {
            allow: vec![],
            deny: vec![]
        }
    );
    assert_eq!(settings.validation.platforms, Platforms::All);
    assert!(settings.validation.references);
    assert_eq!(settings.health.storage, None);
    assert_eq!(settings.http.prefix, "/");
}

#[test]
fn problems_name_place_and_reason() {
    let table = [
        (
            "version: 0.2",
            "c.yml:1:10: version: expected 0.1, found 0.2",
        ),
        (
            "storage: inmemory",
            "c.yml:1:1: version: a configuration needs it: version: 0.1",
        ),
        (
            "version: 0.1\nhtp: {}\nstorage: inmemory",
            "c.yml:2:1: unknown key \"htp\", did you mean http?",
        ),
        (
            "version: 0.1\nhttp:\n  adr: x\nstorage: inmemory",
            "c.yml:3:3: unknown key \"http.adr\", did you mean http.addr?",
        ),
        (
            "version: 0.1\nhttp:\n  zzz: x\nstorage: inmemory",
            "c.yml:3:3: unknown key \"http.zzz\"",
        ),
        (
            "version: 0.1\nversion: 0.1",
            "c.yml:2:1: duplicate key \"version\", first given at c.yml:1:1",
        ),
        (
            "version: 0.1\nstorage: {s3: {bucket: b}}",
            "c.yml:2:11: storage.s3 is not served by Roadstead yet",
        ),
        (
            "version: 0.1\nstorage: s3",
            "c.yml:2:10: storage.s3 is not served by Roadstead yet",
        ),
        (
            "version: 0.1\nstorage: {inmemory: , filesystem: }",
            "c.yml:2:10: storage.inmemory: one driver is enough, but filesystem is there too",
        ),
        (
            "version: 0.1\nstorage: {delete: {enabled: true}}",
            "c.yml:2:10: storage: no driver: give storage.filesystem (or storage.inmemory)",
        ),
        (
            "- 1",
            "c.yml:1:1: the configuration must be a map of sections",
        ),
        (
            "version: 0.1\nstorage: inmemory\nhttp: [1]",
            "c.yml:3:7: http must be a map, but is a list",
        ),
    ];
    for (text, expected) in table {
        let found = problems(text, &[]);
        assert!(
            found.lines().any(|line| line == expected),
            "{text}\n{found}"
        );
    }
}

#[test]
fn values_that_do_not_fit_say_what_would() {
    let table = [
        (
            "log: {level: loud}",
            "log.level: expected error, warn, info or debug, found \"loud\"",
        ),
        ("log: {formatter: logstash}", "logstash is not served"),
        ("log: {formatter: xml}", "expected text or json"),
        (
            "catalog: {maxentries: many}",
            "catalog.maxentries: expected a number",
        ),
        ("tags: {maxtags: -1}", "expected a number from 0 to"),
        (
            "validation: {disabled: maybe}",
            "expected true or false, found maybe",
        ),
        (
            "validation: {disabled: 'true'}",
            "expected true or false, found \"true\"",
        ),
        (
            "validation: {manifests: {urls: {allow: ['(']}}}",
            "is no regular expression",
        ),
        (
            "validation: {manifests: {indexes: {platforms: some}}}",
            "expected all, none or list",
        ),
        (
            "validation: {manifests: {references: some}}",
            "expected all or none",
        ),
        (
            "health: {storagedriver: {interval: 0}}",
            "must be longer than zero",
        ),
        (
            "health: {storagedriver: {interval: 5 days}}",
            "expected a duration such as",
        ),
        (
            "middleware: {storage: [{name: cloudfront}]}",
            "\"cloudfront\" is not served",
        ),
        (
            "middleware: {storage: [{name: redirect}]}",
            "baseurl: the redirect middleware needs it",
        ),
        (
            "middleware: {storage: [{name: redirect, options: {baseurl: cdn}}]}",
            "expected an http or https address",
        ),
        (
            "log: {fields: {a: [1]}}",
            "log.fields.a: expected a single value, found a list",
        ),
        (
            "notifications: {endpoints: [{name: a}]}",
            "notifications.endpoints is not served",
        ),
        ("health: {tcp: [{addr: x}]}", "health.tcp is not served"),
        (
            "proxy: {remoteurl: 'https://r'}",
            "proxy.remoteurl is not served",
        ),
        (
            "policy: {repository: {classes: [image]}}",
            "policy.repository.classes is not served",
        ),
    ];
    for (text, expected) in table {
        let found = problems(&format!("{BASE}{text}\n"), &[]);
        assert!(found.contains(expected), "{text}\n{found}");
        assert_eq!(found.lines().count(), 1, "{text}\n{found}");
    }
}

#[test]
fn http_values_that_do_not_fit_are_refused() {
    let table = [
        ("addr: '5000'", "http.addr: expected host:port"),
        ("addr: '::1:5000'", "http.addr: expected host:port"),
        ("addr: ':66000'", "http.addr: expected host:port"),
        ("net: udp", "http.net: expected tcp or unix"),
        ("net: unix", "http.addr: a unix socket needs its path here"),
        (
            "host: example.org",
            "http.host: expected an address such as",
        ),
        ("prefix: registry", "http.prefix: expected a path"),
        ("prefix: /a/../b/", "http.prefix: expected a path"),
        ("headers: {'a b': [c]}", "is no header name"),
        ("headers: {a: [\"b\\nc\"]}", "no header can have this value"),
        (
            "tls: {certificate: c}",
            "http.tls.key: a certificate needs its key",
        ),
        (
            "tls: {key: c}",
            "http.tls.certificate: a key needs its certificate",
        ),
        ("tls: {minimumtls: tls1.1}", "expected tls1.2 or tls1.3"),
        (
            "tls: {clientcas: [ca.pem]}",
            "http.tls.clientcas: it needs http.tls.certificate",
        ),
        (
            "tls: {clientauth: yes}",
            "http.tls.clientauth: expected one of request-client-cert, require-any-client-cert, \
             verify-client-cert-if-given, require-and-verify-client-cert, found \"yes\"",
        ),
        (
            "tls: {ciphersuites: [TLS_RSA_WITH_RC4_128_SHA]}",
            "http.tls.ciphersuites: \"TLS_RSA_WITH_RC4_128_SHA\" is no cipher suite that can be \
             had; these are: TLS_AES_128_GCM_SHA256, ",
        ),
        (
            "tls: {letsencrypt: {cachefile: x}}",
            "http.tls.letsencrypt.hosts: the names",
        ),
        (
            "tls: {letsencrypt: {email: a@b.c}}",
            "http.tls.letsencrypt.hosts: the names",
        ),
        (
            "tls: {certificate: c, key: k, letsencrypt: {cachefile: x, hosts: [a.b]}}",
            "http.tls.letsencrypt.cachefile: there is http.tls.certificate too",
        ),
        (
            "tls: {letsencrypt: {cachefile: x, hosts: ['*.a.b']}}",
            "http.tls.letsencrypt.hosts: expected a host name",
        ),
        (
            "tls: {letsencrypt: {cachefile: x, hosts: [a.b], email: a?b@c}}",
            "http.tls.letsencrypt.email: expected an address",
        ),
        (
            "tls: {letsencrypt: {cachefile: x, hosts: [a.b], directoryurl: 'http://c/d'}}",
            "http.tls.letsencrypt.directoryurl: expected an https URL",
        ),
        (
            "tls: {letsencrypt: {cachefile: x, hosts: [a.b], httpaddr: '80'}}",
            "http.tls.letsencrypt.httpaddr: expected host:port",
        ),
        (
            "debug: {prometheus: {enabled: true}}",
            "http.debug.prometheus.enabled is not served",
        ),
        (
            "limits: {maxheaderbytes: 1}",
            "expected a number from 8192 to 1048576, found 1",
        ),
        ("limits: {idletimeout: 0s}", "must be longer than zero"),
    ];
    for (http, expected) in table {
        let text = format!("version: 0.1\nstorage: inmemory\nauth: none\nhttp:\n  {http}\n");
        let found = problems(&text, &[]);
        assert!(found.contains(expected), "{http}\n{found}");
        assert_eq!(found.lines().count(), 1, "{http}\n{found}");
    }
}

#[test]
fn what_is_switched_off_or_empty_may_stay() {
    let table = [
        "notifications: {events: {includereferences: false}, endpoints: [{name: a, url: b, disabled: true}]}",
        "notifications: {endpoints: []}",
        "health: {file: [], http: , tcp: []}",
        "proxy: {remoteurl: ''}",
        "proxy: {remoteurl: , username: }",
        "policy: {repository: {classes: []}}",
        "log: {hooks: [{type: mail, disabled: true, levels: [panic]}], reportcaller: false}",
        "middleware: {storage: [{name: cloudfront, disabled: true}], registry: []}",
        "redis: {addrs: []}",
        "compatibility: {schema1: {enabled: false}}",
    ];
    for text in table {
        let loaded = read(&format!("{BASE}{text}\n"), &[]).unwrap_or_else(|e| panic!("{text} {e}"));
        assert_eq!(loaded.notes, Vec::<String>::new(), "{text}");
    }
}

#[test]
fn what_is_not_needed_is_accepted_with_one_line() {
    let table = [
        ("log: {reportcaller: true}", "log.reportcaller"),
        ("redis: {addrs: [a], pool: {maxidle: 16}}", "redis"),
        ("proxy: {username: u}", "proxy.username"),
    ];
    for (text, key) in table {
        let notes = read(&format!("{BASE}{text}\n"), &[]).unwrap().notes;
        assert_eq!(notes.len(), 1, "{notes:?}");
        assert!(
            notes[0].starts_with("c.yml:5:") && notes[0].contains(key),
            "{notes:?}"
        );
    }
}

#[test]
fn anchors_and_merge_keys_are_resolved() {
    let text = "version: 0.1\nstorage: {inmemory: {}}\nhttp: {addr: ':1'}\nauth: none\n\
                health:\n  storagedriver: &check {enabled: true, interval: 5s, threshold: 3}\n\
                catalog: {maxentries: &page 7}\ntags: {maxtags: *page}\n";
    let settings = settings_of(text, &[]);
    assert_eq!(settings.listing.tags_max_tags, 7);
    let merged = "version: 0.1\nstorage:\n  inmemory: {}\n  delete: &on {enabled: true}\n  \
                  maintenance:\n    readonly: {<<: *on}\n    uploadpurging: {<<: [*on], enabled: false}\n";
    let settings = settings_of(merged, &[]);
    assert!(settings.storage.read_only);
    assert!(!settings.storage.upload_purging.enabled);
}

#[test]
fn text_that_is_no_configuration_is_refused() {
    let table = [
        ("a: [", "c.yml:"),
        ("a: *b", "c.yml:1:4"),
        ("a: &a [*a]", "c.yml:1:8"),
        ("a: 1\n---\nb: 2", "more than one document"),
        ("? [a]\n: b", "a key must be a single value"),
        ("a: {<<: 1}", "`<<` takes a map"),
        ("", "version: a configuration needs it"),
    ];
    for (text, expected) in table {
        let found = problems(text, &[]);
        assert!(found.contains(expected), "{text}\n{found}");
    }
    let deep = format!("a: {}{}", "[".repeat(100), "]".repeat(100));
    assert!(problems(&deep, &[]).contains("nested too deep"));
    let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        laughs.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
    }
    assert!(problems(&laughs, &[]).contains("too large"));
}

#[test]
fn a_secret_is_in_no_output() {
    let text = "version: 0.1\nstorage: inmemory\nhttp: {addr: ':1', secret: hunter2}\nauth: none\n";
    let loaded = read(text, &[]).unwrap();
    let shown = format!("{loaded:?}{}", loaded.settings.to_yaml());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains(secret::MASK));
}

#[test]
fn the_effective_configuration_reads_back_the_same() {
    let rich = "version: 0.1
log: {level: debug, formatter: json, fields: {service: 'a \"b\"', n: 1}, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: /tmp/x}
  redirect: {disable: true}
  maintenance: {readonly: {enabled: true}, uploadpurging: {enabled: false, age: 1h30m, interval: 500ms, dryrun: true}}
metadata: {sqlite: {path: /tmp/y.db}}
http:
  addr: '[::1]:5000'
  host: https://example.org:8443/
  prefix: /a/b
  relativeurls: true
  headers: {X-A: [b, c], X-D: 'e: f'}
  draintimeout: 1m
  tls:
    certificate: c.pem
    key: k.pem
    minimumtls: tls1.3
    ciphersuites: [TLS_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]
    clientcas: [a.pem, b.pem]
    clientauth: verify-client-cert-if-given
  http2: {disabled: true}
  h2c: {enabled: true}
  debug: {addr: 'localhost:5001'}
  limits: {maxconnections: 10, idletimeout: 1500ms, minimumrate: 0}
  proxies: {trusted: [unix, 10.0.0.0/8, '::1'], protocol: true}
  ratelimits: {anonymous: {requests: 5}, user: {requests: 9, burst: 100, concurrent: 3}}
access: {audit: {path: /var/log/audit, log: true, which: denials}}
auth: {htpasswd: {realm: r, path: /p}}
middleware: {storage: [{name: redirect, options: {baseurl: 'https://cdn/x'}}]}
health: {storagedriver: {enabled: true, interval: 3s, threshold: 3}}
catalog: {maxentries: 5}
tags: {maxtags: 6}
validation:
  manifests:
    urls: {allow: ['^https?://a\\.b/'], deny: [c]}
    indexes: {platforms: List, platformlist: [{architecture: amd64, os: linux}]}
    references: none
";
    let ordered = "version: 0.1
storage: inmemory
auth: none
http:
  tls:
    letsencrypt:
      cachefile: /c
      email: a@b.c
      hosts: [A.example.org, b.example.org]
      directoryurl: https://ca.example.org/dir
      cafile: ca.pem
      httpaddr: ':80'
    clientcas: [a.pem]
";
    let sparse = "version: 0.1\nstorage: inmemory\nvalidation: {disabled: true}\n\
                  http: {net: unix, addr: /run/r.sock}\nauth: none\n";
    for text in [rich, ordered, sparse, BUILT_IN] {
        let settings = settings_of(text, &[]);
        let printed = settings.to_yaml();
        assert_eq!(settings_of(&printed, &[]), settings, "{printed}");
    }
}

#[test]
fn every_key_is_documented() {
    let document = include_str!("../../../../../docs/configuration.md");
    for key in keys::KEYS {
        assert!(
            document.contains(&format!("`{}`", key.path)),
            "{} is missing",
            key.path
        );
    }
}

proptest! {
    #[test]
    fn no_text_and_no_variable_panics(
        text in "[-a-z0-9 :{}\\[\\]&*<>|!%@\"'#,?~\\n\\t\\PC]{0,200}",
        name in "(STORAGE|HTTP|LOG|AUTH|HEALTH|PROXY|[A-Z]{1,4})(_[A-Z0-9]{0,6}){0,4}",
        value in "\\PC{0,40}",
    ) {
        let _ = read(&text, &[(&format!("REGISTRY_{name}"), &value)]);
        let _ = read(&format!("{BASE}{text}"), &[(&format!("REGISTRY_{name}"), &value)]);
    }
}
