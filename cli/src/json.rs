//! The lines that `download` and `seed` print with `--json`: a contract; fields are only ever added.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use peerless_core::{InfoHash, State};
use serde::{Serialize, Serializer};

use crate::format;
use crate::goals::{Stall, stall_name};
use crate::peers::PeerLine;

/// The version of the format, in every line.
const VERSION: u8 = 1;

/// Writes lines, each with the seconds since its own beginning.
#[derive(Debug)]
pub struct JsonLines<W = io::Stdout> {
    began_at: Instant,
    out: Option<W>,
    /// Why nothing can be written any more, until that is asked.
    lost: Option<Lost>,
}

/// Why lines can't be written any more.
#[derive(Debug)]
pub enum Lost {
    /// Their reader has left.
    ReaderLeft,
    /// Another reason, such as a full disk.
    Failed(io::Error),
}

/// One line. Bytes and rates are integers; what is not known is `null`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line<'a> {
    /// The run begins.
    Start {
        /// Of the program.
        version: &'a str,
        /// The runtime's name.
        runtime: &'a str,
        /// The listening port; `null`: nobody can call.
        port: Option<u16>,
        /// Unix time in seconds.
        time: Option<u64>,
    },
    /// A torrent is at hand.
    Added {
        /// Which.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// Its name, as it is on disk.
        name: &'a str,
        /// Bytes in all.
        size: u64,
        /// Number of files.
        files: usize,
        /// Number of pieces.
        pieces: u32,
    },
    /// Metadata of a magnet link comes from peers.
    Metadata {
        /// Which torrent.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// Bytes that are there.
        have: u32,
        /// Bytes in all, as most peers say.
        total: u32,
    },
    /// Data that was there is being hashed.
    Check {
        /// Which torrent.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// Pieces hashed.
        done: u32,
        /// Pieces to hash.
        total: u32,
        /// Pieces that are not right.
        bad: u32,
    },
    /// A torrent's figures, each second.
    Progress(Box<ProgressLine>),
    /// A tracker answered or failed.
    Tracker {
        /// Which torrent.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// The announce URL.
        url: &'a str,
        /// Whether it answered.
        ok: bool,
        /// Why not.
        error: Option<&'a str>,
        /// Peers that it named.
        peers: Option<usize>,
        /// Seconds until it is asked again.
        next: Option<u64>,
        /// Its warning.
        warning: Option<&'a str>,
        /// The address that it sees us at, if it says so.
        external_ip: Option<IpAddr>,
    },
    /// A web seed failed.
    WebSeed {
        /// Which torrent.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// Its URL.
        url: &'a str,
        /// Why.
        error: &'a str,
        /// Seconds until it is asked again; `null`: never.
        next: Option<u64>,
    },
    /// The proxy is of no use, or works again.
    Proxy {
        /// Whether it works.
        ok: bool,
        /// Why not.
        error: Option<&'a str>,
    },
    /// Nothing comes.
    Stall {
        /// Which torrent.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// For so long.
        seconds: u64,
        /// Why.
        reason: &'a str,
    },
    /// Its peers, with `-v`.
    Peers {
        /// Which torrent.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// One by one, those first that move the most.
        peers: Vec<PeerLine>,
    },
    /// A file is complete and verified.
    File {
        /// Which torrent.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// Its number, from 1, as `info` counts.
        index: usize,
        /// Its path under the output folder.
        path: &'a str,
    },
    /// All is there, verified and written.
    Complete {
        /// Which torrent.
        #[serde(serialize_with = "display")]
        info_hash: InfoHash,
        /// The torrent's bytes.
        bytes: u64,
        /// Since the torrent was added.
        seconds: f64,
        /// Payload bytes that served nothing.
        wasted: u64,
    },
    /// Something failed.
    Error {
        /// The exit code that it leads to.
        code: u8,
        /// What and why.
        message: &'a str,
        /// The torrent that it ends, if it is one.
        info_hash: Option<String>,
    },
    /// The run is over.
    End {
        /// The exit code.
        code: u8,
    },
}

/// A torrent's figures.
#[derive(Debug, Serialize)]
pub struct ProgressLine {
    #[serde(serialize_with = "display")]
    info_hash: InfoHash,
    state: &'static str,
    done: u64,
    wanted: u64,
    percent: f64,
    down: u64,
    up: u64,
    eta: Option<u64>,
    peers: Peers,
    pieces: Pieces,
    wasted: u64,
    downloaded: u64,
    uploaded: u64,
}

#[derive(Debug, Serialize)]
struct Peers {
    connected: usize,
    seeds: usize,
    unchoked: usize,
    web_seeds: usize,
}

#[derive(Debug, Serialize)]
struct Pieces {
    have: u32,
    total: u32,
}

#[derive(Serialize)]
struct Stamped<'a> {
    v: u8,
    t: f64,
    #[serde(flatten)]
    line: &'a Line<'a>,
}

