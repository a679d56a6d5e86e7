//! What no way of sharing a file can beat.

use std::time::Duration;

/// Peers that have nothing of a file, and seeds. Rates are bytes per second.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Bytes of the file.
    pub file_len: u64,
    /// What the seeds upload, all together.
    pub seed_up: u64,
    /// How many peers there are.
    pub peer_count: u64,
    /// What they upload, all together.
    pub peers_up: u64,
    /// What the slowest of them downloads.
    pub down_min: u64,
}

impl Crowd {
    /// Each of three times in which they can't all get the file, however they share it: that in which the seeds
    /// send it once, the slowest peer receives it, and all together send what all receive. Of F/u_seed, F/d_min and
    /// N·F/(u_seed+Σu_i) the largest is the bound (Kumar and Ross, "Peer-assisted file distribution: the minimum
    /// distribution time", 2006, theorem 1).
    ///
    /// Data flows like water there: neither pieces nor delays nor anyone who has to find others first cost any
    /// time. `None`: it can't be done, for some rate that is needed is zero.
    #[must_use]
    pub fn least_times(&self) -> Option<[Duration; 3]> {
        let (len, seed_up) = (u128::from(self.file_len), u128::from(self.seed_up));
        let all_up = seed_up + u128::from(self.peers_up);
        Some([
            time(len, seed_up)?,
            time(len, self.down_min.into())?,
            time(len * u128::from(self.peer_count), all_up)?,
        ])
    }
}

/// The largest of [`Crowd::least_times`] for `peers`, given by what each uploads and downloads.
///
/// ```
/// use std::time::Duration;
/// use peerless_sim::theory::fluid_bound;
///
/// // Each of 9 peers and the seed uploads one 100th of the file a second: together a tenth.
/// let peers = [(10, 40); 9];
/// assert_eq!(fluid_bound(1000, 10, &peers), Some(Duration::from_secs(100)));
/// ```
#[must_use]
pub fn fluid_bound(file_len: u64, seed_up: u64, peers: &[(u64, u64)]) -> Option<Duration> {
    let Some(down_min) = peers.iter().map(|&(_, down)| down).min() else { return Some(Duration::ZERO) };
    let peers_up = peers.iter().fold(0_u64, |sum, &(up, _)| sum.saturating_add(up));
    let crowd = Crowd { file_len, seed_up, peer_count: peers.len() as u64, peers_up, down_min };
    crowd.least_times()?.into_iter().max()
}

/// The time of so many bytes; `None` if they never come, or so late that it can't be told.
fn time(len: u128, rate: u128) -> Option<Duration> {
    if len == 0 {
        return Some(Duration::ZERO);
    }
    let secs = u64::try_from(len.checked_div(rate)?).ok()?;
    let nanos = u32::try_from((len % rate).checked_mul(1_000_000_000)? / rate).ok()?;
    Some(Duration::new(secs, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whichever_is_scarcest_decides() {
        let second = |time| Some(Duration::from_secs(time));
        // The seed gives each byte once at least.
        assert_eq!(fluid_bound(1000, 5, &[(1000, 1000); 3]), second(200));
        // The slowest has to take it all.
        assert_eq!(fluid_bound(1000, 1000, &[(1000, 1000), (1000, 4)]), second(250));
        // Three copies, at 10 + 3 · 5.
        assert_eq!(fluid_bound(1000, 10, &[(5, 1000); 3]), second(120));
        // Peers without upload: the seed gives a copy to each.
        assert_eq!(fluid_bound(1000, 10, &[(0, 1000); 3]), second(300));
    }

    #[test]
    fn the_ends_of_the_scale_have_answers_too() {
        assert_eq!(fluid_bound(1000, 10, &[]), Some(Duration::ZERO));
        assert_eq!(fluid_bound(0, 0, &[(0, 0)]), Some(Duration::ZERO));
        assert_eq!(fluid_bound(1000, 0, &[(10, 10)]), None);
        assert_eq!(fluid_bound(u64::MAX, 1, &[(0, 1); 2]), None, "longer than can be told");
        assert!(fluid_bound(1 << 50, u64::MAX, &vec![(u64::MAX, u64::MAX); 10_000]).is_some());
    }
}
