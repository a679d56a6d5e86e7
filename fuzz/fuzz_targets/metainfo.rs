//! .torrent files: see `peerless_tests::check::metainfo`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::metainfo(bytes));
