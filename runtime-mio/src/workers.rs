//! Threads for blocking work, in two lanes: a slow tracker never holds up a write.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use mio::Waker;
use peerless_core::{Job, JobDone, Lane, Work};

/// How long a thread waits for its next job before it ends: longer than the gaps in a transfer.
const LINGER: Duration = Duration::from_secs(10);

/// What does the jobs.
pub(crate) type SharedWork = Arc<dyn Work>;

/// What came of a job: its result, or the panic that ended it.
pub(crate) type Outcome = thread::Result<JobDone>;

/// Both lanes and what has come back from them.
#[derive(Debug)]
pub(crate) struct Workers {
    disk: Crew,
    net: Crew,
    done: Arc<Done>,
}

impl Workers {
    pub(crate) fn new(disk_max: usize, net_max: usize, work: SharedWork, waker: Arc<Waker>) -> Self {
        let done = Arc::new(Done { state: Mutex::default(), waker });
        let crew = |name, threads_max| Crew::new(name, threads_max, Arc::clone(&work), Arc::clone(&done));
        Self { disk: crew("peerless-disk", disk_max), net: crew("peerless-net", net_max), done }
    }

    /// Takes a job, to begin with the next [`Workers::start`]. One that waits for nothing is done
    /// here and now.
    pub(crate) fn add(&mut self, job: Job) -> Option<JobDone> {
        let job = match self.disk.shared.work.try_run(job) {
            Ok(done) => return Some(done),
            Err(job) => job,
        };
        let crew = match job.lane() {
            Lane::Disk => &mut self.disk,
            Lane::Net => &mut self.net,
        };
        crew.added.push(job);
        None
    }

    /// Hands over the jobs that were added, together.
    pub(crate) fn start(&mut self) -> io::Result<()> {
        self.disk.start()?;
        self.net.start()
    }

    /// Whether the loop may sleep: nothing has come back. From here until [`Workers::take_done`]
    /// the first job to end wakes it; at other times it needs no waking.
    pub(crate) fn may_sleep(&self) -> bool {
        let mut state = lock(&self.done.state);
        state.asleep = state.outcomes.is_empty();
        state.asleep
    }

    /// Everything that has come back.
    pub(crate) fn take_done(&self) -> Vec<Outcome> {
        let mut state = lock(&self.done.state);
        state.asleep = false;
        std::mem::take(&mut state.outcomes)
    }

    /// Waits until every disk job has ended.
    pub(crate) fn finish_disk(&self) {
        self.disk.shared.finish();
    }
}

/// What has come back, and whether the loop must be woken for it.
#[derive(Debug)]
struct Done {
    state: Mutex<DoneState>,
    waker: Arc<Waker>,
}

#[derive(Debug, Default)]
struct DoneState {
    outcomes: Vec<Outcome>,
    asleep: bool,
}

impl Done {
    fn put(&self, outcome: Outcome) {
        let mut state = lock(&self.state);
        state.outcomes.push(outcome);
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake {
            // Fails only when the loop is gone.
            let _ = self.waker.wake();
        }
    }
}

/// Those who work in one lane.
#[derive(Debug)]
struct Crew {
    name: &'static str,
    threads_max: usize,
    added: Vec<Job>,
    shared: Arc<Shared>,
}

impl Crew {
    fn new(name: &'static str, threads_max: usize, work: SharedWork, done: Arc<Done>) -> Self {
        let shared = Shared { state: Mutex::default(), changed: Condvar::new(), work, done };
        Self { name, threads_max: threads_max.max(1), added: Vec::new(), shared: Arc::new(shared) }
    }

    /// Queues what was added, wakes who is idle, and starts threads for what is left.
    fn start(&mut self) -> io::Result<()> {
        if self.added.is_empty() {
            return Ok(());
        }
        let mut state = lock(&self.shared.state);
        let woken = self.added.len().min(state.idle);
        state.jobs.extend(self.added.drain(..));
        let unserved = state.jobs.len().saturating_sub(state.idle);
        let spawned = unserved.min(self.threads_max.saturating_sub(state.threads));
        state.threads += spawned;
        drop(state);
        (0..woken).for_each(|_| self.shared.changed.notify_one());
        (0..spawned).try_for_each(|_| self.spawn())
    }

    /// Starts a thread that is counted already. None at all is an error; fewer is only slower.
    fn spawn(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new().name(self.name.to_owned()).spawn(move || shared.serve());
        let Err(error) = spawned else { return Ok(()) };
        let mut state = lock(&self.shared.state);
        state.threads -= 1;
        if state.threads == 0 { Err(error) } else { Ok(()) }
    }
}

