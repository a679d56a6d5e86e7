//! The properties as functions of bytes: proptest, fuzz targets and saved regressions call these.
//!
//! Each panics, with the property in words, when it does not hold.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use peerless_core::extension::{Hello, MetadataMessage, PEX_COUNT_MAX, PexMessage};
use peerless_core::magnet::Magnet;
use peerless_core::metainfo::{Edit, Metainfo};
use peerless_core::rng::Rng;
use peerless_core::tracker::udp::{Answer, Request, connect};
use peerless_core::tracker::{
    AnnounceError, INTERVAL_MAX, INTERVAL_MIN, PEER_COUNT_MAX, TrackerOptions, TrackerServer, parse_announce,
    parse_scrape, scrape_url,
};
use peerless_core::webseed;
use peerless_core::wire::{
    Decoder, HANDSHAKE_LEN, HandshakeDecoder, HandshakeStep, Message, Socks5, Socks5Error, Socks5Step,
    Socks5Target, Step, WireError,
};

use peerless_core::{InfoHash, Instant, IpFamily, Login, Secret, renamed, replay, sealed_recording};

use crate::ops;
pub use crate::resume::resume;
use peerless_sim::speak::{Ear, Heard};

/// Cuts a stream into parts whose lengths `lens` give, over and over; a length of 0 counts as 256.
pub fn cut<'a>(mut stream: &'a [u8], lens: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    let mut lens = lens.iter().cycle();
    while !stream.is_empty() {
        let len = lens.next().map_or(stream.len(), |&len| if len == 0 { 256 } else { len.into() });
        let (part, rest) = stream.split_at(len.min(stream.len()));
        parts.push(part);
        stream = rest;
    }
    parts
}

/// A stream of messages, cut anywhere, gives the same messages; each encodes to the bytes it came
/// from; the stash keeps its bound; and an ear that shares no code hears the same.
///
/// The first two bytes give the count of pieces, the next four the cuts, the rest is the stream.
pub fn wire(bytes: &[u8]) {
    let Some((head, stream)) = bytes.split_first_chunk::<6>() else {
        return;
    };
    let piece_count = 1 + u32::from(u16::from_be_bytes([head[0], head[1]]));
    let whole = decode(piece_count, &[stream]);
    assert_eq!(whole, decode(piece_count, &cut(stream, &head[2..])), "a cut changes the messages");
    let (messages, _) = whole;
    let again = messages.concat();
    assert!(stream.starts_with(&again), "a message does not encode to the bytes it came from");
    let mut heard = 0;
    Ear::behind_handshake().hear(&again, |one| {
        let Heard::Message { id, len, .. } = one else { panic!("a handshake among messages") };
        let want: &[u8] = &messages[heard];
        assert_eq!((id, len as usize), (want.get(4).copied(), want.len() - 4), "message {heard} is misread");
        heard += 1;
    });
    assert_eq!(heard, messages.len(), "messages are lost");
}

/// The messages of a stream in parts, encoded again, and how it ended.
fn decode(piece_count: u32, parts: &[&[u8]]) -> (Vec<Vec<u8>>, Result<(), WireError>) {
    let (mut decoder, mut messages) = (Decoder::new(piece_count), Vec::new());
    for part in parts {
        let mut rest = *part;
        loop {
            let heap_len_max = decoder.heap_len_max();
            match decoder.step(rest) {
                Ok(Step::Message { message, used }) => {
                    messages.push(encoded(&message));
                    rest = &rest[used..];
                }
                Ok(Step::NeedMore) => break,
                Err(error) => return (messages, Err(error)),
            }
            assert!(decoder.heap_len() <= heap_len_max, "the stash passes its bound");
        }
    }
    (messages, Ok(()))
}

