//! The messages of the protocol, with payloads borrowed from where they were read.

/// Message ids (BEP 3, "peer messages"; BEP 6; BEP 10).
pub(in crate::wire) mod id {
    pub(in crate::wire) const CHOKE: u8 = 0;
    pub(in crate::wire) const UNCHOKE: u8 = 1;
    pub(in crate::wire) const INTERESTED: u8 = 2;
    pub(in crate::wire) const NOT_INTERESTED: u8 = 3;
    pub(in crate::wire) const HAVE: u8 = 4;
    pub(in crate::wire) const BITFIELD: u8 = 5;
    pub(in crate::wire) const REQUEST: u8 = 6;
    pub(in crate::wire) const PIECE: u8 = 7;
    pub(in crate::wire) const CANCEL: u8 = 8;
    pub(in crate::wire) const SUGGEST: u8 = 13;
    pub(in crate::wire) const HAVE_ALL: u8 = 14;
    pub(in crate::wire) const HAVE_NONE: u8 = 15;
    pub(in crate::wire) const REJECT: u8 = 16;
    pub(in crate::wire) const ALLOWED_FAST: u8 = 17;
    pub(in crate::wire) const EXTENDED: u8 = 20;
}

/// One message (BEP 3, "peer messages"; BEP 6, "fast extension"; BEP 10, "extension protocol").
/// Numbers are as they came: nothing is checked but lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Nothing but a sign of life.
    KeepAlive,
    /// The sender will not answer requests.
    Choke,
    /// The sender will answer requests.
    Unchoke,
    /// The sender would request if it were unchoked.
    Interested,
    /// The sender wants nothing.
    NotInterested,
    /// The sender has got a piece.
    Have {
        /// The piece's number.
        index: u32,
    },
    /// The pieces that the sender has: only the first message may be this.
    Bitfield {
        /// One bit a piece, the first piece in the high bit of the first byte.
        bits: &'a [u8],
    },
    /// The sender asks for a range of a piece.
    Request {
        /// The piece's number.
        index: u32,
        /// The range's first byte in the piece.
        begin: u32,
        /// Its length in bytes.
        len: u32,
    },
    /// A range of a piece.
    Piece {
        /// The piece's number.
        index: u32,
        /// The range's first byte in the piece.
        begin: u32,
        /// The payload: from 1 byte to [`BLOCK_LEN`](crate::piece::BLOCK_LEN) when decoded.
        data: &'a [u8],
    },
    /// The sender takes a request back.
    Cancel {
        /// The piece's number.
        index: u32,
        /// The range's first byte in the piece.
        begin: u32,
        /// Its length in bytes.
        len: u32,
    },
    /// The sender advises to ask it for this piece (BEP 6).
    Suggest {
        /// The piece's number.
        index: u32,
    },
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// The sender will not answer a request (BEP 6).
    Reject {
        /// The piece's number.
        index: u32,
        /// The range's first byte in the piece.
        begin: u32,
        /// Its length in bytes.
        len: u32,
    },
    /// The sender answers requests for this piece also while it chokes (BEP 6).
    AllowedFast {
        /// The piece's number.
        index: u32,
    },
    /// A message of an extension that both sides have named (BEP 10).
    Extended {
        /// 0 for the extended handshake, else the number that the receiver gave the extension.
        id: u8,
        /// What follows that number.
        payload: &'a [u8],
    },
    /// A message that is not known here.
    Unknown {
        /// Its id: never one of the messages above.
        id: u8,
        /// What follows the id.
        payload: &'a [u8],
    },
}
