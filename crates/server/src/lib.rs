//! HTTP: from a connection to a typed request, and from an answer of the registry to bytes.
//!
//! Knows no SQL and no file; what it is allowed to do comes from `auth`, what happens is decided in
//! `registry`. Connections are bounded in number, memory and time (`listener.rs`, `connection.rs`,
//! `paced.rs`); a request takes the same few steps for every endpoint.
//!
//! Read first: `app.rs` (the way of a request) and `routes.rs` (what a path names).

mod acme;
mod activity;
mod app;
mod audit;
mod authorise;
mod body;
mod conditional;
mod connection;
pub mod debug;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gradual;
mod handlers;
mod head;
mod headers;
mod health;
mod limits;
mod listener;
mod multipart;
mod outgoing;
mod pace;
mod paced;
mod perimeter;
mod query;
mod record;
mod request_id;
mod request_log;
mod room;
mod routes;
mod service;
mod stream;
mod strict;
mod tls;
mod workers;

pub use acme::{
    Acme, AcmeDirectory, AcmeHost, AcmeSettings, AcmeStore, AcmeStoreError, NotAHost, Stored,
};
pub use app::{App, AppSettings};
pub use audit::{Audit, AuditError, AuditSettings, Decision, Event, Which};
pub use headers::token_url;
pub use health::Health;
pub use limits::Limits;
pub use listener::{ServeError, Server, Socket};
pub use perimeter::{Limit, Perimeter, Proxies, RateSettings};
pub use tls::{
    CipherSuite, ClientAuth, ClientAuthMode, Identity, Tls, TlsError, TlsSettings, TlsVersion,
    UnknownCipherSuite,
};
