//! Black-box tests: every test starts the real binary on a port of its own and speaks HTTP to it.
//!
//! One file a subject, one binary for all, so that it is linked once. A test's name states the
//! rule; its comment carries the number of the case in the project's list of cases, or of the rule
//! (`R1`…). Begin reading at [`harness`], which every suite beside this one uses.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test reports a broken expectation by panicking"
)]

#[path = "../harness/mod.rs"]
mod harness;
#[allow(
    dead_code,
    reason = "some of it is for the tests of the crate that it belongs to"
)]
#[path = "../../../auth/tests/ldap/slapd.rs"]
mod slapd;

mod access;
mod accounts;
mod audit;
mod auth;
mod backup;
mod blobs;
mod catalog;
mod clock;
mod conditions;
mod config;
mod corpus;
mod delete;
mod digests;
mod directory;
mod external;
mod files;
mod forwarded;
mod frozen;
mod history;
mod http2;
mod identity;
mod linearizable;
mod manifests;
mod modes;
mod mount;
mod names;
mod oidc;
mod process;
mod proxies;
mod proxy_protocol;
mod ranges;
mod ratelimits;
mod references;
mod referrers;
mod reload;
mod session;
mod smuggling;
mod sockets;
mod strict;
mod tags;
mod tls;
mod tls_clients;
mod tls_files;
mod token_forms;
mod uploads;
mod wire;
