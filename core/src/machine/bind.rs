//! Whether the address that everything is bound to is still there.
//!
//! Without it nothing leaves, since every effect is bound: but a seed, or a download that merely waits,
//! would not show why nobody comes.

use std::time::Duration;

use crate::cx::{Cx, TimerKey};
use crate::job::Job;
use crate::output::Event;

/// How often it is looked at: a user learns of it soon, and it costs next to nothing.
const INTERVAL: Duration = Duration::from_secs(5);

/// Begins to look, if an address is bound.
pub(super) fn watch(cx: &mut Cx) {
    if cx.config.route.bind.ip().is_some() {
        cx.timers.set(TimerKey::CheckBind, cx.now + INTERVAL);
    }
}

/// It is time to look.
pub(super) fn check(cx: &mut Cx) {
    if let Some(ip) = cx.config.route.bind.ip() {
        cx.job(Job::CheckBind { ip });
    }
}

/// What a look has shown. It is told each time that the address is not there.
pub(super) fn on_checked(cx: &mut Cx, result: Result<(), String>) {
    if let Some(ip) = cx.config.route.bind.ip() {
        if let Err(why) = result {
            cx.event(Event::BindLost { ip, why });
        }
        watch(cx);
    }
}
