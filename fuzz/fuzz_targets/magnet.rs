//! Magnet links: see `peerless_tests::check::magnet`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::magnet(bytes));
