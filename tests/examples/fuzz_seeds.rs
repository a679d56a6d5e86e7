//! Writes the seeds of the fuzz corpora into `fuzz/corpus`: small inputs that mean something.
//!
//! `cargo run -p peerless-tests --example fuzz_seeds` after a change to a target's input.

use std::fs;
use std::io;
use std::path::Path;

use peerless_core::magnet::Magnet;
use peerless_core::rng::Rng;
use peerless_core::unsealed_recording;
use peerless_sim::sample::Sample;
use peerless_sim::speak;
use peerless_tests::{ops, resume};

/// What a seed of `session` brings about, as it stands in the outputs' text.
const SIGHTS: &[&str] = &[
    "Job(Store",
    "Job(Read",
    "Job(Check",
    "Complete {",
    "PieceFailed",
    "PeerBanned",
    "FileDone",
    "Stopped",
    "Duplicate",
    "Ourselves",
    "Redundant",
    "Crowded",
    "UnknownTorrent",
    "ResolveFailed",
    "SaveFailed",
    "MetadataDone",
    "MetadataFailed",
    "Datagram",
    "no answer so far",
    "result: Ok(TrackerReport { peer_count: 2",
    "Scraped { url: \"udp",
];

/// A file's name and its bytes.
type Seed = (String, Vec<u8>);

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let session = session();
    let all: [(&str, Vec<Seed>); 12] = [
        ("wire", wire()),
        ("handshake", handshake()),
        ("metainfo", metainfo()),
        ("tracker", tracker()),
        ("udp_tracker", udp_tracker()),
        ("magnet", magnet()),
        ("extension", extension()),
        ("leaks", leaks(&session)),
        ("recording", recording(&session)),
        ("session", session),
        ("socks5", socks5()),
        ("resume", resume()),
    ];
    for (target, seeds) in all {
        fs::create_dir_all(corpus.join(target))?;
        for (name, bytes) in seeds {
            fs::write(corpus.join(target).join(name), bytes)?;
        }
    }
    Ok(())
}

/// A count of pieces, cuts, and messages: see `check::wire`.
fn wire() -> Vec<Seed> {
    let seed = |name: &str, cuts: [u8; 4], messages: &[(u8, &[u32], &[u8])]| {
        let mut bytes = vec![0, 19];
        bytes.extend_from_slice(&cuts);
        messages.iter().for_each(|(id, numbers, tail)| speak::message(&mut bytes, *id, numbers, tail));
        bytes.extend_from_slice(&[0; 4]);
        (name.to_owned(), bytes)
    };
    vec![
        seed("hello", [1, 3, 7, 0], &[(5, &[], &[0xFF, 0xFF, 0xF0]), (1, &[], &[]), (2, &[], &[])]),
        seed("all", [4; 4], &[(0, &[], &[]), (3, &[], &[]), (4, &[7], &[]), (6, &[1, 0, 0x4000], &[])]),
        seed("payload", [13, 200, 1, 0], &[(7, &[3, 0x4000], &[9; 100]), (8, &[3, 0x4000, 0x4000], &[])]),
        seed("unknown", [0; 4], &[(20, &[], b"\0d1:md6:ut_pexi1eee"), (99, &[], &[1; 40])]),
        seed(
            "fast",
            [3; 4],
            &[(13, &[7], &[]), (14, &[], &[]), (15, &[], &[]), (16, &[1, 0, 0x4000], &[]), (17, &[7], &[])],
        ),
        seed("odd", [5; 4], &[(4, &[], &[1, 2]), (7, &[1], &[])]),
    ]
}

fn handshake() -> Vec<Seed> {
    let whole =
        |cuts: [u8; 2]| [&cuts[..], &speak::handshake(&[1; 20], b"-XX0000-abcdefghijkl"), b"more"].concat();
    let mut half = whole([7, 7]);
    half.truncate(40);
    vec![
        ("whole".into(), whole([1, 40])),
        ("half".into(), half),
        ("http".into(), b"\x03\x01GET /announce HTTP/1.1\r\n\r\n".to_vec()),
    ]
}

fn metainfo() -> Vec<Seed> {
    let files: &[(&[&str], usize)] = &[(&["a", "b"], 100), (&["a", "empty"], 0), (&["c"], 3000)];
    let tiers: &[&[&str]] = &[&["http://a/announce", "udp://b:1/"], &["https://c/announce?key=1"]];
    let odd: &[(&[&str], usize)] = &[(&["..", "CON", "x/y"], 10), (&["", "a."], 20)];
    let raw = |sample: Sample| sample.metainfo.raw().to_vec();
    let padding = b"d4:infod5:filesld6:lengthi10e4:pathl1:aeed4:attr1:p6:lengthi6e4:pathl4:.pad1:6eed4:attr1:x\
        6:lengthi16e4:pathl1:beee4:name1:n12:piece lengthi16e6:pieces40:0123456789012345678901234567890123456789\
        7:privatei1eee";
    vec![
        ("one_file".into(), raw(Sample::new(1, 5000, 1024))),
        ("folder".into(), raw(Sample::with_files(2, files, 1024))),
        ("odd_names".into(), raw(Sample::with_files(3, odd, 16))),
        ("tiers".into(), raw(Sample::with_trackers(4, 20, 16, tiers))),
        ("padding".into(), padding.to_vec()),
    ]
}

