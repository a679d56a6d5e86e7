//! The same work on many pieces by all cores.

use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use peerless_core::DiskError;

use crate::error::disk_error;

/// Such runs of results that may wait for the caller. A slow caller then slows the workers, not
/// fills memory.
const RUN_COUNT_MAX: usize = 8;

/// Does `work` for every index below `count` on `threads` threads, each with a state of its own,
/// and shows the results to `on_done` on the calling thread, in no order.
///
/// A thread takes `take_count` indexes at once and hands their results over at once, in their
/// order: waking the caller for each would cost too much.
///
/// # Errors
/// An error of `work`, which ends it all; or that no thread could be started.
pub(crate) fn run<S, T: Send>(
    count: u32,
    take_count: u32,
    threads: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, Range<u32>) -> Result<Vec<T>, DiskError> + Sync,
    mut on_done: impl FnMut(u32, T),
) -> Result<(), DiskError> {
    let (next, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    let (results, received) = mpsc::sync_channel(RUN_COUNT_MAX);
    let worker = |results: mpsc::SyncSender<(u32, Result<Vec<T>, DiskError>)>| {
        let mut state = state();
        // After an error, here or elsewhere, nothing more is wanted.
        while !stop.load(Ordering::Relaxed)
            && let Some(indexes) = take(&next, count, take_count)
        {
            let first = indexes.start;
            let result = work(&mut state, indexes);
            stop.fetch_or(result.is_err(), Ordering::Relaxed);
            if results.send((first, result)).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let mut first_error = None;
        for started in 0..threads.clamp(1, count.div_ceil(take_count).max(1) as usize) {
            let (worker, results) = (&worker, results.clone());
            let spawned = thread::Builder::new().spawn_scoped(scope, move || worker(results));
            if let Err(error) = spawned {
                // Fewer threads do as well, but for none.
                first_error = (started == 0).then(|| disk_error(Path::new("thread"), &error));
                break;
            }
        }
        drop(results);
        for (first, result) in received {
            match result {
                Ok(values) if first_error.is_none() => {
                    (first..).zip(values).for_each(|(index, value)| on_done(index, value));
                }
                Ok(_) => {}
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        first_error.map_or(Ok(()), Err)
    })
}

/// The next few indexes below `count`.
fn take(next: &AtomicU32, count: u32, take_count: u32) -> Option<Range<u32>> {
    let end_of = |start: u32| start.saturating_add(take_count).min(count);
    let taken = next
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |start| (start < count).then(|| end_of(start)));
    taken.ok().map(|start| start..end_of(start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::refusal;
    use peerless_core::DiskErrorKind;

    #[test]
    fn every_index_is_done_once() {
        for count in [0, 1, 7, 8, 9, 1000] {
            let mut seen = vec![0; count as usize];
            let work = |(): &mut (), indexes: Range<u32>| Ok(indexes.map(|index| index * 2).collect());
            run(
                count,
                8,
                4,
                || (),
                work,
                |index, value: u32| {
                    assert_eq!(value, index * 2);
                    seen[index as usize] += 1;
                },
            )
            .unwrap();
            assert!(seen.iter().all(|&times| times == 1), "{count}");
        }
    }

    #[test]
    fn an_error_ends_it_all() {
        let work = |(): &mut (), indexes: Range<u32>| match indexes.contains(&500) {
            true => Err(refusal(DiskErrorKind::Other, Path::new("bad"), "")),
            false => Ok(indexes.map(drop).collect()),
        };
        let mut done = 0;
        let result = run(1_000_000, 8, 3, || (), work, |_, ()| done += 1);
        assert_eq!(result.unwrap_err().path, Path::new("bad"));
        assert!(done < 1_000_000);
    }
}
