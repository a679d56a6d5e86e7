//! Messages of extensions: see `peerless_tests::check::extension`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::extension(bytes));
