//! Handshakes: see `peerless_tests::check::handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::handshake(bytes));
