//! Torrents that ours makes and changes, beside those that others make, and as others read them.

use std::fs;
use std::path::Path;
use std::process::Command;

use peerless_tests::real::{Lab, Payload, Payloads, check_output, libtorrent, mktorrent, peerless};
use serde_json::{Value, json};

const TRACKER: &str = "http://one.example/announce";

/// Two tiers, the first of two trackers.
const TIERS: [&str; 2] =
    ["http://one.example/announce,udp://two.example:6969/announce", "http://b.example/a"];

const WEB_SEEDS: [&str; 2] = ["http://web.example/folder/", "https://other.example/"];

/// What changes an info-hash: the length of pieces, and further arguments, which all makers name alike.
const CHOICES: [(u32, &[&str]); 4] = [
    (32 << 10, &[]),
    (64 << 10, &["--private"]),
    (256 << 10, &["--source", "SITE"]),
    (1 << 20, &["--private", "--source", "a longer one"]),
];

/// Another maker: path, torrent, length of pieces, further arguments; it gives the info-hash.
type Create = fn(&Path, &Path, u32, &[&str]) -> String;

/// For a file and a folder and each choice, ours and the other one make the same info-hash.
fn agrees(name: &str, create: Create) {
    let payloads = Payloads::shared();
    let [_, tree, tiny] = payloads.by_libtorrent();
    let lab = Lab::new(name);
    for (number, (piece_len, more)) in CHOICES.iter().enumerate() {
        for path in [tree, tiny].map(Payload::top) {
            let is_folder = path.is_dir();
            let ours = lab.dir().join(format!("ours-{number}-{is_folder}.torrent"));
            let theirs = lab.dir().join(format!("theirs-{number}-{is_folder}.torrent"));
            let len = piece_len.to_string();
            let args = [&["--tracker", TRACKER, "--piece-length", &len], *more].concat();
            peerless::create_with(&path, &ours, &args);
            let hash = peerless::info_hash(&ours);
            assert_eq!(create(&path, &theirs, *piece_len, more), hash, "{} {more:?}", path.display());
            assert_eq!(libtorrent::info_hash(&ours), hash);
            assert_eq!(peerless::info_hash(&theirs), hash);
        }
    }
}

#[test]
fn mktorrent_makes_the_same_info_hashes() {
    agrees("mktorrent", |path, torrent, piece_len, more| {
        mktorrent::create(path, torrent, piece_len, &[more, &["--announce", TRACKER]].concat())
    });
}

#[test]
fn libtorrent_makes_the_same_info_hashes() {
    agrees("libtorrent-create", |path, torrent, piece_len, more| {
        libtorrent::create_sorted(path, torrent, TRACKER, piece_len, more)
    });
}

/// The arguments for tiers and web seeds.
fn full() -> Vec<&'static str> {
    let tiers = TIERS.iter().flat_map(|tier| ["--tracker", tier]);
    tiers.chain(WEB_SEEDS.iter().flat_map(|url| ["--web-seed", url])).collect()
}

/// How libtorrent shows all of them.
fn shown(comment: &str, private: bool) -> Value {
    json!({
        "trackers": [[0, "http://one.example/announce"], [0, "udp://two.example:6969/announce"], [1, "http://b.example/a"]],
        "web_seeds": WEB_SEEDS, "comment": comment, "private": private, "piece_length": 64 << 10,
    })
}

#[test]
fn others_read_tiers_and_web_seeds_of_what_is_made_and_what_is_edited() {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("made");
    let (made, plain, edited) =
        (lab.dir().join("made.torrent"), lab.dir().join("plain.torrent"), lab.dir().join("edited.torrent"));
    let choices = ["--piece-length", "64K", "--comment", "words", "--private"];
    peerless::create_with(&tree.top(), &made, &[&choices, &full()[..]].concat());
    peerless::create_with(&tree.top(), &plain, &choices);
    peerless::edit(&plain, &edited, &[&full(), &["--comment", "others"][..]].concat());
    for (torrent, comment) in [(&made, "words"), (&edited, "others")] {
        assert_eq!(libtorrent::show(torrent), shown(comment, true));
        let aria2 = check_output(Command::new("aria2c").arg("--show-files").arg(torrent));
        let transmission = check_output(Command::new("transmission-show").arg(torrent));
        for said in [aria2, transmission] {
            for part in TIERS.iter().flat_map(|tier| tier.split(',')).chain(WEB_SEEDS).chain([comment]) {
                assert!(said.contains(part), "{part} is not in {said}");
            }
        }
    }
    assert_eq!(libtorrent::info_hash(&plain), libtorrent::info_hash(&edited));
    // And all of it out again.
    peerless::edit(&edited, &edited, &["--no-trackers", "--no-web-seeds"]);
    let bare = libtorrent::show(&edited);
    assert_eq!((&bare["trackers"], &bare["web_seeds"]), (&json!([]), &json!([])));
    assert_eq!(libtorrent::info_hash(&plain), libtorrent::info_hash(&edited));
}

/// What other makers wrote is edited as well, and all that ours does not know stays as it is.
#[test]
fn torrents_of_others_are_edited() {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("edit");
    let torrent = lab.dir().join("theirs.torrent");
    let hash =
        mktorrent::create(&tree.top(), &torrent, 64 << 10, &["--announce", TRACKER, "--comment", "words"]);
    peerless::edit(&torrent, &torrent, &[&full(), &["--comment", "others"][..]].concat());
    assert_eq!(libtorrent::show(&torrent), shown("others", false));
    assert_eq!(libtorrent::info_hash(&torrent), hash);
    let raw = fs::read(&torrent).expect("the torrent is there");
    assert!(String::from_utf8_lossy(&raw).contains("mktorrent 1."), "its maker is still named");
}

/// A link of ours, and what ours reads in a link of libtorrent.
#[test]
fn links_say_the_same_to_libtorrent_and_to_ours() {
    let payloads = Payloads::shared();
    let [_, tree, _] = payloads.by_libtorrent();
    let lab = Lab::new("links");
    let torrent = lab.dir().join("made.torrent");
    peerless::create_with(&tree.top(), &torrent, &full());
    let ours = peerless::link(&torrent);
    let theirs = libtorrent::link(&torrent);
    let (name, hash) = (tree.top(), peerless::info_hash(&torrent));
    let name = name.file_name().and_then(|name| name.to_str());
    for link in [&ours, &theirs] {
        let (by_us, by_libtorrent) = (peerless::info(link), libtorrent::parse_link(link));
        assert_eq!((by_us["name"].as_str(), by_us["info_hash"].as_str()), (name, Some(hash.as_str())));
        assert_eq!(
            (&by_us["name"], &by_us["info_hash"]),
            (&by_libtorrent["name"], &by_libtorrent["info_hash"])
        );
        assert_eq!(by_us["web_seeds"], json!(WEB_SEEDS));
        assert_eq!(by_libtorrent["web_seeds"], json!(WEB_SEEDS));
        let mut trackers: Vec<&str> = TIERS.iter().flat_map(|tier| tier.split(',')).collect();
        trackers.sort_unstable();
        assert_eq!(by_libtorrent["trackers"], json!(trackers));
        let mut tiers: Vec<&Value> = by_us["trackers"].as_array().expect("tiers").iter().collect();
        tiers.sort_unstable_by_key(|tier| tier[0].as_str());
        assert_eq!(json!(tiers), json!(trackers.into_iter().map(|url| [url]).collect::<Vec<_>>()));
    }
}
