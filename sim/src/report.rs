//! What came of a run, as figures; text and pictures are made of these alone.

mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

pub(crate) use text::time as time_words;

use crate::bound::{Bound, fluid_bound};
use crate::run::{Ended, Member, Moment, Phase, Run, share};
use crate::scenario::Group;
use crate::tally::Counts;

/// What came of a run. Times are virtual seconds; an unknown value is `None`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The version of this form; fields are only ever added.
    pub v: u32,
    /// The scenario's name.
    pub name: Option<String>,
    /// The seed.
    pub seed: u64,
    /// `complete`, `limit` or `interrupted`.
    pub ended: &'static str,
    /// When it ended.
    pub time: f64,
    /// What was shared.
    pub torrent: TorrentReport,
    /// Honest peers that were to get everything.
    pub goal: usize,
    /// Those of them that have it.
    pub complete: usize,
    /// Those of them that left before.
    pub left: usize,
    /// Those of them whose disk failed.
    pub failed: usize,
    /// From coming to having everything, of honest peers.
    pub completion: Option<Spread>,
    /// Beside the last of them: the fluid lower bound, where there is one.
    pub bound: Option<Bound>,
    /// The last completion as a multiple of the bound.
    pub bound_ratio: Option<f64>,
    /// Payload that the first seeds had sent by then, in copies of the torrent.
    pub seed_copies: Option<f64>,
    /// Payload sent by honest peers as a share of what their lines could carry.
    pub upload_use: Option<f64>,
    /// The same between 10 % and 90 % of the time.
    pub upload_use_middle: Option<f64>,
    /// Bytes sent for each received, of honest leeches that received something.
    pub share_ratio: Option<Spread>,
    /// Payload that sessions received.
    pub downloaded: u64,
    /// That of it which served nothing.
    pub wasted: u64,
    /// Messages that sessions heard for each piece that they got.
    pub messages_per_piece: Option<MessagesPerPiece>,
    /// The mean of the samples that have one.
    pub entropy: Option<f64>,
    /// By group.
    pub groups: Vec<GroupReport>,
    /// What was seen from time to time.
    pub samples: Vec<Moment>,
    /// Completion times of honest peers by group, sorted.
    #[serde(skip)]
    pub(crate) times: BTreeMap<usize, Vec<f64>>,
    /// Share ratios of the leeches among sessions by group, sorted.
    #[serde(skip)]
    pub(crate) ratios: BTreeMap<usize, Vec<f64>>,
}

/// What was shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TorrentReport {
    /// How many pieces.
    pub pieces: u32,
    /// Bytes of each.
    pub piece_length: u64,
    /// Bytes in all.
    pub size: u64,
}

/// A distribution. The 95th percentile is by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each says what it is")]
pub struct Spread {
    pub count: usize,
    pub min: f64,
    pub median: f64,
    pub p95: f64,
    pub max: f64,
}

/// Messages heard for each piece got, by kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "each is a kind of message")]
pub struct MessagesPerPiece {
    pub all: f64,
    pub piece: f64,
    pub request: f64,
    pub have: f64,
    /// `choke`, `unchoke`, `interested`, `not interested`.
    pub state: f64,
    /// `cancel`, `reject`.
    pub cancel: f64,
    pub other: f64,
}

/// What came of a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupReport {
    /// Its name.
    pub name: String,
    /// What they did.
    pub behaviour: &'static str,
    /// How many there are.
    pub count: usize,
    /// Those that came.
    pub arrived: usize,
    /// Those that have got everything; of seeds none.
    pub complete: usize,
    /// Those that left for good.
    pub left: usize,
    /// Those whose disk failed.
    pub failed: usize,
    /// From coming to having everything.
    pub completion: Option<Spread>,
    /// Payload sent; of scripted peers not known.
    pub uploaded: Option<u64>,
    /// Payload received; of scripted peers not known.
    pub downloaded: Option<u64>,
    /// Payload received that served nothing; of scripted peers not known.
    pub wasted: Option<u64>,
    /// Bytes sent for each received.
    pub share_ratio: Option<Spread>,
}

