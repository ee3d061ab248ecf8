//! Sets of keys, bundles of certificates, and public keys.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| roadstead_auth::fuzzing::keys(bytes));