fn encoded(message: &Message<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

/// A handshake cut anywhere means the same, encodes to its bytes, and leaves what follows.
///
/// The first two bytes give the cuts.
pub fn handshake(bytes: &[u8]) {
    let Some((lens, stream)) = bytes.split_first_chunk::<2>() else {
        return;
    };
    let whole = HandshakeDecoder::default().step(stream);
    if let Ok(HandshakeStep::Done { handshake, used }) = whole {
        assert_eq!(used, HANDSHAKE_LEN, "a handshake of another length");
        assert_eq!(handshake.encode(), stream[..used], "a handshake does not encode to its bytes");
    }
    let (mut decoder, mut taken) = (HandshakeDecoder::default(), 0);
    for part in cut(stream, lens) {
        match decoder.step(part) {
            Ok(HandshakeStep::NeedMore) => taken += part.len(),
            Ok(HandshakeStep::Done { handshake, used }) => {
                let used = taken + used;
                assert_eq!(whole, Ok(HandshakeStep::Done { handshake, used }), "a cut changes it");
                return;
            }
            Err(error) => return assert_eq!(whole, Err(error), "a cut changes the error"),
        }
    }
    assert_eq!(whole, Ok(HandshakeStep::NeedMore), "a cut hides it");
}

/// What a proxy says means the same however it is cut, the login goes to nobody who does not ask for it,
/// and a connection is made only where an obvious reading of the answers has one, with what follows
/// left as it is.
///
/// The first byte says whether there is a login and whether the target is a name, the next two give
/// the cuts, the rest is what the proxy says.
pub fn socks5(bytes: &[u8]) {
    let Some((&[mode, first, second], answers)) = bytes.split_first_chunk() else {
        return;
    };
    let secret = |text: &str| Secret::new(text.as_bytes().to_vec()).expect("it is short");
    let login = (mode & 1 != 0).then(|| Login { user: secret("user"), password: secret("hunter2") });
    let target = match mode & 2 {
        0 => Socks5Target::Addr(SocketAddr::from(([192, 0, 2, 1], 6881))),
        _ => Socks5Target::Name("host.example".to_owned(), 80),
    };
    let socks = Socks5::new(target, login.clone());
    let whole = negotiate(socks.clone(), &[answers]);
    assert_eq!(whole, negotiate(socks, &cut(answers, &[first, second])), "a cut changes what is meant");
    let (sent, end) = whole;
    let is_asked_for = login.is_some() && answers.starts_with(&[5, 2]);
    let told = sent.iter().any(|bytes| bytes.windows(7).any(|part| part == b"hunter2"));
    assert_eq!(
        told, is_asked_for,
        "the password goes to a proxy that asks for none, or not to one that does"
    );
    assert!(sent.len() <= 2 && sent.concat().len() <= 600, "more is sent than two answers");
    assert_eq!(end.and_then(Result::ok), connected(answers, login.is_some()), "another end");
}

/// What is sent, and how it ends: with so many bytes left over, or not.
fn negotiate(mut socks: Socks5, parts: &[&[u8]]) -> (Vec<Vec<u8>>, Option<Result<usize, Socks5Error>>) {
    let (mut sent, mut left) = (Vec::new(), parts.concat().len());
    for part in parts {
        let mut rest = *part;
        loop {
            match socks.step(rest) {
                Ok(Socks5Step::NeedMore) => break,
                Ok(Socks5Step::Send { bytes, used, is_secret }) => {
                    assert_eq!(is_secret, bytes.first() == Some(&1), "a login is not kept secret");
                    sent.push(bytes);
                    left -= used;
                    rest = &rest[used..];
                }
                Ok(Socks5Step::Done { used }) => return (sent, Some(Ok(left - used))),
                Err(error) => return (sent, Some(Err(error))),
            }
        }
        left -= rest.len();
    }
    (sent, None)
}

/// How many bytes follow the answers of a proxy that has connected; `None` if it has not.
fn connected(answers: &[u8], may_log_in: bool) -> Option<usize> {
    let after_login = match answers {
        [5, 0, rest @ ..] => rest,
        [5, 2, 1, 0, rest @ ..] if may_log_in => rest,
        _ => return None,
    };
    let (addr_len, rest) = match after_login {
        [5, 0, _, 1, rest @ ..] => (4, rest),
        [5, 0, _, 3, len, rest @ ..] => (usize::from(*len), rest),
        [5, 0, _, 4, rest @ ..] => (16, rest),
        _ => return None,
    };
    rest.len().checked_sub(addr_len + 2)
}

/// An edit leaves `info` as it is, and what it puts in is read.
fn check_edit(torrent: &Metainfo) {
    let url = "http://h/d/".to_owned();
    let edit = Edit { web_seeds: Some(vec![url.clone()]), comment: Some("c".into()), ..Edit::default() };
    // A file at the limit of what is read may not grow.
    let Ok(edited) = Metainfo::parse(torrent.edited(&edit)) else { return };
    assert_eq!(edited.info(), torrent.info(), "an edit changes info");
    assert_eq!(edited.tiers(), torrent.tiers(), "an edit changes what it does not name");
    assert_eq!((edited.web_seeds(), edited.comment()), (vec![url.clone()], Some("c".to_owned())));
    let first = torrent.geometry().piece(0).map(|piece| torrent.geometry().whole(piece));
    let parts = webseed::parts(torrent, &url, first.as_slice());
    let len: u64 = parts.iter().map(|part| part.len).sum();
    assert_eq!(Some(len), first.map(|first| u64::from(first.len())), "parts of another length");
    assert!(
        parts.iter().flat_map(|part| &part.url).all(|url| url.is_ascii() && !url.contains([' ', '\\', '#']))
    );
}

/// Arbitrary bytes are a torrent or an error; a torrent is whole: its files cover its bytes, no
/// path leaves the folder, no two files share one, and what was read reads the same again.
pub fn metainfo(bytes: &[u8]) {
    let Ok(torrent) = Metainfo::parse(bytes.to_vec()) else {
        return;
    };
    assert_eq!(torrent.raw(), bytes, "the file was changed");
    assert_eq!(torrent.info_hash(), InfoHash::of(torrent.info()), "the hash is of something else");
    assert_eq!(Metainfo::parse(bytes.to_vec()).as_ref(), Ok(&torrent), "it reads differently again");
    check_edit(&torrent);
    let (geometry, files) = (torrent.geometry(), torrent.layout().files());
    let mut offset = 0;
    let mut paths = BTreeSet::new();
    for file in files {
        assert_eq!(file.offset, offset, "a gap before {}", file.path);
        offset += file.len;
        if !file.padding {
            check_path(&file.path, torrent.name());
            assert!(paths.insert(file.path.as_str()), "{} is there twice", file.path);
        }
    }
    for path in &paths {
        let folder = format!("{path}/");
        let inside = paths.range(folder.as_str()..).next().is_some_and(|next| next.starts_with(&folder));
        assert!(!inside, "{path} is a file and a folder");
    }
    assert_eq!(offset, geometry.total_len(), "the files are not the torrent");
    let ends = geometry.pieces().take(50).chain(geometry.pieces().rev().take(50));
    for piece in ends {
        let len: u64 = torrent.layout().spans(geometry, geometry.whole(piece)).map(|span| span.len).sum();
        assert_eq!(len, u64::from(geometry.len_of(piece)), "{piece:?} is not covered");
    }
}

fn check_path(path: &str, name: &str) {
    let mut parts = path.split('/');
    assert_eq!(parts.next(), Some(name), "{path} is not below the torrent's name");
    for part in path.split('/') {
        assert!(!matches!(part, "" | "." | ".."), "{path} leaves the folder");
        assert!(part.len() <= 255, "{path} has a component that is too long");
        assert!(!part.contains(|c: char| c == '\\' || c.is_control()), "{path:?} is not safe");
    }
}

/// Arbitrary bytes are a tracker's answer or an error; what is taken from it is within its bounds.
/// Arbitrary text is the announce URL of a tracker with a scrape, whose URL can then be asked for, or
/// not. And arbitrary requests are answered by our own tracker in a way that we can read.
pub fn tracker(bytes: &[u8]) {
    if let Ok(answer) = parse_announce(bytes) {
        for interval in [Some(answer.interval), answer.min_interval].into_iter().flatten() {
            assert!((INTERVAL_MIN..=INTERVAL_MAX).contains(&interval), "an interval of {interval:?}");
        }
        assert!(answer.peers.len() <= PEER_COUNT_MAX, "{} peers", answer.peers.len());
        for peer in answer.peers {
            check_addr(&peer);
        }
        assert!(answer.warning.is_none_or(|text| text.len() <= 3 * 500), "the warning is a book");
        assert!(answer.tracker_id.is_none_or(|id| id.len() <= 256), "the tracker id is a book");
    }
    let hashes = [InfoHash::new([b'h'; 20]), InfoHash::new([0xFF; 20])];
    if let Ok(counts) = parse_scrape(bytes, &hashes) {
        assert_eq!(counts.len(), hashes.len(), "the counts of another number of swarms");
    }
    let target = String::from_utf8_lossy(bytes);
    if let Some(url) = scrape_url(&target, &hashes) {
        let asked = format!("info_hash={}&info_hash={}", "h".repeat(20), "%FF".repeat(20));
        assert!(url.ends_with(&asked), "{url} asks for other swarms");
        assert!(url.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#'), "{url} can't be sent");
        assert!(url.contains("/scrape"), "{url} is no scrape");
    }
    let mut server = TrackerServer::new(TrackerOptions::default(), [7; 32]);
    for from in ["10.0.0.1", "fe80::1"].map(|ip| ip.parse().expect("an address")) {
        let answer = server.handle_http(Instant::START, &mut Rng::new(1), from, &target);
        let read = match answer.status {
            200 if target.starts_with("/announce") => parse_announce(&answer.body).map(drop),
            200 if target.starts_with("/scrape") => parse_scrape(&answer.body, &hashes).map(drop),
            _ => Ok(()),
        };
        if let Err(error) = read {
            let refused = matches!(error, AnnounceError::Failure { .. });
            assert!(refused, "we can't read our own answer: {error}");
        }
    }
}

/// A peer can be there.
fn check_addr(addr: &SocketAddr) {
    assert!(addr.port() != 0 && !addr.ip().is_unspecified(), "{addr} can't be dialled");
    assert!(!addr.ip().is_multicast(), "{addr} is no one's address");
}

/// Arbitrary bytes are an answer of a UDP tracker or not; what is taken from it is within its bounds.
/// And our own tracker answers arbitrary bytes only with a connection id of the sender's, in a way
/// that we can read and in one packet; without one with no more bytes than came.
pub fn udp_tracker(bytes: &[u8]) {
    for family in IpFamily::ALL {
        if let Some((_, Answer::Announced(answer))) = Answer::parse(bytes, family) {
            assert!(answer.peers.len() <= PEER_COUNT_MAX, "{} peers", answer.peers.len());
            assert!((INTERVAL_MIN..=INTERVAL_MAX).contains(&answer.interval), "{:?}", answer.interval);
        }
    }
    if let Some(Request::Call { connection, transaction, call }) = Request::parse(bytes) {
        let again = Request::parse(&call.encode(connection, transaction));
        assert_eq!(again, Some(Request::Call { connection, transaction, call }), "it reads differently");
    }
    let mut server = TrackerServer::new(TrackerOptions::default(), [7; 32]);
    let mut rng = Rng::new(1);
    for from in ["10.0.0.1:1", "[fd00::1]:1"].map(|addr| addr.parse::<SocketAddr>().expect("an address")) {
        let family = IpFamily::of(from.ip());
        let plain = server.handle_udp(Instant::START, &mut rng, from, bytes);
        let plain_len = plain.map_or(0, |answer| answer.len());
        assert!(plain_len <= bytes.len(), "{plain_len} bytes for {} that may be forged", bytes.len());
        assert_eq!(server.peer_count(), 0, "a forged packet is believed");
        let answer = server.handle_udp(Instant::START, &mut rng, from, &connect(1));
        let answer = answer.and_then(|answer| Answer::parse(&answer, family));
        let Some((1, Answer::Connected { connection })) = answer else { panic!("no connection id") };
        let Some((_, rest)) = bytes.split_first_chunk::<8>() else { continue };
        let proven = [&connection.to_be_bytes(), rest].concat();
        let answer = server.handle_udp(Instant::START, &mut rng, from, &proven);
        if let Some(answer) = answer {
            assert!(answer.len() <= 1400, "{} bytes do not fit into a packet", answer.len());
            assert!(Answer::parse(&answer, family).is_some(), "we can't read our own answer");
        }
        server = TrackerServer::new(TrackerOptions::default(), [7; 32]);
    }
}

/// Arbitrary text is a magnet link or an error; a link that is written out reads the same.
pub fn magnet(bytes: &[u8]) {
    let Ok(magnet) = String::from_utf8_lossy(bytes).parse::<Magnet>() else {
        return;
    };
    assert_eq!(magnet.to_string().parse(), Ok(magnet), "it reads differently when written out");
}

/// Arbitrary bytes are what an extension has or an error; what is taken from it is bounded and reads
/// the same when it is written out.
pub fn extension(bytes: &[u8]) {
    if let Ok(hello) = Hello::parse(bytes) {
        assert!(hello.client.as_ref().is_none_or(|name| name.chars().count() <= 64), "the name is a book");
        assert_eq!(Hello::parse(&hello.encode()), Ok(hello), "it reads differently when written out");
    }
    if let Ok(message) = PexMessage::parse(bytes) {
        let PexMessage { added, dropped } = &message;
        assert!(
            added.len() <= PEX_COUNT_MAX && dropped.len() <= PEX_COUNT_MAX,
            "more than a message may have"
        );
        added.iter().map(|(addr, _)| addr).chain(dropped).for_each(check_addr);
        let again = PexMessage::parse(&message.encode()).expect("it reads when written out");
        let sorted = |message: &PexMessage| {
            // Addresses of the two families go into strings of their own.
            let mut all = (message.added.clone(), message.dropped.clone());
            all.0.sort_by_key(|(addr, _)| addr.is_ipv6());
            all.1.sort_by_key(SocketAddr::is_ipv6);
            all
        };
        assert_eq!(sorted(&again), sorted(&message), "it reads differently when written out");
    }
    if let Ok(Some(message)) = MetadataMessage::parse(bytes) {
        let again = message.encode();
        assert_eq!(
            MetadataMessage::parse(&again),
            Ok(Some(message)),
            "it reads differently when written out"
        );
    }
}

/// Any order of whatever can happen to a session: no panic, bounds and promises are kept, the outputs are
/// the same when every stream comes in single bytes, and what was recorded is done again bit for bit.
pub fn session(bytes: &[u8]) {
    let whole = ops::run(bytes, usize::MAX, false).outputs;
    let cut = ops::run(bytes, 1, false).outputs;
    for (index, (a, b)) in whole.iter().zip(&cut).enumerate() {
        assert_eq!(a, b, "output {index} depends on how streams are cut");
    }
    assert_eq!(whole.len(), cut.len(), "the count of outputs depends on how streams are cut");
    let recording = ops::run(bytes, usize::MAX, true).recording;
    // Nothing is written before a second has passed, or the session has ended.
    if !recording.is_empty() {
        let replayed = replay(&recording).expect("the recording is done again");
        assert_eq!(replayed.cut_len, 0, "the recording has a tail that is no record");
    }
}

/// Any order of whatever can happen to a session: nothing leaves by another way, or is got from another
/// source, than the first two bytes allow.
pub fn leaks(bytes: &[u8]) {
    let Some((&[ways, sources], rest)) = bytes.split_first_chunk() else { return };
    let _ = ops::run_within(&ops::Allowed::of(ways, sources), rest, usize::MAX, false);
}

/// Arbitrary bytes are no recording, or one that ends or diverges: never a panic. The same holds of a
/// recording with these records, whose digests are right.
pub fn recording(bytes: &[u8]) {
    let _ = replay(bytes);
    let sealed = sealed_recording(bytes);
    if replay(&sealed).is_ok() {
        // What can be done again can also be renamed, or it is told that it can't.
        let _ = renamed(&sealed, 1);
    }
}
