//! Blocking work through `unblock`, in two lanes: a slow tracker never holds up a write.
//!
//! smol's pool grows to hundreds of threads. Each lane has a bound of its own, and a pool thread
//! that has a lane's job done waits for the next one itself: a way through the pool for each would
//! cost more than the hand-over.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use peerless_core::{Job, JobDone, Lane, Work};
use smol::channel::{self, Receiver, Sender};

/// How long a thread waits for its next job before the pool has it back: longer than the gaps in a
/// transfer.
const LINGER: Duration = Duration::from_secs(10);

/// What does the jobs.
pub(crate) type SharedWork = Arc<dyn Work>;

/// What came of a job: its result, or the panic that ended it.
pub(crate) type Outcome = thread::Result<JobDone>;

/// Both lanes.
#[derive(Debug)]
pub(crate) struct Workers {
    disk: Crew,
    net: Crew,
    /// Disk jobs that have not come back.
    disk_pending: usize,
}

impl Workers {
    pub(crate) fn new(disk_max: usize, net_max: usize, work: SharedWork) -> Self {
        let crew = |jobs_max| Crew::new(jobs_max, Arc::clone(&work));
        Self { disk: crew(disk_max), net: crew(net_max), disk_pending: 0 }
    }

    /// The lanes, with where their outcomes arrive.
    pub(crate) fn lanes(&self) -> [(Lane, Receiver<Outcome>); 2] {
        [(Lane::Disk, self.disk.done.clone()), (Lane::Net, self.net.done.clone())]
    }

    /// Takes a job, to begin with the next [`Workers::start`]. One that waits for nothing is done
    /// here and now.
    pub(crate) fn add(&mut self, job: Job) -> Option<JobDone> {
        let job = match self.disk.shared.work.try_run(job) {
            Ok(done) => return Some(done),
            Err(job) => job,
        };
        match job.lane() {
            Lane::Disk => {
                self.disk_pending += 1;
                self.disk.added.push(job);
            }
            Lane::Net => self.net.added.push(job),
        }
        None
    }

    /// Hands over the jobs that were added, together.
    pub(crate) fn start(&mut self) {
        self.disk.start();
        self.net.start();
    }

    /// Notes that an outcome of this lane has been received.
    pub(crate) fn note_end(&mut self, lane: Lane) {
        if lane == Lane::Disk {
            self.disk_pending -= 1;
        }
    }

    /// Whether every disk job has come back.
    pub(crate) fn is_disk_idle(&self) -> bool {
        self.disk_pending == 0
    }
}

/// Those who work in one lane.
#[derive(Debug)]
struct Crew {
    jobs_max: usize,
    added: Vec<Job>,
    shared: Arc<Shared>,
    done: Receiver<Outcome>,
}

impl Crew {
    fn new(jobs_max: usize, work: SharedWork) -> Self {
        let (sender, done) = channel::unbounded();
        let shared = Shared { queue: Mutex::default(), changed: Condvar::new(), work, done: sender };
        Self { jobs_max: jobs_max.max(1), added: Vec::new(), shared: Arc::new(shared), done }
    }

    /// Queues what was added, wakes who is idle, and puts more threads to what is left, as far as
    /// the lane may have them.
    fn start(&mut self) {
        if self.added.is_empty() {
            return;
        }
        let mut queue = self.shared.lock();
        let woken = self.added.len().min(queue.idle);
        queue.jobs.extend(self.added.drain(..));
        let unserved = queue.jobs.len().saturating_sub(queue.idle);
        let more = unserved.min(self.jobs_max.saturating_sub(queue.threads));
        queue.threads += more;
        drop(queue);
        (0..woken).for_each(|_| self.shared.changed.notify_one());
        for _ in 0..more {
            let shared = Arc::clone(&self.shared);
            smol::unblock(move || shared.serve()).detach();
        }
    }
}

impl Drop for Crew {
    /// Lets the threads go after the job that each is at.
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.jobs.clear();
        queue.closed = true;
        self.shared.changed.notify_all();
    }
}

/// What the threads of a lane share.
struct Shared {
    queue: Mutex<Queue>,
    /// Jobs came, or the lane closed.
    changed: Condvar,
    work: SharedWork,
    done: Sender<Outcome>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Threads the lane has, or has asked for.
    threads: usize,
    /// Those of them that wait for a job, or were just woken for one.
    idle: usize,
    /// Threads go when no job is left.
    closed: bool,
}

