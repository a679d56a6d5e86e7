//! Packets of UDP trackers and of their clients: see `peerless_tests::check::udp_tracker`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::udp_tracker(bytes));
