//! The configuration that each server is compared with.
//!
//! No server writes a line a request, save Roadstead where it is measured as it comes. Everything
//! else that changes a figure is set as the server's own documentation advises for speed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Contestant, Kind};
use crate::content::{MANIFEST_TYPE, REPOSITORY};
use crate::http::Certificate;

/// What all servers of a case have in common.
#[derive(Clone, Copy, Default)]
pub(crate) struct Setup<'a> {
    pub(crate) tls: Option<&'a Certificate>,
    /// The blob of which parts are asked for.
    pub(crate) large: Option<&'a str>,
    /// Sections of Roadstead's configuration file, by their names; without any it has no file.
    pub(crate) sections: Option<&'a Map<String, Value>>,
}

/// Roadstead's configuration file, where it has one.
pub(crate) fn config_file(directory: &Path) -> PathBuf {
    directory.join("config.yml")
}

/// Where nginx finds what it serves.
pub(crate) fn document_root(directory: &Path) -> PathBuf {
    directory.join("files")
}

/// Where Roadstead keeps its content.
pub(crate) fn data_directory(directory: &Path) -> PathBuf {
    directory.join("roadstead-data")
}

/// Writes the configuration into the directory and returns the command that serves with it.
///
/// # Errors
/// Those of the file system.
pub(crate) fn command(
    contestant: &Contestant,
    directory: &Path,
    address: SocketAddr,
    setup: Setup<'_>,
) -> Result<Command> {
    let tls = setup.tls;
    let mut command = Command::new(&contestant.program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("REGISTRY_") || text.starts_with("OTEL_") || text == "RUST_LOG" {
            command.env_remove(&name);
        }
    }
    command.current_dir(directory);
    match contestant.kind {
        Kind::RoadsteadAsItComes | Kind::Roadstead => {
            command.env("REGISTRY_HTTP_ADDR", address.to_string());
            if contestant.kind == Kind::Roadstead {
                command.env("REGISTRY_LOG_ACCESSLOG_DISABLED", "true");
            }
            if let Some(sections) = setup.sections {
                let file = config_file(directory);
                std::fs::write(&file, roadstead(directory, sections))?;
                command.arg("serve").arg(file);
            }
            if let Some(tls) = tls {
                command
                    .env("REGISTRY_HTTP_TLS_CERTIFICATE", &tls.certificate)
                    .env("REGISTRY_HTTP_TLS_KEY", &tls.key);
            }
        }
        Kind::Nginx => {
            let file = directory.join("nginx.conf");
            std::fs::write(&file, nginx(directory, address, setup))?;
            command.arg("-p").arg(directory).arg("-c").arg(file);
            command.args(["-e", "stderr"]);
        }
        Kind::Distribution => {
            let file = directory.join("config.yml");
            std::fs::write(&file, distribution(directory, address, tls))?;
            // Without it version 3 looks for a collector of traces.
            command.env("OTEL_TRACES_EXPORTER", "none");
            command.arg("serve").arg(file);
        }
        Kind::Zot => {
            let file = directory.join("config.json");
            std::fs::write(&file, zot(directory, address, tls))?;
            command.arg("serve").arg(file);
        }
    }
    Ok(command)
}

fn nginx(directory: &Path, address: SocketAddr, setup: Setup<'_>) -> String {
    let at = directory.display();
    let files = document_root(directory);
    // Workers of root are somebody else, who may not look into a private directory.
    let user = if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    // With tcp_nopush this server never switches Nagle's algorithm off, and the end of an answer
    // that is a little longer than the loopback's packets waits 40 ms for an acknowledgement.
    let large = setup.large.map_or_else(String::new, |digest| {
        format!("location = /v2/{REPOSITORY}/blobs/{digest} {{ tcp_nopush off; }}")
    });
    let (ssl, tls) = match setup.tls {
        None => ("", String::new()),
        Some(tls) => (
            " ssl",
            format!(
                "ssl_certificate {}; ssl_certificate_key {}; ssl_protocols TLSv1.3;",
                tls.certificate.display(),
                tls.key.display()
            ),
        ),
    };
    format!(
        "daemon off; worker_processes 2; worker_rlimit_nofile 16384; pid {at}/nginx.pid; {user}
         error_log stderr error;
         events {{ worker_connections 4096; }}
         http {{
             access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;
             keepalive_requests 1000000000; keepalive_timeout 75s;
             open_file_cache max=1000 inactive=1h; open_file_cache_valid 1h;
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy;
             fastcgi_temp_path {at}/fastcgi; uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             types {{}} default_type application/octet-stream;
             server {{
                 listen {address}{ssl}; {tls}
                 root {files};
                 location /v2/{REPOSITORY}/manifests/ {{ default_type {MANIFEST_TYPE}; }}
                 {large}
             }}
         }}\n",
        files = files.display()
    )
}

/// What is built in, and the sections of a case. JSON is YAML.
fn roadstead(directory: &Path, sections: &Map<String, Value>) -> String {
    let mut config = json!({
        "version": 0.1,
        "storage": {
            "filesystem": { "rootdirectory": data_directory(directory) },
            "delete": { "enabled": true },
        },
    });
    if let Some(config) = config.as_object_mut() {
        config.extend(sections.clone());
    }
    config.to_string()
}

/// JSON is YAML.
fn distribution(directory: &Path, address: SocketAddr, tls: Option<&Certificate>) -> String {
    let mut http = json!({ "addr": address.to_string(), "secret": "bench" });
    if let (Some(tls), Some(http)) = (tls, http.as_object_mut()) {
        let pair = json!({ "certificate": tls.certificate, "key": tls.key });
        http.insert("tls".to_owned(), pair);
    }
    let config = json!({
        "version": 0.1,
        "log": { "level": "error", "accesslog": { "disabled": true } },
        "storage": {
            "filesystem": { "rootdirectory": directory.join("data") },
            "delete": { "enabled": true },
            "cache": { "blobdescriptor": "inmemory" },
        },
        "http": http,
    });
    config.to_string()
}

fn zot(directory: &Path, address: SocketAddr, tls: Option<&Certificate>) -> String {
    let mut http = json!({
        "address": address.ip().to_string(),
        "port": address.port().to_string(),
    });
    if let (Some(tls), Some(http)) = (tls, http.as_object_mut()) {
        let pair = json!({ "cert": tls.certificate, "key": tls.key });
        http.insert("tls".to_owned(), pair);
    }
    let config = json!({
        "distSpecVersion": "1.1.1",
        "storage": { "rootDirectory": directory.join("data"), "gc": false, "dedupe": false },
        "http": http,
        "log": { "level": "error" },
    });
    config.to_string()
}
