//! All that can happen to a session: see `peerless_tests::check::session`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::session(bytes));
