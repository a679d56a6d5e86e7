//! BEP 3's two bits at either end of a connection.

/// Choke and interest, as both sides have last told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flow {
    /// We answer no requests.
    pub(crate) am_choking: bool,
    /// We want something that the peer has.
    pub(crate) am_interested: bool,
    /// The peer answers no requests.
    pub(crate) peer_choking: bool,
    /// The peer wants something that we have.
    pub(crate) peer_interested: bool,
}

impl Default for Flow {
    /// BEP 3: "Connections start out choked and not interested."
    fn default() -> Self {
        Self { am_choking: true, am_interested: false, peer_choking: true, peer_interested: false }
    }
}
