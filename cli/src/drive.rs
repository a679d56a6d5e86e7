//! One session on real sockets, under either runtime, until it has shut down.

use peerless_core::{Event, Instant, Session};
use peerless_jobs::Jobs;

use crate::args::RuntimeArg;
use crate::exit::{Exit, Failure, words};
use crate::listen::Listeners;
use crate::signal::Signals;

/// What a session is driven with.
#[derive(Debug)]
pub struct Run {
    /// By which runtime.
    pub runtime: RuntimeArg,
    /// On which sockets.
    pub listeners: Listeners,
    /// What its jobs may use.
    pub options: peerless_jobs::Options,
    /// The code of a stop that takes too long.
    pub late_exit: Exit,
}

impl Run {
    /// Drives `session` to its end, which a signal asks for.
    ///
    /// # Errors
    /// When the runtime fails.
    pub fn drive(
        self,
        session: Session,
        signals: &Signals,
        on_event: impl FnMut(&mut Session, Instant, Event),
    ) -> Result<(), Failure> {
        let Self { runtime, listeners: Listeners { tcp, udp, .. }, options, late_exit } = self;
        let work = Jobs::new(options);
        let done = match runtime {
            RuntimeArg::Mio => {
                let options =
                    peerless_mio::Options { listeners: tcp, udp_sockets: udp, ..Default::default() };
                peerless_mio::Runtime::new(options).and_then(|runtime| {
                    let stop = runtime.stop_handle();
                    signals.on_stop(late_exit, move || stop.stop());
                    if signals.is_stopping() {
                        runtime.stop_handle().stop();
                    }
                    runtime.run(session, work, on_event)
                })
            }
            RuntimeArg::Smol => {
                let options =
                    peerless_smol::Options { listeners: tcp, udp_sockets: udp, ..Default::default() };
                peerless_smol::Runtime::new(options).and_then(|runtime| {
                    let stop = runtime.stop_handle();
                    signals.on_stop(late_exit, move || stop.stop());
                    if signals.is_stopping() {
                        runtime.stop_handle().stop();
                    }
                    runtime.run(session, work, on_event)
                })
            }
        };
        done.map_err(|error| {
            Failure::new(Exit::Other, format_args!("runtime {}", runtime.name()), words(&error))
        })
    }
}
