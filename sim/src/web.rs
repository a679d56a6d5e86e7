//! A web seed in memory, which answers in several ways.

use std::time::Duration;

use peerless_core::block::Block;
use peerless_core::{FetchError, FetchFailure, FetchPart};

use crate::sample::Sample;

/// How a web seed answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// As it should.
    Right,
    /// With other bytes than the torrent's.
    Wrong,
    /// With this status, and maybe the seconds after which it is to be asked again.
    Status(u16, Option<u64>),
    /// With the first part of what it was asked for, one block in two, and then no more.
    Cut,
    /// With nothing, until the worker gives it up.
    Never,
}

/// How long a worker waits for an answer to begin.
const PATIENCE: Duration = Duration::from_secs(15);

/// A web seed of a sample, told of by its host.
#[derive(Debug)]
pub struct WebServer {
    sample: Sample,
    /// How it answers, from now on.
    pub answer: Answer,
    /// Bytes a second that it sends.
    pub rate: u64,
    /// How often it was asked.
    pub count: usize,
    /// Bytes that it sent.
    pub sent_len: u64,
}

impl WebServer {
    /// A server of all the sample's files, at 10 MiB/s.
    #[must_use]
    pub fn new(sample: &Sample, answer: Answer) -> Self {
        Self { sample: sample.clone(), answer, rate: 10 << 20, count: 0, sent_len: 0 }
    }

    /// How long it takes to send so much.
    #[must_use]
    pub fn time_of(&self, parts: &[FetchPart]) -> Duration {
        if self.answer == Answer::Never {
            return PATIENCE;
        }
        let len: u64 = parts.iter().map(|part| part.len).sum();
        Duration::from_micros(len * 1_000_000 / self.rate)
    }

    /// What it sends of a run.
    pub fn get(&mut self, parts: &[FetchPart], block_lens: &[u32]) -> (Vec<Block>, Result<(), FetchFailure>) {
        self.count += 1;
        let fail = |error, after: Option<u64>| {
            Err(FetchFailure { error, retry_after: after.map(Duration::from_secs) })
        };
        let mut bytes: Vec<u8> = parts.iter().flat_map(|part| self.bytes(part)).collect();
        let mut lens = block_lens;
        let result = match self.answer {
            Answer::Right => Ok(()),
            Answer::Wrong => {
                bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
                Ok(())
            }
            Answer::Status(status, after) => return (Vec::new(), fail(FetchError::Status(status), after)),
            Answer::Never => return (Vec::new(), fail(FetchError::Timeout, None)),
            Answer::Cut => {
                lens = &lens[..lens.len() / 2];
                fail(FetchError::Timeout, None)
            }
        };
        let mut rest = &bytes[..];
        let blocks = lens.iter().map(|len| {
            let (block, behind) = rest.split_at(*len as usize);
            rest = behind;
            Block::new(block.to_vec())
        });
        let blocks: Vec<Block> = blocks.collect();
        self.sent_len += blocks.iter().map(|block| block.as_slice().len() as u64).sum::<u64>();
        (blocks, result)
    }

    fn bytes(&self, part: &FetchPart) -> Vec<u8> {
        let metainfo = &self.sample.metainfo;
        let Some(url) = &part.url else { return vec![0; usize::try_from(part.len).unwrap_or_default()] };
        let (_, path) = url.split_once("://").unwrap_or_default();
        let (_, path) = path.split_once('/').unwrap_or_default();
        let files = metainfo.layout().files();
        let file = files.iter().find(|file| file.path == path).expect("the URL is one of a file");
        assert_eq!(file.len, part.file_len, "{url}");
        let len = usize::try_from(part.len).expect("it fits in memory");
        self.sample.payload.bytes(file.offset + part.begin, len).into_owned()
    }
}
