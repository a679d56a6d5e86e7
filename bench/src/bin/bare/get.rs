//! Receives a torrent from one seed, in order.

use std::fs::File;
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::path::Path;

use peerless_core::metainfo::Metainfo;
use sha1::{Digest, Sha1};

use crate::wire::{self, BLOCK_LEN, Frames, INTERESTED, PIECE, REQUEST, UNCHOKE};

/// Requests on their way: 4 MiB, as the socket's buffers hold that much.
const PIPELINE: u64 = 256;

/// Requests sent at once.
const BATCH: u64 = 16;

/// Small enough that what was read is still in the CPU's cache when it is hashed and written.
const BUFFER_LEN: usize = 256 * 1024;

pub(crate) fn get(torrent: &Metainfo, addr: &str, file: Option<&Path>) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr)?;
    wire::shake_hands(&mut stream, torrent, *b"-BA0001-get-get-get-")?;
    stream.write_all(&[0, 0, 0, 1, INTERESTED])?;
    let mut sink = Sink::new(torrent, file)?;
    let mut asker = Asker { torrent, asked: 0, requests: Vec::new() };
    let mut frames = Frames::new(BUFFER_LEN);
    let (mut unchoked, mut blocks) = (false, Vec::with_capacity(BUFFER_LEN / BLOCK_LEN as usize));
    while sink.done < torrent.geometry().total_len() {
        if frames.fill(&mut stream)? == 0 {
            return Err(io::Error::other("the seed has left"));
        }
        blocks.clear();
        while let Some(message) = frames.next() {
            match frames.bytes()[message.start] {
                UNCHOKE => unchoked = true,
                PIECE => blocks.push(message.start + 9..message.end),
                _ => {}
            }
        }
        sink.take(frames.bytes(), &blocks)?;
        if unchoked {
            asker.ask(&mut stream, sink.done)?;
        }
    }
    Ok(())
}

/// Asks for one block after the other.
struct Asker<'a> {
    torrent: &'a Metainfo,
    /// Up to where everything was asked for.
    asked: u64,
    requests: Vec<u8>,
}

impl Asker<'_> {
    fn ask(&mut self, stream: &mut TcpStream, done: u64) -> io::Result<()> {
        let block_len = u64::from(BLOCK_LEN);
        let goal = (done + PIPELINE * block_len).min(self.torrent.geometry().total_len());
        if goal < self.torrent.geometry().total_len() && goal - self.asked < BATCH * block_len {
            return Ok(());
        }
        let piece_len = u64::from(self.torrent.geometry().piece_len());
        self.requests.clear();
        while self.asked < goal {
            let (index, begin) = (self.asked / piece_len, self.asked % piece_len);
            let len = block_len.min(piece_len - begin).min(goal - self.asked);
            self.requests.extend_from_slice(&[0, 0, 0, 13, REQUEST]);
            for number in [index, begin, len] {
                self.requests.extend_from_slice(&number.to_be_bytes()[4..]);
            }
            self.asked += len;
        }
        stream.write_all(&self.requests)
    }
}

/// What becomes of the payload.
struct Sink<'a> {
    torrent: &'a Metainfo,
    file: Option<File>,
    sha1: Sha1,
    done: u64,
}

impl<'a> Sink<'a> {
    fn new(torrent: &'a Metainfo, file: Option<&Path>) -> io::Result<Self> {
        Ok(Self { torrent, file: file.map(File::create).transpose()?, sha1: Sha1::new(), done: 0 })
    }

    /// Hashes and writes the blocks, which follow one another in the torrent.
    fn take(&mut self, bytes: &[u8], blocks: &[Range<usize>]) -> io::Result<()> {
        let (start, mut slices) = (self.done, Vec::with_capacity(blocks.len()));
        for block in blocks {
            let data = &bytes[block.clone()];
            self.done += data.len() as u64;
            slices.push(IoSlice::new(data));
            if self.file.is_some() {
                self.hash(data)?;
            }
        }
        if let Some(file) = &self.file
            && !slices.is_empty()
        {
            let written = rustix::io::pwritev(file, &slices, start)?;
            if written as u64 != self.done - start {
                return Err(io::Error::other("a short write"));
            }
        }
        Ok(())
    }

    fn hash(&mut self, data: &[u8]) -> io::Result<()> {
        self.sha1.update(data);
        let geometry = self.torrent.geometry();
        let piece_len = u64::from(geometry.piece_len());
        if self.done.is_multiple_of(piece_len) || self.done == geometry.total_len() {
            let index = u32::try_from((self.done - 1) / piece_len).map_err(io::Error::other)?;
            if self.sha1.finalize_reset()[..] != crate::digest(self.torrent, index)? {
                return Err(io::Error::other(format!("piece {index} is wrong, or came out of turn")));
            }
        }
        Ok(())
    }
}