impl Report {
    pub(crate) fn of(run: &Run, ended: Ended) -> Self {
        let goals: Vec<&Member> =
            run.members.iter().filter(|member| run.group_of(member).is_waited_for()).collect();
        let of_phase = |phase| {
            goals.iter().filter(|member| member.phase() == phase && member.completed_at.is_none()).count()
        };
        let groups = run.scenario.groups.iter().enumerate();
        let (times, ratios) = by_group(run);
        let groups: Vec<GroupReport> = groups
            .map(|(place, group)| GroupReport {
                completion: times.get(&place).cloned().and_then(spread),
                share_ratio: ratios.get(&place).cloned().and_then(spread),
                ..group_report(run, place, group)
            })
            .collect();
        let sessions = || run.members.iter().filter(|member| run.group_of(member).behaviour.is_session());
        let waited = |place: &usize| run.scenario.groups[*place].is_waited_for();
        let all = |lists: &BTreeMap<usize, Vec<f64>>| {
            spread(
                lists.iter().filter(|(place, _)| waited(place)).flat_map(|(_, list)| list.clone()).collect(),
            )
        };
        let completion = all(&times);
        let bound = fluid_bound(&run.scenario);
        let complete = goals.iter().filter(|member| member.completed_at.is_some()).count();
        let last = completion.filter(|_| complete == goals.len()).map(|completion| completion.max);
        let torrent = &run.scenario.torrent;
        let has_seeds =
            run.scenario.groups.iter().any(|group| group.is_seed() && group.behaviour.is_honest());
        Self {
            v: 1,
            name: run.scenario.name.clone(),
            seed: run.seed,
            ended: match ended {
                Ended::Complete => "complete",
                Ended::Limit => "limit",
                Ended::Interrupted => "interrupted",
            },
            time: seconds(run.now().since_start()),
            torrent: TorrentReport {
                pieces: torrent.pieces,
                piece_length: torrent.piece_length,
                size: torrent.size(),
            },
            goal: goals.len(),
            complete,
            left: of_phase(Phase::Gone),
            failed: of_phase(Phase::Failed),
            bound,
            bound_ratio: last.zip(bound).map(|(last, bound)| rounded(last / bound.seconds)),
            completion,
            seed_copies: has_seeds.then(|| share(run.seeds_up_len(), torrent.size())).flatten(),
            upload_use: middle_use(run, 0.0),
            upload_use_middle: middle_use(run, 0.1),
            share_ratio: all(&ratios),
            downloaded: sessions().map(|member| member.now.downloaded_len).sum(),
            wasted: sessions().map(|member| member.now.wasted_len).sum(),
            messages_per_piece: messages(run),
            entropy: mean(run.series.moments.iter().filter_map(|moment| moment.entropy)),
            groups,
            samples: run.series.moments.clone(),
            times,
            ratios,
        }
    }
}

/// Three digits behind the point: what is written down is what is compared.
pub(crate) fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

fn seconds(time: Duration) -> f64 {
    rounded(time.as_secs_f64())
}

fn spread(mut list: Vec<f64>) -> Option<Spread> {
    list.sort_by(f64::total_cmp);
    // Nearest rank: the least of which at least so many of a hundred are not above it.
    let rank = |percent: usize| list.get((list.len() * percent).div_ceil(100).max(1) - 1).copied();
    Some(Spread { count: list.len(), min: rank(0)?, median: rank(50)?, p95: rank(95)?, max: rank(100)? })
}

fn mean(numbers: impl Iterator<Item = f64>) -> Option<f64> {
    let (mut count, mut sum) = (0_u32, 0.0);
    numbers.for_each(|number| {
        count += 1;
        sum += number;
    });
    (count > 0).then(|| rounded(sum / f64::from(count)))
}

