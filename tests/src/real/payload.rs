//! The payloads that travel, their torrents, and the comparison of a copy with its source.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use super::{Lab, libtorrent, peerless, scratch};

/// The port of every tracker here.
pub const TRACKER_PORT: u16 = 6969;

/// Where every torrent here says its tracker is: at a lab's hub.
pub const TRACKER_URL: &str = "http://10.77.0.1:6969/announce";

/// The same tracker over UDP.
pub const UDP_TRACKER_URL: &str = "udp://10.77.0.1:6969/announce";

/// Bytes in one large file: more than any buffer, and enough that a transfer takes a while.
const BIG_LEN: usize = 300 << 20;

/// Files in the tree.
const TREE_FILE_COUNT: usize = 300;

/// Names as people use them: spaces, several scripts, a combining mark, an emoji, long ones.
const TREE_NAMES: [&str; 6] = [
    "plain",
    "with space",
    "日本語のフォルダ",
    "Смешанный Ünïcödé",
    "cafe\u{301}",
    "🦀 and a rather long name, as they are often seen on files out there",
];

/// The files of [`PayloadKind::Few`]. A piece is in both that have content.
const FEW_FILES: [(&str, usize); 3] = [("a", 120_000), ("empty", 0), ("folder/b", 100_000)];

/// The shapes of data that a client must get right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// One file of 300 MiB.
    Big,
    /// 300 files in nested folders with unicode names, every tenth one empty.
    Tree,
    /// One file smaller than a block.
    Tiny,
    /// Seven pieces in three files, one of them empty, one in a folder: for what is repeated often.
    Few,
    /// One file of sixteen pieces, with a space in its name.
    One,
}

impl PayloadKind {
    /// Those that [`Payloads`] has.
    const ALL: [Self; 3] = [Self::Big, Self::Tree, Self::Tiny];

    /// The name at the top, which is the torrent's.
    const fn name(self) -> &'static str {
        match self {
            Self::Big => "big.bin",
            Self::Tree => "tree of 300 – ツリー",
            Self::Tiny => "tiny.bin",
            Self::Few => "few",
            Self::One => "one file.bin",
        }
    }

    const fn piece_len(self) -> u32 {
        match self {
            Self::Big => 256 << 10,
            Self::Tree | Self::One => 64 << 10,
            Self::Few => 32 << 10,
            Self::Tiny => 16 << 10,
        }
    }

    fn write(self, data: &Path) {
        let top = data.join(self.name());
        match self {
            Self::Big => write_random(&top, 1, BIG_LEN),
            Self::Tiny => write_random(&top, 2, 5000),
            Self::One => write_random(&top, 3, 1_000_000),
            Self::Few => {
                fs::create_dir_all(top.join("folder")).expect("a folder");
                for (index, (path, len)) in FEW_FILES.into_iter().enumerate() {
                    write_random(&top.join(path), 100 + index, len);
                }
            }
            Self::Tree => {
                for index in 0..TREE_FILE_COUNT {
                    let (path, len) = tree_file(&top, index);
                    fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
                    write_random(&path, 1000 + index, len);
                }
            }
        }
    }
}

/// Data with a torrent of it.
#[derive(Debug)]
pub struct Payload {
    /// Its shape.
    pub kind: PayloadKind,
    /// The folder that holds the top name. Never to be written to.
    pub data: PathBuf,
    /// The torrent file.
    pub torrent: PathBuf,
    /// The info-hash in hex, as the torrent's maker says.
    pub info_hash: String,
}

impl Payload {
    /// The same data with the torrent's magnet link, which names its tracker, in the torrent's place.
    #[must_use]
    pub fn by_magnet(&self) -> Self {
        let tracker = TRACKER_URL.replace(':', "%3A").replace('/', "%2F");
        let link = format!("magnet:?xt=urn:btih:{}&tr={tracker}", self.info_hash);
        Self { torrent: link.into(), info_hash: self.info_hash.clone(), data: self.data.clone(), ..*self }
    }

    /// The same data with a link in the torrent's place: the info-hash in base32, as older links have
    /// it, with `more` behind it.
    #[must_use]
    pub fn by_link(&self, more: &str) -> Self {
        let link = format!("magnet:?xt=urn:btih:{}{more}", base32(&self.info_hash));
        Self { torrent: link.into(), info_hash: self.info_hash.clone(), data: self.data.clone(), ..*self }
    }

    /// The magnet link that stands in the torrent's place.
    pub(super) fn magnet(&self) -> Option<&str> {
        self.torrent.to_str().filter(|text| text.starts_with("magnet:"))
    }

    /// The same data with a torrent in `dir` that names another tracker.
    ///
    /// # Panics
    /// If the torrent names none, or can't be copied.
    #[must_use]
    pub fn with_tracker(&self, dir: &Path, url: &str) -> Self {
        let string = |text: &str| format!("{}:{text}", text.len()).into_bytes();
        let (old, new) = (string(TRACKER_URL), string(url));
        let mut raw = fs::read(&self.torrent).expect("the torrent is there");
        let mut from = 0;
        while let Some(at) = raw.get(from..).and_then(|rest| rest.windows(old.len()).position(|it| it == old))
        {
            raw.splice(from + at..from + at + old.len(), new.iter().copied());
            from += at + new.len();
        }
        assert!(from > 0, "the torrent names another tracker");
        let name = self.torrent.file_name().expect("a torrent has a name");
        let torrent = dir.join(name);
        fs::write(&torrent, raw).expect("a copy of the torrent");
        Self { kind: self.kind, data: self.data.clone(), torrent, info_hash: self.info_hash.clone() }
    }

