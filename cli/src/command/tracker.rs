//! `peerless tracker --listen ADDR:PORT`: a small HTTP tracker.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, TcpListener};
use std::time;

use peerless_core::Instant;
use peerless_core::rng::Rng;
use peerless_core::tracker::{HttpAnswer, TrackerOptions, TrackerServer};
use smol::channel::Receiver;
use smol::future;

use crate::args::TrackerArgs;
use crate::exit::{Exit, Failure, words};
use crate::signal::Signals;
use crate::{http_server, out, random};

/// Serves until a signal comes.
///
/// # Errors
/// When it can't listen.
pub fn run(args: &TrackerArgs, signals: &Signals) -> Result<Exit, Failure> {
    let failure = |error: io::Error| {
        Failure::new(Exit::Network, args.listen, format_args!("can't listen: {}", words(&error)))
    };
    let listener = TcpListener::bind(args.listen).map_err(failure)?;
    let addr = listener.local_addr().map_err(failure)?;
    let (stop, stopped) = smol::channel::bounded(1);
    // There is room for the one message that is ever sent.
    signals.on_stop(Exit::Done, move || {
        let _ = stop.try_send(());
    });
    if !args.quiet {
        out::print(&format!("http://{addr}/announce\n"))?;
    }
    serve(listener, &stopped).map_err(failure)?;
    Ok(Exit::Done)
}

/// Serves `listener` until a message comes, or nobody is left to send one.
///
/// # Errors
/// When the listener can't be waited for.
pub fn serve(listener: TcpListener, stopped: &Receiver<()>) -> io::Result<()> {
    let began_at = time::Instant::now();
    let state = RefCell::new((TrackerServer::new(TrackerOptions::default()), Rng::new(random::seed())));
    let answer = |from: IpAddr, target: &str| -> HttpAnswer {
        let (server, rng) = &mut *state.borrow_mut();
        server.handle_http(Instant::from_start(began_at.elapsed()), rng, from, target)
    };
    let serve = http_server::serve(listener, &answer);
    let stop = async {
        let _ = stopped.recv().await;
        Ok(())
    };
    smol::block_on(future::or(stop, serve))
}
