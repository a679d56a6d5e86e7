//! The same work on many pieces by all cores.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;

use peerless_core::DiskError;

use crate::error::disk_error;

/// Pieces that a worker takes at once, so that what it reads is mostly in one run, and whose
/// results it hands over at once: waking the caller for each would cost a tenth of the hashing.
const TAKE_COUNT: u32 = 8;

/// Such runs of results that may wait for the caller. A slow caller then slows the workers, not
/// fills memory.
const RUN_COUNT_MAX: usize = 8;

/// Does `work` for every index below `count` on `threads` threads, each with a state of its own,
/// and shows the results to `on_done` on the calling thread, in no order.
///
/// # Errors
/// The first error of `work`, which ends it all; or that no thread could be started.
pub(crate) fn run<S, T: Send>(
    count: u32,
    threads: usize,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, u32) -> Result<T, DiskError> + Sync,
    mut on_done: impl FnMut(u32, T),
) -> Result<(), DiskError> {
    let (next, stop) = (AtomicU32::new(0), AtomicBool::new(false));
    let (results, received) = mpsc::sync_channel(RUN_COUNT_MAX);
    let worker = |results: mpsc::SyncSender<Vec<(u32, Result<T, DiskError>)>>| {
        let mut state = state();
        while let Some(indexes) = take(&next, count) {
            // After an error, here or elsewhere, nothing more is wanted.
            let wanted = indexes.take_while(|_| !stop.load(Ordering::Relaxed));
            let run = wanted.map(|index| {
                let result = work(&mut state, index);
                stop.fetch_or(result.is_err(), Ordering::Relaxed);
                (index, result)
            });
            let run: Vec<_> = run.collect();
            if run.is_empty() || results.send(run).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let mut first_error = None;
        for started in 0..threads.clamp(1, count.div_ceil(TAKE_COUNT).max(1) as usize) {
            let (worker, results) = (&worker, results.clone());
            let spawned = thread::Builder::new().spawn_scoped(scope, move || worker(results));
            if let Err(error) = spawned {
                // Fewer threads do as well, but for none.
                first_error = (started == 0).then(|| disk_error(Path::new("thread"), &error));
                break;
            }
        }
        drop(results);
        for (index, result) in received.into_iter().flatten() {
            match result {
                Ok(value) if first_error.is_none() => on_done(index, value),
                Ok(_) => {}
                Err(error) => drop(first_error.get_or_insert(error)),
            }
        }
        first_error.map_or(Ok(()), Err)
    })
}

/// The next few indexes below `count`.
fn take(next: &AtomicU32, count: u32) -> Option<std::ops::Range<u32>> {
    let taken = next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |start| {
        (start < count).then(|| start.saturating_add(TAKE_COUNT).min(count))
    });
    taken.ok().map(|start| start..start.saturating_add(TAKE_COUNT).min(count))
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
            run(
                count,
                4,
                || (),
                |(), index| Ok(index * 2),
                |index, value| {
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
        let work = |(): &mut (), index| match index {
            500 => Err(refusal(DiskErrorKind::Other, Path::new("bad"), "")),
            _ => Ok(()),
        };
        let mut done = 0;
        let result = run(1_000_000, 3, || (), work, |_, ()| done += 1);
        assert_eq!(result.unwrap_err().path, Path::new("bad"));
        assert!(done < 1_000_000);
    }
}
