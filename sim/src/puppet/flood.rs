//! What scripted peers send without end: as much as there is room for, ten times a second.

use super::{FLOOD_LEN, Flood, Puppet, pex};
use crate::speak;

/// The numbers that a session gives `lt_donthave` and `ut_metadata`.
const DONT_HAVE: u8 = 2;
const METADATA: u8 = 3;

/// Names in each of many extended handshakes.
const NAME_COUNT: usize = 200;

impl Flood {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::KeepAlives,
        Self::Haves,
        Self::Interest,
        Self::Chokes,
        Self::Unknown,
        Self::Requests,
        Self::Blocks,
        Self::Garbage,
        Self::Pex,
        Self::Frame,
        Self::Unchokes,
        Self::Cancels,
        Self::Bitfields,
        Self::Suggests,
        Self::AllowedFast,
        Self::Rejects,
        Self::Losses,
        Self::Hellos,
        Self::MetadataRequests,
    ];

    /// Whether it has to do with the fast extension (BEP 6) or the extension protocol (BEP 10).
    pub(super) const fn speaks(self) -> bool {
        match self {
            Self::KeepAlives
            | Self::Haves
            | Self::Interest
            | Self::Chokes
            | Self::Unknown
            | Self::Requests
            | Self::Blocks
            | Self::Garbage
            | Self::Frame => false,
            Self::Pex
            | Self::Unchokes
            | Self::Cancels
            | Self::Bitfields
            | Self::Suggests
            | Self::AllowedFast
            | Self::Rejects
            | Self::Losses
            | Self::Hellos
            | Self::MetadataRequests => true,
        }
    }
}

impl Puppet {
    /// The next part of a flood: some 16 KiB.
    pub fn flood(&mut self, flood: Flood) -> Vec<u8> {
        let mut out = Vec::with_capacity(FLOOD_LEN + 64);
        while out.len() < FLOOD_LEN {
            self.flood_once(flood, &mut out);
        }
        out
    }

    fn flood_once(&mut self, flood: Flood, out: &mut Vec<u8>) {
        self.flooded += 1;
        let nth = self.flooded;
        match flood {
            Flood::KeepAlives => out.extend_from_slice(&[0; 4]),
            Flood::Haves => speak::message(out, speak::HAVE, &[0], &[]),
            Flood::Interest => {
                speak::message(out, speak::INTERESTED, &[], &[]);
                speak::message(out, speak::NOT_INTERESTED, &[], &[]);
            }
            Flood::Chokes => {
                speak::message(out, speak::CHOKE, &[], &[]);
                speak::message(out, speak::UNCHOKE, &[], &[]);
            }
            Flood::Unknown => speak::message(out, 99, &[1], &[7; 20]),
            Flood::Requests => speak::message(out, speak::REQUEST, &[0, 0, 16 * 1024], &[]),
            Flood::Blocks => speak::message(out, speak::PIECE, &[0, 0], &[7; 16 * 1024]),
            Flood::Pex => pex::names(&mut self.rng, out),
            Flood::Garbage => out.extend(self.noise(FLOOD_LEN)),
            Flood::Frame => {
                out.extend_from_slice(&[0xFF; 4]);
                out.resize(FLOOD_LEN, 7);
            }
            Flood::Unchokes => speak::message(out, speak::UNCHOKE, &[], &[]),
            Flood::Cancels => speak::message(out, speak::CANCEL, &[nth % 20, 0, 16 * 1024], &[]),
            Flood::Bitfields => {
                let bits = self.all_bits();
                speak::message(out, speak::BITFIELD, &[], &bits);
            }
            Flood::Suggests => speak::message(out, speak::SUGGEST, &[nth], &[]),
            Flood::AllowedFast => speak::message(out, speak::ALLOWED_FAST, &[nth], &[]),
            Flood::Rejects => {
                speak::message(out, speak::REJECT, &[nth % 20, nth % 4 * 16 * 1024, 16 * 1024], &[]);
                speak::message(out, speak::UNCHOKE, &[], &[]);
            }
            Flood::Losses => {
                let lost = [&[DONT_HAVE][..], &(nth % 20).to_be_bytes()].concat();
                speak::message(out, speak::EXTENDED, &[], &lost);
                speak::message(out, speak::HAVE, &[nth % 20], &[]);
            }
            Flood::Hellos => {
                let names: String = (0..NAME_COUNT).map(|number| format!("4:{number:04}i1e")).collect();
                let text = format!("\0d1:md{names}e13:metadata_sizei{nth}e4:reqqi{}ee", nth % 3);
                speak::message(out, speak::EXTENDED, &[], text.as_bytes());
            }
            Flood::MetadataRequests => {
                let text = [&[METADATA][..], b"d8:msg_typei0e5:piecei0ee"].concat();
                speak::message(out, speak::EXTENDED, &[], &text);
            }
        }
    }

    /// A bitfield in which nothing is missing.
    pub(super) fn all_bits(&self) -> Vec<u8> {
        let count = self.sample.metainfo.geometry().piece_count();
        let mut bits = vec![0xFF; count.div_ceil(8) as usize];
        if let Some(last) = bits.last_mut() {
            *last <<= (8 - count % 8) % 8;
        }
        bits
    }
}