impl ProgressLine {
    /// The figures of the torrent with this info-hash.
    #[must_use]
    pub fn new(info_hash: InfoHash, progress: &peerless_core::Progress) -> Self {
        let rest = progress.wanted_len.saturating_sub(progress.done_len);
        let eta = match progress.state {
            State::Leeching => format::eta(rest, progress.down_rate).map(|time| time.as_secs()),
            State::Metadata | State::Checking | State::Seeding | State::Stopped => None,
        };
        Self {
            info_hash,
            state: state_name(progress.state),
            done: progress.done_len,
            wanted: progress.wanted_len,
            percent: format::percent(progress.done_len, progress.wanted_len),
            down: progress.down_rate,
            up: progress.up_rate,
            eta,
            peers: Peers {
                connected: progress.peer_count,
                seeds: progress.seed_count,
                unchoked: progress.unchoked_count,
                web_seeds: progress.web_seed_count,
            },
            pieces: Pieces { have: progress.have_count, total: progress.piece_count },
            wasted: progress.wasted_len,
            downloaded: progress.downloaded_len,
            uploaded: progress.uploaded_len,
        }
    }
}

impl<'a> Line<'a> {
    /// The line about a stall.
    #[must_use]
    pub const fn stall(info_hash: InfoHash, stall: Stall) -> Self {
        Self::Stall { info_hash, seconds: stall.time.as_secs(), reason: stall_name(stall.reason) }
    }
}

impl<W: Write> JsonLines<W> {
    /// Lines on `out`; without one, nowhere.
    #[must_use]
    pub fn new(out: Option<W>) -> Self {
        Self { began_at: Instant::now(), out, lost: None }
    }

    #[cfg(test)]
    pub(crate) const fn out(&self) -> Option<&W> {
        self.out.as_ref()
    }

    /// Writes a line. Once that has failed nothing more is written: [`JsonLines::take_lost`] tells.
    pub fn write(&mut self, line: &Line<'_>) {
        let Some(out) = &mut self.out else { return };
        let stamped = Stamped { v: VERSION, t: seconds(self.began_at.elapsed()), line };
        let text = serde_json::to_string(&stamped).unwrap_or_default();
        if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
            self.out = None;
            let left = error.kind() == io::ErrorKind::BrokenPipe;
            self.lost = Some(if left { Lost::ReaderLeft } else { Lost::Failed(error) });
        }
    }

    /// Whether anybody reads.
    pub const fn is_wanted(&self) -> bool {
        self.out.is_some()
    }

    /// Why lines can't be written any more; told once.
    pub const fn take_lost(&mut self) -> Option<Lost> {
        self.lost.take()
    }
}

/// A state's name in JSON and in words.
#[must_use]
pub const fn state_name(state: State) -> &'static str {
    match state {
        State::Metadata => "metadata",
        State::Checking => "checking",
        State::Leeching => "downloading",
        State::Seeding => "seeding",
        State::Stopped => "stopped",
    }
}

/// Seconds with three digits.
#[must_use]
pub fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

fn display<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use peerless_core::Progress;
    use serde_json::{Value, json};

    fn written(lines: &[Line<'_>]) -> Vec<Value> {
        let mut out = Vec::new();
        let mut json = JsonLines::new(Some(&mut out));
        lines.iter().for_each(|line| json.write(line));
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn hash() -> InfoHash {
        InfoHash::new([0xAB; 20])
    }

    #[test]
    fn every_line_has_version_time_and_type() {
        let lines = written(&[Line::End { code: 7 }]);
        assert_eq!(
            (&lines[0]["v"], &lines[0]["type"], &lines[0]["code"]),
            (&1.into(), &"end".into(), &7.into())
        );
        assert!(lines[0]["t"].is_number());
    }

    #[test]
    fn progress_has_the_fields_of_the_contract() {
        let progress = Progress {
            state: State::Leeching,
            done_len: 25,
            wanted_len: 100,
            have_count: 1,
            piece_count: 4,
            downloaded_len: 30,
            uploaded_len: 2,
            wasted_len: 5,
            down_rate: 0,
            up_rate: 3,
            stall: None,
            peer_count: 3,
            seed_count: 2,
            unchoked_count: 1,
            web_seed_count: 0,
            candidate_count: 9,
        };
        let mut line = written(&[Line::Progress(Box::new(ProgressLine::new(hash(), &progress)))]).remove(0);
        line.as_object_mut().unwrap().remove("t");
        let want = json!({
            "v": 1, "type": "progress", "info_hash": "ab".repeat(20), "state": "downloading",
            "done": 25, "wanted": 100, "percent": 25.0, "down": 0, "up": 3, "eta": null,
            "peers": {"connected": 3, "seeds": 2, "unchoked": 1, "web_seeds": 0}, "pieces": {"have": 1, "total": 4},
            "wasted": 5, "downloaded": 30, "uploaded": 2,
        });
        assert_eq!(line, want);
    }

    #[test]
    fn foreign_text_stays_within_its_line() {
        let line = Line::File { info_hash: hash(), index: 1, path: "a\nb\u{1b}[2J" };
        assert_eq!(written(&[line])[0]["path"], "a\nb\u{1b}[2J");
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        struct Gone(io::ErrorKind);
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(self.0.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for (kind, left) in [(io::ErrorKind::BrokenPipe, true), (io::ErrorKind::StorageFull, false)] {
            let mut json = JsonLines::new(Some(Gone(kind)));
            assert!(json.take_lost().is_none());
            json.write(&Line::End { code: 0 });
            json.write(&Line::End { code: 0 });
            assert_eq!(matches!(json.take_lost(), Some(Lost::ReaderLeft)), left);
            assert!(json.out.is_none() && json.take_lost().is_none());
        }
    }
}
