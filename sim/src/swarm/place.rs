//! What is particular to a node: where it stands in the network, and how fast its disk is.

use std::time::Duration;

use peerless_core::Job;
use peerless_core::rng::Rng;

use super::Swarm;
use crate::link::{DiskPace, Net, NodeId, pick, transfer_time};

impl Swarm {
    /// Adds this to the delay of each link that the node makes or takes from now on.
    pub fn set_delay(&mut self, node: NodeId, delay: Duration) {
        self.nodes[node.0].delay = delay;
    }

    /// Puts the node behind a router that lets nobody in: it can call, and calls to it get lost.
    pub fn put_behind_nat(&mut self, node: NodeId) {
        self.nodes[node.0].behind_nat = true;
    }

    /// Gives the node a disk of this pace instead of one like the others'.
    pub fn set_disk_pace(&mut self, node: NodeId, pace: DiskPace) {
        self.nodes[node.0].disk_pace = Some(pace);
    }

    /// The delay of a new link.
    pub(super) fn link_delay(&mut self, near: NodeId, far: Option<NodeId>) -> Duration {
        let ends = [Some(near), far].into_iter().flatten();
        let own: Duration = ends.map(|node| self.nodes[node.0].delay).sum();
        pick(&mut self.rng, &self.net.latency) + own
    }

    /// How long from now a job of the disk takes.
    pub(super) fn disk_time(&mut self, node: NodeId, job: &Job) -> Duration {
        let now = self.now;
        let node = &mut self.nodes[node.0];
        let Some(DiskPace { delay, rate }) = &node.disk_pace else {
            return pick(&mut self.rng, &self.net.job_delay);
        };
        let delay = pick(&mut self.rng, delay);
        let Some(rate) = *rate else { return delay };
        node.disk_free_at = node.disk_free_at.max(now) + transfer_time(payload_len(job), rate);
        node.disk_free_at.since(now) + delay
    }
}

/// What a part of a stream is held up beside the delay of its link.
pub(super) fn jitter(net: &Net, rng: &mut Rng) -> Duration {
    net.jitter.as_ref().map_or(Duration::ZERO, |range| pick(rng, range))
}

/// Bytes of payload that a job reads or writes.
fn payload_len(job: &Job) -> usize {
    match job {
        Job::Store { pieces, .. } => {
            pieces.iter().flat_map(|piece| &piece.blocks).map(|block| block.as_slice().len()).sum()
        }
        Job::Read { range, .. } => range.len() as usize,
        Job::Check { storage, pieces, .. } => {
            pieces.iter().map(|&piece| storage.metainfo.geometry().len_of(piece) as usize).sum()
        }
        Job::Open { .. }
        | Job::Choose { .. }
        | Job::Save { .. }
        | Job::Fetch { .. }
        | Job::Announce { .. }
        | Job::Scrape { .. }
        | Job::Resolve { .. }
        | Job::CheckBind { .. }
        | Job::Metadata { .. }
        | Job::Record { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    const MINUTE: Duration = Duration::from_secs(60);

    fn pair(arrange: impl Fn(&mut Swarm, [NodeId; 2])) -> Option<Duration> {
        let sample = Sample::new(1, 400_000, 65_536);
        let mut swarm = Swarm::new(1, Net::default());
        let seed = swarm.add_seed(&sample);
        let leech = swarm.add_leech(&sample, &[swarm.addr(seed)]);
        arrange(&mut swarm, [seed, leech]);
        swarm.run_until(5 * MINUTE, |swarm| swarm.complete_count() == 1).then(|| swarm.now().since_start())
    }

    #[test]
    fn who_is_behind_a_router_calls_and_is_not_called() {
        assert_eq!(pair(|swarm, [seed, _]| swarm.put_behind_nat(seed)), None);
        assert!(pair(|swarm, [_, leech]| swarm.put_behind_nat(leech)).is_some());
    }

    #[test]
    fn a_far_node_and_a_slow_disk_take_their_time() {
        let plain = pair(|_, _| {}).expect("it completes");
        let far = pair(|swarm, [seed, _]| swarm.set_delay(seed, Duration::from_secs(2)));
        assert!(far.expect("it completes") > plain + Duration::from_secs(8), "two ways there and back");
        let delay = Duration::ZERO..Duration::ZERO;
        // Two times 400,000 bytes: read by the one, written by the other.
        let pace = DiskPace { delay, rate: Some(40_000) };
        let slow = pair(|swarm, nodes| {
            nodes.into_iter().for_each(|node| swarm.set_disk_pace(node, pace.clone()));
        });
        assert!(slow.expect("it completes") > Duration::from_secs(10), "each disk takes ten seconds");
    }

    #[test]
    fn jitter_holds_streams_up_and_leaves_them_in_order() {
        let jitter = Some(Duration::ZERO..Duration::from_secs(1));
        let time = pair(|swarm, _| swarm.net.jitter.clone_from(&jitter));
        assert!(time.expect("it completes") > pair(|_, _| {}).expect("it completes"));
    }
}
