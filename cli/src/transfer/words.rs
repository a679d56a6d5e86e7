//! Events in words.

use std::time::Duration;

use peerless_core::text::escaped;
use peerless_core::{CloseReason, Progress, TrackerReport};

use crate::format;

/// What a tracker said.
pub(super) struct Said {
    /// The whole line.
    pub(super) line: String,
    /// Without what changes each time: tells whether there is anything new.
    pub(super) news: String,
    /// Whether it is worth a line to everybody.
    pub(super) matters: bool,
}

/// A tracker's answer or failure.
pub(super) fn tracker(url: &str, result: &Result<TrackerReport, String>, next: Option<Duration>) -> Said {
    let (what, matters) = match result {
        Ok(TrackerReport { warning: Some(warning), .. }) => (format!("warns: {warning}"), true),
        Ok(report) => (format!("names {}", format::count(report.peer_count, "peer")), false),
        Err(error) => (error.clone(), true),
    };
    let news = escaped(&format!("tracker {url}: {what}")).to_string();
    let again = next.map(|next| format!("; asked again in {}", format::duration(next))).unwrap_or_default();
    Said { line: format!("{news}{again}"), news, matters }
}

/// What was done, in how much time and how fast.
pub(super) fn complete(progress: &Progress, time: Duration) -> String {
    let size = format::size(progress.done_len);
    if progress.downloaded_len == 0 {
        return format!("complete: {size}, all there already");
    }
    let rate = format::rate(format::mean_rate(progress.downloaded_len, time));
    format!("complete: {size} in {} ({rate})", format::elapsed(time))
}

/// Why a connection ended.
pub(super) fn close(reason: Option<CloseReason>) -> String {
    match reason {
        None => "it left, or nobody is there".to_owned(),
        Some(CloseReason::Violation(error)) => format!("it broke the protocol: {error}"),
        Some(CloseReason::Banned) => "it sent bad data".to_owned(),
        Some(CloseReason::Ourselves) => "it is ourselves".to_owned(),
        Some(CloseReason::Duplicate) => "it is connected already".to_owned(),
        Some(CloseReason::UnknownTorrent) => "it wants another torrent".to_owned(),
        Some(CloseReason::Redundant) => "neither side has what the other wants".to_owned(),
        Some(CloseReason::Timeout) => "it was silent for too long".to_owned(),
        Some(CloseReason::Crowded) => "its place was needed".to_owned(),
        Some(CloseReason::Private) => "the torrent is private".to_owned(),
        Some(CloseReason::TorrentGone) => "the torrent is over".to_owned(),
        Some(CloseReason::Proxy(error)) => format!("proxy: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tracker_news_leave_the_time_out_and_escape() {
        let failed = Err("down\n\u{1b}[2J".to_owned());
        let said = tracker("http://t/a", &failed, Some(Duration::from_secs(30)));
        assert!(said.matters && said.line.ends_with("; asked again in 30s"), "{}", said.line);
        assert!(!said.line.contains(char::is_control));
        let later = tracker("http://t/a", &failed, Some(Duration::from_secs(60)));
        assert_eq!(said.news, later.news);
        let fine = Ok(TrackerReport { peer_count: 1, warning: None, external_ip: None });
        assert_eq!(tracker("http://t/a", &fine, None).line, "tracker http://t/a: names 1 peer");
    }
}