impl Drop for Crew {
    /// Lets the threads end after the job that each is at.
    fn drop(&mut self) {
        let mut state = lock(&self.shared.state);
        state.jobs.clear();
        state.closed = true;
        self.shared.changed.notify_all();
    }
}

/// What the threads of a lane share.
struct Shared {
    state: Mutex<Queue>,
    /// A job came, the lane closed, or the last thread ended.
    changed: Condvar,
    work: SharedWork,
    done: Arc<Done>,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Threads that wait for a job, or were just woken for one.
    idle: usize,
    /// Threads end when no job is left.
    closed: bool,
}

impl Shared {
    /// A thread's life: jobs until there are none for a while.
    fn serve(&self) {
        let mut state = lock(&self.state);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                self.done.put(catch_unwind(AssertUnwindSafe(|| self.work.run(job))));
                state = lock(&self.state);
            } else if state.closed {
                break;
            } else {
                state.idle += 1;
                let waited = self.changed.wait_timeout(state, LINGER);
                let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
                state = guard;
                state.idle -= 1;
                if timeout.timed_out() && state.jobs.is_empty() {
                    break;
                }
            }
        }
        state.threads -= 1;
        if state.threads == 0 {
            self.changed.notify_all();
        }
    }

    /// Lets the threads do what is queued and end, and waits for the last of them.
    fn finish(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        self.changed.notify_all();
        while state.threads > 0 {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

/// The state is whole at every unlock and no job runs under the lock, so poison means nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use mio::{Events, Poll, Token};
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

    fn workers(net_max: usize, work: impl Work) -> (Poll, Workers) {
        let poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        (poll, Workers::new(2, net_max, Arc::new(work), waker))
    }

    /// Waits as the loop does until something has come back.
    fn wait(poll: &mut Poll, workers: &Workers) -> Vec<Outcome> {
        while workers.may_sleep() {
            poll.poll(&mut Events::with_capacity(1), None).unwrap();
        }
        workers.take_done()
    }

    #[test]
    fn a_net_job_that_hangs_holds_up_no_disk_job() {
        let gate = Arc::new(Mutex::new(()));
        let closed = lock(&gate);
        let inner = Arc::clone(&gate);
        let (mut poll, mut workers) = workers(1, move |job: Job| {
            if job.lane() == Lane::Net {
                drop(lock(&inner));
            }
            recorded(job)
        });
        [resolve(), resolve(), record(), record(), record()]
            .into_iter()
            .for_each(|job| drop(workers.add(job)));
        workers.start().unwrap();
        let mut done = 0;
        while done < 3 {
            done += wait(&mut poll, &workers).len();
        }
        workers.finish_disk();
        drop(closed);
        while done < 5 {
            done += wait(&mut poll, &workers).len();
        }
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
        let (mut poll, mut workers) = workers(1, AtOnce);
        assert!(matches!(workers.add(record()), Some(JobDone::Recorded { .. })));
        assert!(workers.add(resolve()).is_none());
        workers.start().unwrap();
        assert!(matches!(wait(&mut poll, &workers)[..], [Ok(JobDone::Resolved { .. })]));
    }

    #[test]
    fn a_panic_comes_back_and_the_lane_goes_on() {
        let (mut poll, mut workers) = workers(1, |job: Job| {
            assert!(!matches!(job, Job::Record { offset: 1, .. }), "disk on fire");
            recorded(job)
        });
        assert!(workers.add(Job::Record { offset: 1, bytes: Vec::new() }).is_none());
        workers.start().unwrap();
        let outcome = wait(&mut poll, &workers).pop().unwrap();
        assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"disk on fire"));
        workers.add(record());
        workers.start().unwrap();
        assert!(wait(&mut poll, &workers).pop().unwrap().is_ok());
    }

    #[test]
    fn everything_queued_is_done_before_the_end_by_no_more_threads_than_allowed() {
        let busy = AtomicUsize::new(0);
        let (_poll, mut workers) = workers(1, move |job: Job| {
            assert!(busy.fetch_add(1, Ordering::SeqCst) < 2);
            thread::yield_now();
            busy.fetch_sub(1, Ordering::SeqCst);
            recorded(job)
        });
        for _ in 0..50 {
            workers.add(record());
            workers.add(record());
            workers.start().unwrap();
        }
        workers.finish_disk();
        let done = workers.take_done();
        assert_eq!((done.len(), done.iter().filter(|outcome| outcome.is_err()).count()), (100, 0));
    }

    #[test]
    fn a_loop_that_is_awake_is_not_woken() {
        let (mut poll, mut workers) = workers(1, recorded);
        let mut events = Events::with_capacity(1);
        workers.add(record());
        workers.start().unwrap();
        workers.finish_disk();
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty());
        assert!(!workers.may_sleep(), "there is something to take");
        assert_eq!(workers.take_done().len(), 1);
    }
}
