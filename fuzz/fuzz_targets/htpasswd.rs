//! Files of users.
#![no_main]

libfuzzer_sys::fuzz_target!(|file: &[u8]| roadstead_auth::fuzzing::htpasswd(file));
