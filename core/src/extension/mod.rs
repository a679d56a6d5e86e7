//! The extension protocol (BEP 10): which extensions there are, and what one peer has said of them.
//!
//! An extension is one file with its messages, its state for one peer, and `impl Extension`; its line
//! in [`Kind`] makes it known. It sees its own messages only. What they mean for pieces, peers or the
//! torrent it does not do itself: it says so with a `Told`, and the torrent acts on that.

mod dont_have;
mod handshake;
mod metadata;
mod pex;
mod upload_only;

pub use handshake::{Hello, REQUESTS_TOLD};
pub use metadata::{METADATA_PIECE_LEN, MetadataMessage};
pub use pex::{PEX_COUNT_MAX, PexFlags, PexMessage};

pub(crate) use dont_have::DontHave;
pub(crate) use metadata::Metadata;
pub(crate) use pex::Pex;
pub(crate) use upload_only::UploadOnly;

use std::fmt;

use crate::bencode::BencodeError;
use crate::cx::Cx;
use crate::time::Instant;

/// An extension. Its number on the wire, towards us, is its place in this list, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// BEP 21.
    UploadOnly,
    /// BEP 54.
    DontHave,
    /// BEP 9.
    Metadata,
    /// BEP 11.
    Pex,
}

/// What a peer does wrong with an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExtensionError {
    /// The extended handshake is no dictionary, or one too large or too deep.
    Handshake,
    /// A message is not what its extension has.
    Message,
}

/// What one extension does for one peer.
pub(crate) trait Extension {
    /// Its name in an extended handshake.
    const NAME: &'static str;

    /// The peer's extended handshake has come, the first or a further one.
    fn on_handshake(&mut self, _cx: &mut Cx, _hello: &Hello) -> Option<Told<'static>> {
        None
    }

    /// A message of this extension has come.
    fn on_message<'a>(&mut self, cx: &mut Cx, payload: &'a [u8]) -> Result<Option<Told<'a>>, ExtensionError>;

    /// When [`Extension::on_timeout`] is to be called.
    fn timeout_at(&self) -> Option<Instant> {
        None
    }

    /// Time has passed; too early is harmless.
    fn on_timeout(&mut self, _cx: &mut Cx) -> Option<Told<'static>> {
        None
    }
}

/// What an extension has found out, for the torrent to act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    /// The peer will not want anything any more, or may again.
    UploadOnly,
    /// The peer has lost a piece.
    Lost {
        /// The piece's number as it came.
        index: u32,
    },
    /// The peer has said how long the metadata is that it has, or that it takes such messages.
    MetadataLen,
    /// The peer asks for metadata, or answers.
    Metadata(MetadataMessage<'a>),
    /// The peer has said where it can be called.
    Listens,
    /// The peer has told of others.
    Pex(PexMessage),
    /// It is time to tell the peer of others.
    PexDue,
}

/// What a peer has said of extensions, and their state. Made when it first says something.
#[derive(Debug, Default)]
pub(crate) struct Extended {
    /// By kind, the number that the peer gave it; 0: it does not take it.
    ids: [u8; Kind::COUNT],
    /// Whether its extended handshake has come.
    pub(crate) greeted: bool,
    /// Its client's name, by its own words.
    pub(crate) client: Option<Box<str>>,
    pub(crate) upload_only: UploadOnly,
    dont_have: DontHave,
    pub(crate) metadata: Metadata,
    pub(crate) pex: Pex,
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; Self::COUNT] = [Self::UploadOnly, Self::DontHave, Self::Metadata, Self::Pex];

    /// How many there are.
    pub(crate) const COUNT: usize = 4;

    /// Its name in an extended handshake.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UploadOnly => UploadOnly::NAME,
            Self::DontHave => DontHave::NAME,
            Self::Metadata => Metadata::NAME,
            Self::Pex => Pex::NAME,
        }
    }

    /// The number that we give it.
    #[must_use]
    pub const fn id(self) -> u8 {
        self as u8 + 1
    }

    /// The extension to which we give this number.
    #[must_use]
    pub fn of(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.id() == id)
    }
}