    /// The same data with a torrent in `dir` that names these web seeds and no tracker.
    #[must_use]
    pub fn with_web_seeds(&self, dir: &Path, urls: &[&str]) -> Self {
        let torrent = dir.join(format!("{}.web.torrent", self.kind.name()));
        let web_seeds = urls.iter().flat_map(|url| ["--web-seed", url]);
        peerless::edit(&self.torrent, &torrent, &web_seeds.chain(["--no-trackers"]).collect::<Vec<_>>());
        Self { kind: self.kind, data: self.data.clone(), torrent, info_hash: self.info_hash.clone() }
    }

    /// The same data with a private torrent in `dir`, made by libtorrent.
    #[must_use]
    pub fn private(&self, dir: &Path) -> Self {
        let torrent = dir.join("private.torrent");
        let info_hash = libtorrent::create_private(&self.top(), &torrent, TRACKER_URL, self.piece_len());
        Self { kind: self.kind, data: self.data.clone(), torrent, info_hash }
    }

    /// [`PayloadKind::Few`], made as by [`Payload::of`].
    #[must_use]
    pub fn few(lab: &Lab) -> Self {
        Self::of(lab, PayloadKind::Few)
    }

    /// A payload in a folder of the lab, with a torrent that `peerless create` made.
    ///
    /// # Panics
    /// If there is no room for it.
    #[must_use]
    pub fn of(lab: &Lab, kind: PayloadKind) -> Self {
        let data = lab.dir().join(format!("source of {}", kind.name()));
        fs::create_dir_all(&data).expect("a folder for a payload");
        kind.write(&data);
        let torrent = lab.dir().join(kind.name()).with_extension("torrent");
        let info_hash = peerless::create(&data.join(kind.name()), &torrent, TRACKER_URL, kind.piece_len());
        Self { kind, data, torrent, info_hash }
    }

    /// The file or folder itself.
    pub fn top(&self) -> PathBuf {
        self.data.join(self.kind.name())
    }

    /// Bytes in all.
    pub fn total_len(&self) -> u64 {
        files_below(&self.top()).iter().map(|file| fs::metadata(file).expect("a file").len()).sum()
    }

    /// Bytes in a piece.
    pub fn piece_len(&self) -> u32 {
        self.kind.piece_len()
    }

    /// Puts the data into `dir` as hard links, so that a seed can keep its own files beside it.
    pub fn link_into(&self, dir: &Path) {
        self.put_into(dir, |file, place| {
            fs::hard_link(file, place).expect("a hard link to the payload");
        });
    }

    /// Puts a copy of the data into `dir`, to be written to.
    pub fn copy_into(&self, dir: &Path) {
        self.put_into(dir, |file, place| {
            fs::copy(file, place).expect("a copy of the payload");
        });
    }

    fn put_into(&self, dir: &Path, put: impl Fn(&Path, &Path)) {
        for file in files_below(&self.top()) {
            let place = dir.join(file.strip_prefix(&self.data).expect("a file of this payload"));
            fs::create_dir_all(place.parent().expect("a file in a folder")).expect("a folder");
            put(&file, &place);
        }
    }

    /// Compares the copy in `dir` byte for byte. Where `wants_empty` is false, files without
    /// content may be missing.
    ///
    /// # Panics
    /// If a file is missing, differs, or is there without being in the torrent.
    pub fn assert_copy_in(&self, dir: &Path, wants_empty: bool) {
        let relative = |base: &Path, files: Vec<PathBuf>| -> BTreeSet<PathBuf> {
            let strip = |file: PathBuf| file.strip_prefix(base).expect("below its base").to_owned();
            files.into_iter().map(strip).collect()
        };
        let wanted = relative(&self.data, files_below(&self.top()));
        let found = relative(dir, files_below(&dir.join(self.kind.name())));
        let extra: Vec<_> = found.difference(&wanted).collect();
        assert!(extra.is_empty(), "files that are not in the torrent: {extra:?}");
        for file in wanted {
            let source = self.data.join(&file);
            let len = fs::metadata(&source).expect("the source is there").len();
            if found.contains(&file) {
                assert!(is_same(&source, &dir.join(&file)), "{} differs from its source", file.display());
            } else {
                assert!(len == 0 && !wants_empty, "{} is missing", file.display());
            }
        }
    }
}

impl Payload {
    /// Compares the copy in `dir` of which these files alone are to be there, by their names in the folder.
    ///
    /// # Panics
    /// If one is missing, differs, or another is there.
    pub fn assert_files_in(&self, dir: &Path, names: &[&str]) {
        let top = dir.join(self.kind.name());
        let found: BTreeSet<PathBuf> = files_below(&top).into_iter().collect();
        let wanted: BTreeSet<PathBuf> = names.iter().map(|name| top.join(name)).collect();
        assert_eq!(found, wanted);
        for name in names {
            assert!(is_same(&self.top().join(name), &top.join(name)), "{name} differs from its source");
        }
    }
}