impl Shared {
    /// Does jobs until there are none for a while.
    fn serve(&self) {
        while let Some(job) = self.next() {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.work.run(job)));
            // Fails only when the driver is gone.
            let _ = self.done.try_send(outcome);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if let Some(job) = queue.jobs.pop_front() {
                return Some(job);
            }
            if queue.closed {
                break;
            }
            queue.idle += 1;
            let waited = self.changed.wait_timeout(queue, LINGER);
            let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = guard;
            queue.idle -= 1;
            if timeout.timed_out() && queue.jobs.is_empty() {
                break;
            }
        }
        queue.threads -= 1;
        None
    }

    /// The queue is whole at every unlock and no job runs under the lock, so poison means nothing.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use peerless_core::{Bind, ResolveFor};

    use super::*;

    fn record() -> Job {
        Job::Record { offset: 0, bytes: Vec::new() }
    }

    fn resolve() -> Job {
        Job::Resolve { whom: ResolveFor::Tracker, bind: Bind::ANY, host: "host".to_owned(), port: 1 }
    }

    fn recorded(_: Job) -> JobDone {
        JobDone::Recorded { result: Ok(()) }
    }

    fn workers(net_max: usize, work: impl Work) -> Workers {
        Workers::new(2, net_max, Arc::new(work))
    }

    #[test]
    fn a_net_job_that_hangs_holds_up_no_disk_job() {
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock().unwrap();
        let inner = Arc::clone(&gate);
        let mut workers = workers(1, move |job: Job| {
            if job.lane() == Lane::Net {
                drop(inner.lock().unwrap());
            }
            recorded(job)
        });
        let [(_, disk), (_, net)] = workers.lanes();
        [resolve(), resolve(), record(), record(), record()]
            .into_iter()
            .for_each(|job| drop(workers.add(job)));
        workers.start();
        for _ in 0..3 {
            assert!(disk.recv_blocking().unwrap().is_ok());
            workers.note_end(Lane::Disk);
        }
        assert!(workers.is_disk_idle() && net.is_empty());
        drop(closed);
        assert!(net.recv_blocking().unwrap().is_ok() && net.recv_blocking().unwrap().is_ok());
    }

    /// Does records at once; no worker may see one.
    struct AtOnce;

    impl Work for AtOnce {
        fn run(&self, job: Job) -> JobDone {
            assert!(!matches!(job, Job::Record { .. }), "a worker did it");
            let Job::Resolve { whom, host, port, .. } = job else { panic!("{job:?}") };
            JobDone::Resolved { whom, host, port, result: Ok(Vec::new()) }
        }

        fn try_run(&self, job: Job) -> Result<JobDone, Job> {
            if matches!(job, Job::Record { .. }) { Ok(recorded(job)) } else { Err(job) }
        }
    }

    #[test]
    fn a_job_that_waits_for_nothing_needs_no_worker() {
        let mut workers = workers(1, AtOnce);
        let [_, (_, net)] = workers.lanes();
        assert!(matches!(workers.add(record()), Some(JobDone::Recorded { .. })) && workers.is_disk_idle());
        assert!(workers.add(resolve()).is_none());
        workers.start();
        assert!(matches!(net.recv_blocking().unwrap(), Ok(JobDone::Resolved { .. })));
    }

    #[test]
    fn a_panic_comes_back_and_the_lane_goes_on() {
        let mut workers = workers(1, |job: Job| {
            assert!(!matches!(job, Job::Record { offset: 1, .. }), "disk on fire");
            recorded(job)
        });
        let [(_, disk), _] = workers.lanes();
        assert!(workers.add(Job::Record { offset: 1, bytes: Vec::new() }).is_none());
        workers.start();
        let panic = disk.recv_blocking().unwrap().unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"disk on fire"));
        workers.add(record());
        workers.start();
        assert!(disk.recv_blocking().unwrap().is_ok());
    }

    #[test]
    fn everything_queued_is_done_by_no_more_threads_than_allowed() {
        let busy = AtomicUsize::new(0);
        let mut workers = workers(1, move |job: Job| {
            assert!(busy.fetch_add(1, Ordering::SeqCst) < 2);
            thread::yield_now();
            busy.fetch_sub(1, Ordering::SeqCst);
            recorded(job)
        });
        let [(_, disk), _] = workers.lanes();
        for _ in 0..50 {
            workers.add(record());
            workers.add(record());
            workers.start();
        }
        for _ in 0..100 {
            assert!(disk.recv_blocking().unwrap().is_ok());
        }
    }
}
