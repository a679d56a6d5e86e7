//! An explanation as text and as JSON.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use peerless_core::RecordingEnd;
use peerless_core::text::escaped;
use serde::Serialize;

use super::explain::{Explanation, PeerStory, Times, TorrentStory};
use crate::format;
use crate::peers::{client, origin_name};

/// The most peers of a torrent that the text names, those first that moved the most.
const PEERS_SHOWN_MAX: usize = 20;

/// In JSON. Times are seconds, lengths bytes.
#[derive(Debug, Serialize)]
pub(super) struct Told<'a> {
    v: u8,
    calls: u64,
    outputs: u64,
    time: f64,
    /// How the recording ends.
    end: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    torrents: Option<Vec<ToldTorrent<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moments: Option<Vec<ToldMoment>>,
}

#[derive(Debug, Serialize)]
struct ToldTorrent<'a> {
    name: &'a str,
    done: u64,
    wanted: u64,
    downloaded: u64,
    uploaded: u64,
    wasted: u64,
    times: BTreeMap<&'static str, f64>,
    peers: Vec<ToldPeer>,
}

#[derive(Debug, Serialize)]
struct ToldPeer {
    addr: String,
    client: Option<String>,
    origin: &'static str,
    connected: f64,
    downloaded: u64,
    uploaded: u64,
    times: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Serialize)]
struct ToldMoment {
    time: f64,
    downloaded: u64,
    uploaded: u64,
    pieces: u64,
}

impl<'a> Told<'a> {
    /// All of it; without `in_full` only that it was the same again.
    #[must_use]
    pub(super) fn of(explanation: &'a Explanation, in_full: bool) -> Self {
        let replayed = &explanation.replayed;
        let moments = explanation.moments.iter().map(|moment| ToldMoment {
            time: moment.time.as_secs_f64(),
            downloaded: moment.downloaded_len,
            uploaded: moment.uploaded_len,
            pieces: moment.have_count,
        });
        Self {
            v: 1,
            calls: replayed.call_count,
            outputs: replayed.output_count,
            time: replayed.time.as_secs_f64(),
            end: match replayed.end {
                RecordingEnd::ShutDown => "shut_down",
                RecordingEnd::Full => "full",
                RecordingEnd::CutOff => "cut_off",
            },
            torrents: in_full.then(|| explanation.torrents.iter().map(ToldTorrent::of).collect()),
            moments: in_full.then(|| moments.collect()),
        }
    }
}

impl<'a> ToldTorrent<'a> {
    fn of(story: &'a TorrentStory) -> Self {
        let of = |figure: fn(&peerless_core::Progress) -> u64| story.progress.as_ref().map_or(0, figure);
        Self {
            name: &story.name,
            done: of(|progress| progress.done_len),
            wanted: of(|progress| progress.wanted_len),
            downloaded: of(|progress| progress.downloaded_len),
            uploaded: of(|progress| progress.uploaded_len),
            wasted: of(|progress| progress.wasted_len),
            times: story.times.iter().map(|(cause, time)| (cause.name(), time.as_secs_f64())).collect(),
            peers: story.peers.values().map(ToldPeer::of).collect(),
        }
    }
}

impl ToldPeer {
    fn of(story: &PeerStory) -> Self {
        let info = &story.info;
        Self {
            addr: info.addr.to_string(),
            client: client(info),
            origin: origin_name(info.origin),
            connected: info.connected_time.as_secs_f64(),
            downloaded: info.downloaded_len,
            uploaded: info.uploaded_len,
            times: story.times.iter().map(|(cause, time)| (*cause, time.as_secs_f64())).collect(),
        }
    }
}

/// In words: a paragraph for each torrent, the longest time first.
#[must_use]
pub(super) fn words(explanation: &Explanation) -> String {
    explanation.torrents.iter().map(torrent_words).collect()
}

fn torrent_words(story: &TorrentStory) -> String {
    let Some(progress) = &story.progress else { return String::new() };
    let mut text = format!(
        "\n{}: {} of {} are there, {} got, {} sent, {} wasted\n",
        escaped(&story.name),
        format::size(progress.done_len),
        format::size(progress.wanted_len),
        format::size(progress.downloaded_len),
        format::size(progress.uploaded_len),
        format::size(progress.wasted_len),
    );
    for (cause, time, share) in shares(&story.times) {
        text.push_str(&format!("  {share:>5}  {:>8}  {}\n", format::elapsed(time), cause.words()));
    }
    let mut peers: Vec<&PeerStory> = story.peers.values().collect();
    let moved =
        |story: &&PeerStory| Reverse(story.info.downloaded_len.saturating_add(story.info.uploaded_len));
    peers.sort_by_key(moved);
    for peer in peers.iter().take(PEERS_SHOWN_MAX) {
        text.push_str(&peer_words(peer));
    }
    if let Some(more) = peers.len().checked_sub(PEERS_SHOWN_MAX).filter(|more| *more > 0) {
        text.push_str(&format!("  and {} more: --json has all\n", format::count(more, "peer")));
    }
    text
}

fn peer_words(story: &PeerStory) -> String {
    let info = &story.info;
    let name = client(info).map_or_else(String::new, |client| format!(" {}", escaped(&client)));
    let waits: Vec<String> =
        shares(&story.times).into_iter().map(|(cause, _, share)| format!("{cause} {share}")).collect();
    format!(
        "  peer {}{name}: {} got, {} sent in {}; waited for {}\n",
        info.addr,
        format::size(info.downloaded_len),
        format::size(info.uploaded_len),
        format::elapsed(info.connected_time),
        waits.join(", "),
    )
}

/// What took how long and which part of all, the longest first.
fn shares<C: Copy>(times: &Times<C>) -> Vec<(C, Duration, String)> {
    let all: Duration = times.values().sum();
    let share = |time: Duration| {
        let percent = time.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE) * 100.0;
        if percent < 0.5 { "<1 %".to_owned() } else { format!("{percent:.0} %") }
    };
    let mut shares: Vec<_> = times.iter().map(|(cause, time)| (*cause, *time, share(*time))).collect();
    shares.sort_by_key(|(_, time, _)| Reverse(*time));
    shares
}