/// From coming to having everything, and bytes sent for each received, of sessions that began without.
fn by_group(run: &Run) -> (BTreeMap<usize, Vec<f64>>, BTreeMap<usize, Vec<f64>>) {
    let (mut times, mut ratios) = (BTreeMap::<_, Vec<f64>>::new(), BTreeMap::<_, Vec<f64>>::new());
    for member in &run.members {
        let group = run.group_of(member);
        if !group.behaviour.is_session() || group.is_seed() {
            continue;
        }
        if let (Some(from), Some(to)) = (member.arrived_at, member.completed_at) {
            times.entry(member.group).or_default().push(seconds(to.since(from)));
        }
        if let Some(ratio) = share(member.now.uploaded_len, member.now.downloaded_len) {
            ratios.entry(member.group).or_default().push(ratio);
        }
    }
    times.values_mut().chain(ratios.values_mut()).for_each(|list| list.sort_by(f64::total_cmp));
    (times, ratios)
}

/// What came of a group, but for its distributions.
fn group_report(run: &Run, place: usize, group: &Group) -> GroupReport {
    let members = || run.members.iter().filter(|member| member.group == place);
    let sum = |of: fn(&Member) -> u64| group.behaviour.is_session().then(|| members().map(of).sum());
    GroupReport {
        name: group.name.clone(),
        behaviour: group.behaviour.name(),
        count: group.count,
        arrived: members().filter(|member| member.arrived_at.is_some()).count(),
        complete: if group.is_seed() {
            0
        } else {
            members().filter(|member| member.completed_at.is_some()).count()
        },
        left: members().filter(|member| member.phase() == Phase::Gone).count(),
        failed: members().filter(|member| member.phase() == Phase::Failed).count(),
        completion: None,
        uploaded: sum(|member| member.now.uploaded_len),
        downloaded: sum(|member| member.now.downloaded_len),
        wasted: sum(|member| member.now.wasted_len),
        share_ratio: None,
    }
}

/// What was sent of what could have been, without so much of the time at both ends.
fn middle_use(run: &Run, margin: f64) -> Option<f64> {
    let end = run.series.moments.last()?.t;
    let mut inside = (run.series.moments.iter().zip(&run.series.sent))
        .filter(|(moment, _)| (end * margin..=end * (1.0 - margin)).contains(&moment.t))
        .map(|(_, sent)| *sent);
    let first = if margin > 0.0 { inside.next()? } else { (0, 0) };
    let last = inside.next_back()?;
    share(last.0.saturating_sub(first.0), last.1.saturating_sub(first.1))
}

fn messages(run: &Run) -> Option<MessagesPerPiece> {
    let (mut counts, mut pieces) = (Counts::default(), 0);
    for member in run.members.iter().filter(|member| run.group_of(member).behaviour.is_session()) {
        counts.add(&member.now.counts);
        // What a peer began with it did not get; bytes that came and did not serve are no pieces.
        let got_len = member.now.downloaded_len.saturating_sub(member.now.wasted_len);
        pieces += got_len / run.scenario.torrent.piece_length;
    }
    let each = |count| share(count, pieces);
    Some(MessagesPerPiece {
        all: each(counts.total())?,
        piece: each(counts.pieces)?,
        request: each(counts.requests)?,
        have: each(counts.haves)?,
        state: each(counts.states)?,
        cancel: each(counts.cancels)?,
        other: each(counts.others)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_by_nearest_rank() {
        let list = (1..=20).rev().map(f64::from).collect();
        let want = Spread { count: 20, min: 1.0, median: 10.0, p95: 19.0, max: 20.0 };
        assert_eq!(spread(list), Some(want));
        assert_eq!(spread(Vec::new()), None);
        assert_eq!(spread(vec![3.0]).map(|spread| (spread.min, spread.p95)), Some((3.0, 3.0)));
    }
}