fn tracker() -> Vec<Seed> {
    let seed = |name: &str, text: &[u8]| (name.to_owned(), text.to_vec());
    vec![
        seed("compact", b"d8:completei5e10:incompletei7e8:intervali1800e5:peers12:\x0a\0\0\x01\x1a\xe1\x0a\0\0\x02\x1a\xe1e"),
        seed("list", b"d8:intervali0e12:min intervali9e5:peersld2:ip8:10.0.0.17:peer id0:4:porti6881eeee"),
        seed("six", b"d8:intervali60e6:peers618:\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x1a\xe110:tracker id3:abce"),
        seed("failure", b"d14:failure reason12:unregisterede"),
        seed("warning", b"d5:peers0:15:warning message4:slowe"),
        seed(
            "announce",
            b"/announce?info_hash=%01%02%03%04%05%06%07%08%09%0A01234567ab&peer_id=-XX0000-abcdefghijkl&port=6881\
              &uploaded=0&downloaded=0&left=9&compact=1&event=started&numwant=50",
        ),
        seed("scrape", b"/scrape?info_hash=%01%02%03%04%05%06%07%08%09%0A01234567ab"),
        seed("scraped", b"d5:filesd20:hhhhhhhhhhhhhhhhhhhhd8:completei1e10:downloadedi2e10:incompletei3eeee"),
        seed("announce_url", b"https://t/a/announce.php?k=1#f"),
    ]
}

fn udp_tracker() -> Vec<Seed> {
    let seed = |name: &str, parts: &[&[u8]]| (name.to_owned(), parts.concat());
    let head = b"\x01\x02\x03\x04\x05\x06\x07\x08";
    let announce: &[&[u8]] = &[
        head,
        b"\0\0\0\x01abcd",
        &[b'h'; 20],
        b"-XX0000-abcdefghijkl",
        &[0; 16],
        &[0, 0, 0, 0, 0, 0, 0, 9],
        b"\0\0\0\x02\0\0\0\0\0\0\0\x05\xff\xff\xff\xff\x1a\xe1",
        b"\x02\x09/announce\0",
    ];
    let numbers = b"\0\0\x07\x08\0\0\0\x02\0\0\0\x01";
    vec![
        seed("connect", &[b"\0\0\x04\x17\x27\x10\x19\x80\0\0\0\0abcd"]),
        seed("announce", announce),
        seed("scrape", &[head, b"\0\0\0\x02abcd", &[b'h'; 40]]),
        seed("connected", &[b"\0\0\0\0abcd", head]),
        seed(
            "announced",
            &[b"\0\0\0\x01abcd", numbers, b"\x0a\0\0\x01\x1a\xe1\x0a\0\0\x02\x1a\xe1", &[1; 18]],
        ),
        seed("scraped", &[b"\0\0\0\x02abcd", numbers, numbers]),
        seed("failed", &[b"\0\0\0\x03abcdnot registered"]),
    ]
}

fn magnet() -> Vec<Seed> {
    let tiers: &[&[&str]] = &[&["http://a/announce"], &["udp://[::1]:6969/"]];
    let whole = Magnet::of(&Sample::with_trackers(1, 20, 16, tiers).metainfo).to_string();
    vec![
        ("whole".into(), whole.into_bytes()),
        (
            "base32".into(),
            b"magnet:?xt=urn:btih:ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&dn=a+b%20c&x.pe=[::1]:1&x.pe=host:80&ws=http://w/&so=0,2,4-8"
                .to_vec(),
        ),
        ("v2".into(), b"magnet:?xt=urn:btmh:1220aaaa".to_vec()),
    ]
}

fn extension() -> Vec<Seed> {
    let hello = |name: &str, text: &[u8]| (name.to_owned(), text.to_vec());
    vec![
        hello(
            "hello",
            b"d1:md11:lt_donthavei7e11:upload_onlyi3e11:ut_metadatai2e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e\
              4:reqqi500e11:upload_onlyi1e1:v10:client 1.06:yourip4:\xC0\0\x02\x01e",
        ),
        hello("none", b"d1:md11:ut_metadatai0eee"),
        hello("request", b"d8:msg_typei0e5:piecei7ee"),
        hello("data", b"d8:msg_typei1e5:piecei0e10:total_sizei34256eexx"),
        hello("reject", b"d8:msg_typei2e5:piecei7ee"),
        hello(
            "pex",
            b"d5:added12:\x0A\0\0\x01\x1A\xE1\x0A\0\0\x02\0\x007:added.f2:\x02\x106:added618:\xFD\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
              \x1A\xE18:added6.f1:\x107:dropped6:\x0A\0\0\x03\x1A\xE18:dropped60:e",
        ),
        hello("pex_without_flags", b"d5:added6:\x0A\0\0\x01\x1A\xE1e"),
    ]
}