impl Extended {
    /// The number to use when a message of this kind is sent to the peer; `None`: it takes none.
    pub(crate) fn id(&self, kind: Kind) -> Option<u8> {
        self.ids.get(kind as usize).copied().filter(|id| *id != 0)
    }

    /// The peer's extended handshake: what it names is set anew, what it leaves out stays (BEP 10).
    pub(crate) fn on_handshake(&mut self, cx: &mut Cx, hello: &Hello) -> Vec<Told<'static>> {
        self.greeted = true;
        for (own, named) in self.ids.iter_mut().zip(hello.ids) {
            *own = named.unwrap_or(*own);
        }
        let Self { upload_only, dont_have, metadata, pex, .. } = self;
        let told = [
            upload_only.on_handshake(cx, hello),
            dont_have.on_handshake(cx, hello),
            metadata.on_handshake(cx, hello),
            pex.on_handshake(cx, hello),
        ];
        told.into_iter().flatten().collect()
    }

    /// A message under one of our numbers.
    pub(crate) fn on_message<'a>(
        &mut self,
        cx: &mut Cx,
        kind: Kind,
        payload: &'a [u8],
    ) -> Result<Option<Told<'a>>, ExtensionError> {
        match kind {
            Kind::UploadOnly => self.upload_only.on_message(cx, payload),
            Kind::DontHave => self.dont_have.on_message(cx, payload),
            Kind::Metadata => self.metadata.on_message(cx, payload),
            Kind::Pex => self.pex.on_message(cx, payload),
        }
    }

    /// When time matters next to one of the extensions.
    pub(crate) fn timeout_at(&self) -> Option<Instant> {
        let Self { upload_only, dont_have, metadata, pex, .. } = self;
        let all = [upload_only.timeout_at(), dont_have.timeout_at(), metadata.timeout_at(), pex.timeout_at()];
        all.into_iter().flatten().min()
    }

    /// Time has passed.
    pub(crate) fn on_timeout(&mut self, cx: &mut Cx) -> Vec<Told<'static>> {
        let Self { upload_only, dont_have, metadata, pex, .. } = self;
        let told = [
            upload_only.on_timeout(cx),
            dont_have.on_timeout(cx),
            metadata.on_timeout(cx),
            pex.on_timeout(cx),
        ];
        told.into_iter().flatten().collect()
    }
}

impl From<BencodeError> for ExtensionError {
    fn from(_: BencodeError) -> Self {
        Self::Message
    }
}

impl fmt::Display for ExtensionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "malformed extended handshake",
            Self::Message => "malformed message of an extension",
        })
    }
}

impl std::error::Error for ExtensionError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn greet(extended: &mut Extended, hello: &[u8]) {
        let mut cx = Cx::new(Config::default(), 1, Instant::START);
        extended.on_handshake(&mut cx, &Hello::parse(hello).unwrap());
    }

    #[test]
    fn a_further_handshake_changes_what_it_names_and_nothing_else() {
        let mut extended = Extended::default();
        assert_eq!(extended.id(Kind::DontHave), None);
        greet(&mut extended, b"d1:md11:lt_donthavei7e11:upload_onlyi3eee");
        assert_eq!((extended.id(Kind::DontHave), extended.id(Kind::UploadOnly)), (Some(7), Some(3)));
        greet(&mut extended, b"d1:md11:lt_donthavei0eee");
        assert_eq!((extended.id(Kind::DontHave), extended.id(Kind::UploadOnly)), (None, Some(3)));
    }

    #[test]
    fn numbers_and_kinds_belong_together() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of(kind.id()), Some(kind));
        }
        assert_eq!((Kind::of(0), Kind::of(200)), (None, None));
    }
}
