//! PROXY headers, versions 1 and 2.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| roadstead_server::fuzzing::proxy_protocol(bytes));
