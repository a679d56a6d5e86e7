//! Every parser of foreign bytes against arbitrary and against nearly right input.

use std::fs;
use std::path::Path;

use peerless_sim::sample::Sample;
use peerless_tests::check;
use proptest::prelude::*;

/// Bytes of `good` with some of them changed, taken out or doubled.
fn nearly(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let edit = (any::<prop::sample::Index>(), any::<u8>(), 0_u8..3);
    prop::collection::vec(edit, 0..6).prop_map(move |edits| {
        let mut bytes = good.clone();
        for (index, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let at = index.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, byte),
            }
        }
        bytes
    })
}

/// A seed of a fuzz target.
fn seed(target: &str, name: &str) -> Vec<u8> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    fs::read(corpus.join(name)).expect("the seed is there")
}

fn udp_tracker(name: &str) -> Vec<u8> {
    seed("udp_tracker", name)
}

fn torrent() -> Vec<u8> {
    let files: &[(&[&str], usize)] = &[(&["a", "b"], 100), (&["a", "empty"], 0), (&["c"], 300)];
    Sample::with_files(2, files, 64).metainfo.raw().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn metainfo(bytes in prop_oneof![nearly(torrent()), prop::collection::vec(any::<u8>(), 0..200)]) {
        check::metainfo(&bytes);
    }

    #[test]
    fn tracker_answers(bytes in prop_oneof![
        nearly(b"d8:intervali1800e5:peers12:\x0a\0\0\x01\x1a\xe1\x0a\0\0\x02\x1a\xe115:warning message4:slowe".to_vec()),
        nearly(b"d5:peersld2:ip8:10.0.0.14:porti6881eee6:peers618:0123456789abcdef\x1a\xe1e".to_vec()),
        nearly(b"/announce?info_hash=%01%02%03%04%05%06%07%08%09%0A01234567ab&peer_id=-XX0000-abcdefghijkl\
            &port=6881&uploaded=0&downloaded=0&left=9&event=started&numwant=50".to_vec()),
        nearly(seed("tracker", "scrape")),
        nearly(seed("tracker", "scraped")),
        nearly(seed("tracker", "announce_url")),
        prop::collection::vec(any::<u8>(), 0..200),
    ]) {
        check::tracker(&bytes);
    }

    #[test]
    fn udp_trackers(bytes in prop_oneof![
        nearly(udp_tracker("announce")),
        nearly(udp_tracker("scrape")),
        nearly(udp_tracker("announced")),
        prop::collection::vec(any::<u8>(), 0..200),
    ]) {
        check::udp_tracker(&bytes);
    }

    #[test]
    fn magnet_links(bytes in prop_oneof![
        nearly(b"magnet:?xt=urn:btih:ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&dn=a+b%20c&x.pe=[::1]:1&tr=http://a/".to_vec()),
        prop::collection::vec(any::<u8>(), 0..100),
    ]) {
        check::magnet(&bytes);
    }

    #[test]
    fn extensions(bytes in prop_oneof![
        nearly(b"d1:md11:lt_donthavei7e11:upload_onlyi3e11:ut_metadatai2ee13:metadata_sizei31235e1:pi6881e\
            4:reqqi500e11:upload_onlyi1e1:v10:client 1.06:yourip4:\xC0\0\x02\x01e".to_vec()),
        nearly(b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexx".to_vec()),
        prop::collection::vec(any::<u8>(), 0..100),
    ]) {
        check::extension(&bytes);
    }

    #[test]
    fn proxies(bytes in prop_oneof![
        nearly(seed("socks5", "open")),
        nearly(seed("socks5", "login")),
        nearly(seed("socks5", "six")),
        nearly(seed("socks5", "name")),
        // A method, and answers that would do if it were right.
        (0_u8..4, 0_u8..4, any::<u16>()).prop_map(|(mode, method, cuts)| {
            let answers = [&[5, method][..], if method == 2 { &[1, 0][..] } else { &[] }, &[5, 0, 0, 1], &[7; 9]];
            [&[mode][..], &cuts.to_be_bytes(), &answers.concat()].concat()
        }),
        prop::collection::vec(prop_oneof![3 => 0_u8..6, 1 => any::<u8>()], 0..60),
    ]) {
        check::socks5(&bytes);
    }
}

/// Modes of `check::resume`, and what its seeds say.
fn resume() -> impl Strategy<Value = Vec<u8>> {
    let names = ["all", "kept", "edge", "twice"].map(|name| seed("resume", name));
    (any::<u8>(), prop::sample::select(names.to_vec())).prop_flat_map(|(mode, mut bytes)| {
        bytes[0] = mode;
        prop_oneof![Just(bytes.clone()), nearly(bytes)]
    })
}

proptest! {
    // Each case waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn resume_files(bytes in resume()) {
        check::resume(&bytes);
    }
}
