//! Descriptors: each torrent and each peer holds one, and systems start a process with few.

/// What a run has open besides torrents and peers: the files it works on (128 at most), listeners,
/// trackers being asked, pollers, the standard streams; with room to spare.
const OTHERS: u64 = 256;

/// Lets the process have what so many torrents and peers need. If the system does not let it, the
/// words to say so: what goes without is refused later, one by one.
#[must_use]
pub fn make_room(torrent_count: usize, peers_max: u16) -> Option<String> {
    let need = (torrent_count as u64).saturating_add(peers_max.into()).saturating_add(OTHERS);
    let have = system::raise(need)?;
    (have < need).then(|| {
        format!(
            "the system allows {have} open files, and {torrent_count} torrents and {peers_max} peers may need \
             {need}: raise the limit (ulimit -n), or give fewer torrents or a lower --max-peers"
        )
    })
}

#[cfg(unix)]
mod system {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// Raises the limit to `need` or as near as may be; what it is then, if there is one.
    pub(super) fn raise(need: u64) -> Option<u64> {
        let limit = getrlimit(Resource::Nofile);
        let current = limit.current?;
        let possible = limit.maximum.map_or(need, |maximum| maximum.min(need));
        if possible <= current {
            return Some(current);
        }
        let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(possible), ..limit });
        Some(if raised.is_ok() { possible } else { current })
    }
}

#[cfg(not(unix))]
mod system {
    /// There is no limit that could be raised.
    pub(super) const fn raise(_need: u64) -> Option<u64> {
        None
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_possible_is_raised_and_what_is_not_is_told() {
        assert_eq!(make_room(1, 1), None);
        if let Some(maximum) = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum
            && let Ok(maximum) = usize::try_from(maximum)
        {
            let words = make_room(maximum, 200).unwrap();
            assert!(words.starts_with(&format!("the system allows {maximum} open files")), "{words}");
        }
    }
}
