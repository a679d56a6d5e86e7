//! Who does the jobs.

use crate::job::{Job, JobDone};

/// Does the jobs of a session. One is shared by a runtime's loop and all of its workers.
///
/// A closure that does any job is one; its jobs are all for workers.
pub trait Work: Send + Sync + 'static {
    /// Does `job`, which may take as long as the disk or the network does.
    fn run(&self, job: Job) -> JobDone;

    /// Does `job` if it is a matter of microseconds that waits for nothing, such as a read of what
    /// the system has in memory: the way to a worker and back would cost more than the work.
    /// Called on the event loop.
    ///
    /// # Errors
    /// Gives the job back if it is for a worker.
    fn try_run(&self, job: Job) -> Result<JobDone, Job> {
        Err(job)
    }
}

impl<F: Fn(Job) -> JobDone + Send + Sync + 'static> Work for F {
    fn run(&self, job: Job) -> JobDone {
        self(job)
    }
}
