//! Resume and part files: see `peerless_tests::check::resume`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::resume(bytes));
