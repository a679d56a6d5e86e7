//! What theory says about a scenario.

use serde::Serialize;

use crate::scenario::{Behaviour, Group, Scenario};
use crate::theory::Crowd;

/// The time that no way of sharing can beat: the largest of [`Crowd::least_times`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// Seconds from when the peers come until the last of them is done.
    pub seconds: f64,
    /// Which of the three terms is the largest.
    pub by: BoundBy,
}

/// What a scenario is bound by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BoundBy {
    /// The seeds have to send everything once.
    SeedUpload,
    /// The slowest peer has to receive everything.
    SlowestDownload,
    /// All that is received has to be sent.
    AllUpload,
}

impl BoundBy {
    /// In words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::SeedUpload => "the seeds' upload",
            Self::SlowestDownload => "the slowest peer's download",
            Self::AllUpload => "the upload of all",
        }
    }
}

/// The bound, where it is one: all honest leeches come at one time and with nothing, the seeds are there
/// by then, and no web seed helps.
#[must_use]
pub fn fluid_bound(scenario: &Scenario) -> Option<Bound> {
    let leeches = || scenario.groups.iter().filter(|group| group.is_waited_for());
    let begins_at = leeches().next()?.arrive.at;
    let together =
        leeches().all(|group| group.arrive.is_at_once() && group.arrive.at == begins_at && group.has <= 0.0);
    if !together || !scenario.web_seeds.is_empty() {
        return None;
    }
    // Whoever may give a right byte and is no honest leech counts as a seed: the bound gets no higher.
    let gives = |behaviour: Behaviour, lies: Option<f64>| match behaviour {
        Behaviour::Honest | Behaviour::Trickler | Behaviour::Flooder => true,
        Behaviour::Poisoner => lies.is_some_and(|lies| lies < 1.0),
        Behaviour::FreeRider
        | Behaviour::Silent
        | Behaviour::Rejecter
        | Behaviour::Mute
        | Behaviour::Dead => false,
    };
    let givers =
        scenario.groups.iter().filter(|group| !group.is_waited_for() && gives(group.behaviour, group.lies));
    let sum = |groups: &mut dyn Iterator<Item = &Group>| -> u64 {
        groups.fold(0, |sum, group| sum.saturating_add(group.up_rate().saturating_mul(group.count as u64)))
    };
    let crowd = Crowd {
        file_len: scenario.torrent.size(),
        seed_up: sum(&mut { givers }),
        peer_count: leeches().map(|group| group.count as u64).sum(),
        peers_up: sum(&mut leeches()),
        down_min: leeches().map(|group| group.down_rate()).min()?,
    };
    let by = [BoundBy::SeedUpload, BoundBy::SlowestDownload, BoundBy::AllUpload];
    let (time, by) = crowd.least_times()?.into_iter().zip(by).max_by_key(|(time, _)| *time)?;
    Some(Bound { seconds: crate::report::rounded(time.as_secs_f64()), by })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(more: &str) -> Option<Bound> {
        let text = format!(
            "torrent = {{ pieces = 100, piece_length = \"1M\" }}\n\
             [[group]]\nname = \"seed\"\nhas = 1.0\nup = \"2M\"\n\
             [[group]]\nname = \"leeches\"\ncount = 10\n{more}\n"
        );
        fluid_bound(&Scenario::parse(&text).unwrap())
    }

    #[test]
    fn the_largest_of_the_three_terms_is_the_bound() {
        let is = |seconds, by| Some(Bound { seconds, by });
        assert_eq!(bound("up = \"1M\""), is(83.333, BoundBy::AllUpload));
        assert_eq!(bound("up = \"10M\"\ndown = \"90M\""), is(50.0, BoundBy::SeedUpload));
        assert_eq!(bound("up = \"10M\"\ndown = \"1M\""), is(100.0, BoundBy::SlowestDownload));
        assert_eq!(bound("arrive = { poisson = 3 }"), None);
        assert_eq!(bound("has = 0.5"), None);
    }
}
