//! What no way of sharing a file can beat.

use std::time::Duration;

/// The least time in which peers that have nothing can all get a file, however they share it:
/// max(F/u_seed, F/d_min, N·F/(u_seed+Σu_i)) (Kumar and Ross, "Peer-assisted file distribution: the
/// minimum distribution time", 2006, theorem 1).
///
/// `file_len` is F in bytes. The rates are bytes per second: `seed_up` is what the seeds upload, all
/// together; `peers` are each peer's upload and download. Data flows like water there: neither pieces
/// nor delays nor anyone who has to find others first cost any time. `None`: it can't be done, for some
/// rate that is needed is zero.
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
    let up: u128 = peers.iter().map(|&(up, _)| u128::from(up)).sum();
    let (len, seed_up) = (u128::from(file_len), u128::from(seed_up));
    let times = [
        nanos(len, seed_up)?,
        nanos(len, down_min.into())?,
        nanos(len.checked_mul(peers.len() as u128)?, seed_up + up)?,
    ];
    let longest = times.into_iter().max().unwrap_or_default();
    Some(Duration::from_nanos(u64::try_from(longest).ok()?))
}

/// The time of so many bytes; `None` if they never come.
fn nanos(len: u128, rate: u128) -> Option<u128> {
    if len == 0 { Some(0) } else { len.checked_mul(1_000_000_000)?.checked_div(rate) }
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
        assert_eq!(fluid_bound(u64::MAX, 1, &[(1, u64::MAX)]), None, "longer than can be told");
        assert!(fluid_bound(1 << 50, u64::MAX, &vec![(u64::MAX, u64::MAX); 10_000]).is_some());
    }
}
