//! Peers played by the test, over plain sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use peerless_sim::sample::Sample;

use crate::harness::GUARD;

/// A peer played by the test.
pub(crate) struct Puppet(TcpStream);

impl Puppet {
    /// Connects and shakes hands.
    pub(crate) fn connect(addr: SocketAddr, sample: &Sample) -> Self {
        let mut stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(GUARD)).unwrap();
        stream.write_all(&handshake(sample)).unwrap();
        stream.read_exact(&mut [0; 68]).unwrap();
        Self(stream)
    }

    /// Sends a message: its id and what belongs to it.
    pub(crate) fn send(&mut self, message: &[u8]) {
        let len = u32::try_from(message.len()).unwrap();
        self.0.write_all(&[&len.to_be_bytes(), message].concat()).unwrap();
    }

    /// Asks for a range of a piece.
    pub(crate) fn request(&mut self, piece: u32, begin: u32, len: u32) {
        self.send(&[&[6], [piece, begin, len].map(u32::to_be_bytes).as_flattened()].concat());
    }

    /// The next message that is not a keep-alive.
    pub(crate) fn receive(&mut self) -> Vec<u8> {
        loop {
            let mut len = [0; 4];
            self.0.read_exact(&mut len).unwrap();
            let mut message = vec![0; u32::from_be_bytes(len) as usize];
            self.0.read_exact(&mut message).unwrap();
            if !message.is_empty() {
                return message;
            }
        }
    }
}

/// BEP 3, "peer protocol": what a peer of this torrent says first.
pub(crate) fn handshake(sample: &Sample) -> Vec<u8> {
    let info_hash = sample.metainfo.info_hash();
    [b"\x13BitTorrent protocol".as_slice(), &[0; 8], info_hash.as_bytes(), b"-XX0000-some puppet."].concat()
}

/// Sends what no peer says, and waits until the other side hangs up.
pub(crate) fn send_garbage(mut stream: TcpStream) {
    stream.set_read_timeout(Some(GUARD)).unwrap();
    // It may be closed before all is sent.
    let _ = stream.write_all(&[0xA5; 100 * 1024]);
    while let Ok(len) = stream.read(&mut [0; 1024]) {
        if len == 0 {
            return;
        }
    }
}
