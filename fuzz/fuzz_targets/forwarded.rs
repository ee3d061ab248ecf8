//! Forwarded and X-Forwarded-* fields of a trusted proxy.
#![no_main]

libfuzzer_sys::fuzz_target!(|lines: &[u8]| roadstead_server::fuzzing::forwarded(lines));
