//! The way out: what is told of an address that is bound and of a proxy.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use peerless_core::text::escaped;
use peerless_core::{ProxyError, TorrentKey};

use super::{Action, Transfer};
use crate::exit::{Exit, Failure};
use crate::json::Line;

impl<W: Write> Transfer<W> {
    /// The address that everything is bound to is gone: the run ends rather than wait for it.
    pub(super) fn on_bind_lost(&mut self, ip: IpAddr, why: &str) -> Action {
        self.fail(&Failure::new(Exit::Network, ip, format_args!("the address that is bound is gone: {why}")));
        Action::ShutDown
    }

    /// The proxy is of no use, or, without an error, works again.
    pub(super) fn on_proxy(&mut self, error: Option<ProxyError>) {
        let error = error.map(|error| error.to_string());
        match &error {
            Some(error) => {
                self.screen.note(&format!("proxy: {error}; it is tried again, and nothing goes past it"))
            }
            None => self.screen.note("proxy: it works again"),
        }
        self.json.write(&Line::Proxy { ok: error.is_none(), error: error.as_deref() });
    }

    /// A host whose address is never known has one that stands for it.
    pub(super) fn on_stands_for(&mut self, torrent: TorrentKey, addr: SocketAddr, host: &str) {
        if self.voice.verbose > 0 {
            self.say(torrent, &format!("peer {} is shown as {addr}", escaped(host)));
        }
    }
}
