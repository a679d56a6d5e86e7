//! As much of the peer protocol as two honest sides need (BEP 3).

use std::io::{self, Read, Write};
use std::net::TcpStream;

use peerless_core::metainfo::Metainfo;

pub(crate) const BLOCK_LEN: u32 = 16 * 1024;

pub(crate) const UNCHOKE: u8 = 1;
pub(crate) const INTERESTED: u8 = 2;
pub(crate) const BITFIELD: u8 = 5;
pub(crate) const REQUEST: u8 = 6;
pub(crate) const PIECE: u8 = 7;

/// Sends our handshake and takes the other's.
pub(crate) fn shake_hands(stream: &mut TcpStream, torrent: &Metainfo, peer_id: [u8; 20]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut ours = Vec::with_capacity(68);
    ours.extend_from_slice(b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0");
    ours.extend_from_slice(torrent.info_hash().as_bytes());
    ours.extend_from_slice(&peer_id);
    stream.write_all(&ours)?;
    stream.read_exact(&mut [0; 68])
}

pub(crate) fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]))
}

/// A buffer that is read into at its end and parsed from its front.
pub(crate) struct Frames {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Frames {
    pub(crate) fn new(len: usize) -> Self {
        Self { buffer: vec![0; len], start: 0, end: 0 }
    }

    /// One read. 0: the other side is done. What was parsed before is gone.
    pub(crate) fn fill(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let len = stream.read(&mut self.buffer[self.end..])?;
        self.end += len;
        Ok(len)
    }

    /// Where the next whole message lies, without its length; keep-alives are left out.
    pub(crate) fn next(&mut self) -> Option<std::ops::Range<usize>> {
        loop {
            let rest = self.end - self.start;
            let len = number(&self.buffer, self.start) as usize;
            if rest < 4 || rest - 4 < len {
                return None;
            }
            let message = self.start + 4..self.start + 4 + len;
            self.start = message.end;
            if len > 0 {
                return Some(message);
            }
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.buffer
    }
}
