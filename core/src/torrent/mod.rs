//! One torrent: its phases, its peers, its pieces.