/// For each sight the shortest of many random inputs that brings it about.
fn session() -> Vec<Seed> {
    let (mut rng, mut found) = (Rng::new(1), vec![None::<Vec<u8>>; SIGHTS.len()]);
    for _ in 0..20_000 {
        let bytes = random(&mut rng);
        let text = ops::run(&bytes, usize::MAX, false).outputs.concat();
        for (sight, best) in SIGHTS.iter().zip(&mut found) {
            if best.as_ref().is_none_or(|best| bytes.len() < best.len()) && text.contains(sight) {
                *best = Some(bytes.clone());
            }
        }
    }
    let name =
        |sight: &&str| sight.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase();
    let mut seeds: Vec<Seed> =
        SIGHTS.iter().zip(found).filter_map(|(sight, bytes)| Some((name(sight), bytes?))).collect();
    // One may bring about several.
    seeds.sort_by(|(_, a), (_, b)| a.cmp(b));
    seeds.dedup_by(|(_, a), (_, b)| a == b);
    seeds
}

/// The same by several ways and from several sources, which the first two bytes choose: see `check::leaks`.
fn leaks(session: &[Seed]) -> Vec<Seed> {
    let mut rng = Rng::new(3);
    let mut byte = || u8::try_from(rng.below(256)).expect("below 256");
    session.iter().map(|(name, bytes)| (name.clone(), [&[byte(), byte()], &bytes[..]].concat())).collect()
}

/// The records of each, without what is around them: their digests would be wrong after any change.
fn recording(session: &[Seed]) -> Vec<Seed> {
    let records = |(name, bytes): &Seed| {
        let recording = ops::run(bytes, usize::MAX, true).recording;
        Some((name.clone(), unsealed_recording(&recording).ok()?))
    };
    session.iter().filter_map(records).filter(|(_, bytes)| !bytes.is_empty()).collect()
}

/// A mode, cuts, and what the proxy says: see `check::socks5`.
fn socks5() -> Vec<Seed> {
    let seed = |name: &str, head: [u8; 3], answers: &[&[u8]]| {
        (name.to_owned(), [&head[..], &answers.concat()].concat())
    };
    let (open, login, v4) = (&[5, 0], &[5, 2, 1, 0], &[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]);
    let v6 = &[&[5, 0, 0, 4][..], &[1; 16], &[0, 80]].concat();
    vec![
        seed("open", [0, 1, 2], &[open, v4, b"\x13BitTorrent"]),
        seed("login", [1, 1, 0], &[login, v4]),
        seed("six", [2, 7, 1], &[open, v6, b"HTTP/1.1 200"]),
        seed("name", [3, 3, 3], &[login, b"\x05\0\0\x03\x04host\0\x50"]),
        seed("refused", [0, 0, 0], &[open, &[5, 5]]),
        seed("no_method", [0, 1, 1], &[&[5, 0xFF]]),
        seed("wrong_login", [1, 2, 1], &[&[5, 2, 1, 1]]),
        seed("uninvited_login", [0, 2, 1], &[login, v4]),
    ]
}

/// A mode, a length, and what the files say: see `resume::resume`.
fn resume() -> Vec<Seed> {
    // In a part file slots 0 and 1 are of pieces 1 and 2, or of each piece in its order.
    let files = [
        ("nothing", 0x08, resume::resume_file(&[], None), vec![]),
        ("all", 0x08, resume::resume_file(&[0, 1, 2, 3], None), vec![]),
        ("all_trusted", 0x0A, resume::resume_file(&[0, 1, 2, 3], None), vec![]),
        ("all_served", 0x0C, resume::resume_file(&[0, 1, 2, 3], None), vec![]),
        ("unsummed", 0x00, resume::resume_file(&[0, 1, 2, 3], None), vec![]),
        ("kept", 0xF8, resume::resume_file(&[1, 2], Some(56)), resume::part_file([2, 3, 0, 0])),
        ("kept_trusted", 0xFA, resume::resume_file(&[0, 1, 2, 3], Some(56)), resume::part_file([1, 2, 3, 4])),
        ("kept_served", 0x0C, resume::resume_file(&[0, 1, 2, 3], Some(56)), resume::part_file([1, 2, 3, 4])),
        ("edge", 0x38, resume::resume_file(&[1], Some(56)), resume::part_file([2, 0, 0, 0])),
        ("moved_out", 0x08, resume::resume_file(&[0, 1, 2, 3], Some(56)), resume::part_file([1, 2, 3, 4])),
        ("twice", 0xF8, resume::resume_file(&[1], Some(56)), resume::part_file([2, 2, 0, 0])),
    ];
    let seed = |(name, mode, resume, part): (&str, u8, Vec<u8>, Vec<u8>)| {
        let len = u16::try_from(resume.len()).expect("it is short").to_be_bytes();
        (name.to_owned(), [&[mode][..], &len, &resume, &part].concat())
    };
    files.into_iter().map(seed).collect()
}

fn random(rng: &mut Rng) -> Vec<u8> {
    let len = 100 + rng.below(900);
    (0..len).map(|_| u8::try_from(rng.below(256)).expect("below 256")).collect()
}
