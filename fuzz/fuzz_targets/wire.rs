//! Streams of messages: see `peerless_tests::check::wire`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::wire(bytes));
