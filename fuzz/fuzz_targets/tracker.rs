//! Trackers' answers: see `peerless_tests::check::tracker`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::tracker(bytes));
