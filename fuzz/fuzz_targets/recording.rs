//! Recordings: see `peerless_tests::check::recording`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::recording(bytes));
