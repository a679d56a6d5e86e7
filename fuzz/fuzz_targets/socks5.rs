//! What a proxy says: see `peerless_tests::check::socks5`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| peerless_tests::check::socks5(bytes));
