//! Configurations with the keys of those that `distribution` ships: each starts, or names exactly
//! what is not served yet.

use super::*;

#[test]
fn its_image_configuration_starts() {
    let text = "version: 0.1
log:
  fields: {service: registry}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /var/lib/registry}
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
";
    let loaded = read(text, &[]).unwrap();
    assert_eq!(loaded.notes.len(), 1, "{:?}", loaded.notes);
    assert!(
        loaded.notes[0].starts_with("c.yml:5:3: storage.cache"),
        "{:?}",
        loaded.notes
    );
    assert_eq!(loaded.warnings.len(), 1, "{:?}", loaded.warnings);
    assert_eq!(loaded.settings.health.storage.unwrap().threshold, 3);
    assert_eq!(loaded.settings.http.headers.len(), 1);
}

#[test]
fn its_example_with_htpasswd_starts() {
    let text = "version: 0.1
log: {fields: {service: registry}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /var/lib/registry}
  tag: {concurrencylimit: 8}
http:
  addr: :5000
  headers: {X-Content-Type-Options: [nosniff]}
auth:
  htpasswd: {realm: basic-realm, path: /etc/registry}
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
";
    let loaded = read(text, &[]).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.notes.len(), 2, "{:?}", loaded.notes);
    assert!(matches!(loaded.settings.auth, Auth::Htpasswd { .. }));
}

#[test]
fn its_development_configuration_lacks_only_prometheus() {
    let text = |prometheus: bool| {
        format!(
            "version: 0.1
log:
  level: debug
  fields: {{service: registry, environment: development}}
storage:
  delete: {{enabled: true}}
  cache: {{blobdescriptor: inmemory}}
  filesystem: {{rootdirectory: /var/lib/registry}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
  tag: {{concurrencylimit: 8}}
http:
  addr: :5000
  debug:
    addr: :5001
    prometheus:
      enabled: {prometheus}
      path: /metrics
  headers: {{X-Content-Type-Options: [nosniff]}}
health:
  storagedriver: {{enabled: true, interval: 10s, threshold: 3}}
"
        )
    };
    assert_eq!(
        problems(&text(true), &[]),
        "c.yml:16:7: http.debug.prometheus.enabled is not served by Roadstead yet"
    );
    let settings = settings_of(&text(false), &[]);
    assert_eq!(
        settings.http.debug,
        Some(Listen::Tcp {
            host: None,
            port: 5001
        })
    );
}

#[test]
fn its_cache_configuration_lacks_only_the_proxy() {
    let text = "version: 0.1
log: {level: debug, fields: {service: registry}}
storage:
  cache: {blobdescriptor: redis}
  filesystem: {rootdirectory: /var/lib/registry-cache}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: :5000
  secret: notverysecret
  debug: {addr: 'localhost:5001'}
  headers: {X-Content-Type-Options: [nosniff]}
redis:
  addr: localhost:6379
  pool: {maxidle: 16, maxactive: 64, idletimeout: 300s}
  dialtimeout: 10ms
notifications:
  events: {includereferences: true}
  endpoints:
    - name: local
      url: http://localhost:5003/callback
      headers: {Authorization: [Bearer example]}
      timeout: 1s
      threshold: 10
      backoff: 1s
      disabled: true
proxy:
  remoteurl: https://registry-1.docker.io
  username: username
  password: password
  cacheTTL: 48h
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
";
    assert_eq!(
        problems(text, &[]),
        "c.yml:27:3: proxy.remoteurl is not served by Roadstead yet"
    );
}