/// All payloads, made once and removed when the last test that uses them ends.
#[derive(Debug)]
pub struct Payloads {
    dir: PathBuf,
    by_libtorrent: OnceLock<Vec<Payload>>,
    by_peerless: OnceLock<Vec<Payload>>,
}

impl Payloads {
    /// The payloads that are there, or new ones.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Payloads>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(there) = shared.upgrade() {
            return there;
        }
        let dir = scratch("payload");
        fs::create_dir_all(dir.join("data")).expect("a folder for payloads");
        for kind in PayloadKind::ALL {
            kind.write(&dir.join("data"));
        }
        let made = Arc::new(Self { dir, by_libtorrent: OnceLock::new(), by_peerless: OnceLock::new() });
        *shared = Arc::downgrade(&made);
        made
    }

    /// With torrents that libtorrent made: big, tree, tiny.
    pub fn by_libtorrent(&self) -> [&Payload; 3] {
        three(self.by_libtorrent.get_or_init(|| self.make("libtorrent", libtorrent::create)))
    }

    /// With torrents that `peerless create` made: big, tree, tiny.
    pub fn by_peerless(&self) -> [&Payload; 3] {
        three(self.by_peerless.get_or_init(|| self.make("peerless", peerless::create)))
    }

    fn make(&self, maker: &str, create: fn(&Path, &Path, &str, u32) -> String) -> Vec<Payload> {
        let (data, torrents) = (self.dir.join("data"), self.dir.join(maker));
        fs::create_dir_all(&torrents).expect("a folder for torrents");
        let make = |kind: PayloadKind| {
            let torrent = torrents.join(kind.name()).with_extension("torrent");
            let info_hash = create(&data.join(kind.name()), &torrent, TRACKER_URL, kind.piece_len());
            Payload { kind, data: data.clone(), torrent, info_hash }
        };
        PayloadKind::ALL.into_iter().map(make).collect()
    }
}

impl Drop for Payloads {
    fn drop(&mut self) {
        let _best_effort = fs::remove_dir_all(&self.dir);
    }
}

fn three(payloads: &[Payload]) -> [&Payload; 3] {
    let [big, tree, tiny] = payloads else { panic!("one of each kind") };
    [big, tree, tiny]
}

/// 40 hex digits as 32 of base32 (RFC 4648, section 6).
fn base32(hex: &str) -> String {
    let bits: Vec<u8> = hex
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .flat_map(|digit| (0..4).rev().map(move |bit| u8::from(digit >> bit & 1 == 1)))
        .collect();
    let digit = |five: &[u8]| five.iter().fold(0, |value, bit| value << 1 | bit);
    bits.chunks(5)
        .map(|five| char::from(if digit(five) < 26 { b'a' + digit(five) } else { b'2' + digit(five) - 26 }))
        .collect()
}

/// Path and length of a file of the tree: up to four folders deep, from nothing to several pieces.
fn tree_file(top: &Path, index: usize) -> (PathBuf, usize) {
    let mut path = top.to_owned();
    let name = |number: usize| TREE_NAMES.iter().cycle().nth(number % TREE_NAMES.len()).expect("it cycles");
    for level in 0..index % 5 {
        path.push(name(index / 7 + level));
    }
    path.push(format!("{index} {}.dat", name(index)));
    let len = if index.is_multiple_of(10) { 0 } else { index * index * 7 % 200_000 };
    (path, len)
}

/// Writes `len` bytes that follow from `seed` alone (SplitMix64).
fn write_random(path: &Path, seed: usize, len: usize) {
    let mut out = BufWriter::new(File::create(path).expect("a file to fill"));
    let mut state = seed as u64;
    for begin in (0..len).step_by(8) {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bytes = (word ^ (word >> 31)).to_le_bytes();
        out.write_all(bytes.get(..8.min(len - begin)).expect("at most 8")).expect("space on the disk");
    }
    out.flush().expect("space on the disk");
}

/// Every file at or below `path`; nothing if it is not there.
fn files_below(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return if path.exists() { vec![path.to_owned()] } else { Vec::new() };
    }
    let entries = fs::read_dir(path).expect("a readable folder");
    entries.flat_map(|entry| files_below(&entry.expect("a readable entry").path())).collect()
}

fn is_same(left: &Path, right: &Path) -> bool {
    let open = |path: &Path| BufReader::with_capacity(1 << 20, File::open(path).expect("a readable file"));
    let (mut left, mut right) = (open(left), open(right));
    let (mut a, mut b) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let (read_a, read_b) = (fill(&mut left, &mut a), fill(&mut right, &mut b));
        if a.get(..read_a) != b.get(..read_b) {
            return false;
        }
        if read_a == 0 {
            return true;
        }
    }
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> usize {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest).expect("a readable file") {
            0 => break,
            count => filled += count,
        }
    }
    filled
}
