//! Nothing leaves a session by a way that is not allowed: see `peerless_tests::check::leaks`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::leaks(bytes));
