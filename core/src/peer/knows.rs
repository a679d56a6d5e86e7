//! What a peer knows of our pieces.

/// As far as it decides when it is told of more.
#[derive(Debug, Default)]
pub(crate) struct Knows {
    /// How many of the torrent's news it has heard.
    pub(crate) heard_count: usize,
    /// At least so many pieces of ours are known to it that it lacks.
    pub(crate) lacks_count: u32,
}

impl Knows {
    /// The peer has got a piece, which may be one of ours.
    pub(crate) const fn on_have(&mut self) {
        self.lacks_count = self.lacks_count.saturating_sub(1);
    }
}
