//! What a scripted peer does: honest, but for what the plan says.

use std::net::SocketAddr;
use std::time::Duration;

use crate::speak;

/// How a scripted peer shakes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shake {
    /// As it should.
    Right,
    /// With another info-hash.
    WrongHash,
    /// With the peer id of whom it talks to, as if that one had called itself.
    Mirror,
    /// Not at all.
    Never,
    /// With random bytes.
    Garbage,
}

/// What a scripted peer answers to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serve {
    /// The right bytes.
    Right,
    /// Wrong bytes for so many of 1000 blocks.
    Wrong(usize),
    /// Nothing.
    Never,
    /// The right bytes, one a second.
    Trickle,
    /// A reject (BEP 6), and the word that more may be asked for.
    Rejects,
}

/// What a scripted peer does about metadata (BEP 9). All but the first speak the extension protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meta {
    /// It knows no extensions.
    None,
    /// It gives the right metadata.
    Right,
    /// It says the right length and gives wrong bytes.
    Wrong,
    /// It says a length that nobody takes.
    TooLong,
    /// It says to have it and never answers.
    Mute,
    /// It says to have it and rejects each request.
    Rejects,
    /// Its extended handshake is thousands of lists in one another.
    Deep,
    /// Its extended handshake names thousands of extensions.
    Wide,
    /// It sends pieces that nobody asked for, without end.
    Unasked,
    /// It says a length that is too short, and gives as much.
    Short,
    /// It says another length each time that it is asked.
    Changing,
    /// The pieces that it gives say another length of the whole.
    OtherTotal,
    /// The pieces that it gives are longer than they are to be.
    Longer,
    /// It says that there are none: a length of 0.
    Empty,
}

impl Meta {
    /// All that are no help: those that lie, bomb or say nothing.
    pub const BAD: [Self; 12] = [
        Self::Wrong,
        Self::TooLong,
        Self::Mute,
        Self::Rejects,
        Self::Deep,
        Self::Wide,
        Self::Unasked,
        Self::Short,
        Self::Changing,
        Self::OtherTotal,
        Self::Longer,
        Self::Empty,
    ];
}

/// What a scripted peer sends without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flood {
    /// Keep-alives.
    KeepAlives,
    /// The same `have`.
    Haves,
    /// `interested` and `not interested` in turn.
    Interest,
    /// `choke` and `unchoke` in turn.
    Chokes,
    /// Messages with ids that nobody knows.
    Unknown,
    /// Requests for the first piece.
    Requests,
    /// Blocks that nobody asked for.
    Blocks,
    /// Random bytes behind a good handshake.
    Garbage,
    /// Hundreds of addresses at which nobody is (BEP 11), always others.
    Pex,
    /// One frame that says it is 4 GiB long, and its bytes.
    Frame,
    /// `unchoke`, without a choke in between.
    Unchokes,
    /// `cancel`, of what was never asked for.
    Cancels,
    /// The same bitfield.
    Bitfields,
    /// `suggest piece` (BEP 6), always another, and most that there are none of.
    Suggests,
    /// `allowed fast` (BEP 6), in the same way.
    AllowedFast,
    /// `reject request` (BEP 6), also for what it was not asked, and `unchoke`.
    Rejects,
    /// `lt_donthave` (BEP 54) and `have` in turn.
    Losses,
    /// Extended handshakes (BEP 10), each another and long.
    Hellos,
    /// Requests for the first piece of the metadata (BEP 9).
    MetadataRequests,
}

/// What a scripted peer does.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Whom it dials.
    pub dials: Vec<SocketAddr>,
    /// How long after a connection has ended it dials again; `None`: never.
    pub redial: Option<Duration>,
    /// How it shakes hands.
    pub shake: Shake,
    /// Its peer id.
    pub peer_id: [u8; 20],
    /// Whether it reads what is sent to it.
    pub reads: bool,
    /// Whether it says to have everything.
    pub has: bool,
    /// Whether it unchokes who is interested.
    pub unchokes: bool,
    /// What it answers to requests.
    pub serve: Serve,
    /// What it does about metadata.
    pub metadata: Meta,
    /// Whether it takes what it can get.
    pub asks: bool,
    /// What it sends without end.
    pub flood: Option<Flood>,
}

impl Plan {
    /// An honest seed that dials nobody; `mark` makes its peer id.
    #[must_use]
    pub fn seed(mark: u8) -> Self {
        let mut peer_id = *b"-XX0000-............";
        peer_id[8..].fill(mark);
        Self {
            dials: Vec::new(),
            redial: None,
            shake: Shake::Right,
            peer_id,
            reads: true,
            has: true,
            unchokes: true,
            serve: Serve::Right,
            metadata: Meta::None,
            asks: false,
            flood: None,
        }
    }

    /// One that takes and never gives, and dials `addr`.
    #[must_use]
    pub fn free_rider(mark: u8, addr: SocketAddr) -> Self {
        Self { dials: vec![addr], has: false, unchokes: false, asks: true, ..Self::seed(mark) }
    }

    /// The reserved bits of its handshake: those of extensions, if it has a use for them.
    pub(super) fn reserved(&self) -> [u8; 8] {
        if self.serve == Serve::Rejects || self.flood.is_some_and(Flood::speaks) {
            speak::FAST_AND_EXTENDED
        } else if self.metadata != Meta::None {
            [0, 0, 0, 0, 0, 0x10, 0, 0]
        } else {
            [0; 8]
        }
    }
}
