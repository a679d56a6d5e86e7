//! What kind of thing an output is: a number in the recording, a name for who reads of a divergence.

use crate::job::Job;
use crate::output::{Event, Output};

/// Kinds by number. A number is never given twice.
macro_rules! kinds {
    ($($number:literal $pattern:pat => $name:literal,)*) => {
        /// The number of an output's kind.
        pub(super) const fn kind(output: &Output) -> u8 {
            match output {
                $($pattern => $number,)*
            }
        }

        /// The name of the kind with this number.
        pub(super) const fn name(kind: u8) -> &'static str {
            match kind {
                $($number => $name,)*
                _ => "something that this version does not know",
            }
        }
    };
}

kinds! {
    0 Output::Connect { .. } => "Connect",
    1 Output::Send { .. } => "Send",
    2 Output::Resume { .. } => "Resume",
    3 Output::Close { .. } => "Close",
    4 Output::Datagram { .. } => "Datagram",
    20 Output::Job(Job::Open { .. }) => "Job(Open)",
    21 Output::Job(Job::Choose { .. }) => "Job(Choose)",
    22 Output::Job(Job::Check { .. }) => "Job(Check)",
    23 Output::Job(Job::Store { .. }) => "Job(Store)",
    24 Output::Job(Job::Read { .. }) => "Job(Read)",
    25 Output::Job(Job::Save { .. }) => "Job(Save)",
    26 Output::Job(Job::Announce { .. }) => "Job(Announce)",
    27 Output::Job(Job::Scrape { .. }) => "Job(Scrape)",
    28 Output::Job(Job::Resolve { .. }) => "Job(Resolve)",
    29 Output::Job(Job::Metadata { .. }) => "Job(Metadata)",
    30 Output::Job(Job::Fetch { .. }) => "Job(Fetch)",
    31 Output::Job(Job::Record { .. }) => "Job(Record)",
    32 Output::Job(Job::CheckBind { .. }) => "Job(CheckBind)",
    60 Output::Event(Event::Checking { .. }) => "Event(Checking)",
    61 Output::Event(Event::Metadata { .. }) => "Event(Metadata)",
    62 Output::Event(Event::MetadataFailed { .. }) => "Event(MetadataFailed)",
    63 Output::Event(Event::MetadataTooLong { .. }) => "Event(MetadataTooLong)",
    64 Output::Event(Event::MetadataDone { .. }) => "Event(MetadataDone)",
    65 Output::Event(Event::Started { .. }) => "Event(Started)",
    66 Output::Event(Event::Progress { .. }) => "Event(Progress)",
    67 Output::Event(Event::FileDone { .. }) => "Event(FileDone)",
    68 Output::Event(Event::Complete { .. }) => "Event(Complete)",
    69 Output::Event(Event::Tracker { .. }) => "Event(Tracker)",
    70 Output::Event(Event::Scraped { .. }) => "Event(Scraped)",
    71 Output::Event(Event::PeerConnected { .. }) => "Event(PeerConnected)",
    72 Output::Event(Event::PeerNamed { .. }) => "Event(PeerNamed)",
    73 Output::Event(Event::PeerClosed { .. }) => "Event(PeerClosed)",
    74 Output::Event(Event::PieceFailed { .. }) => "Event(PieceFailed)",
    75 Output::Event(Event::PeerBanned { .. }) => "Event(PeerBanned)",
    76 Output::Event(Event::WebSeedFailed { .. }) => "Event(WebSeedFailed)",
    77 Output::Event(Event::ResolveFailed { .. }) => "Event(ResolveFailed)",
    78 Output::Event(Event::Stopped { .. }) => "Event(Stopped)",
    79 Output::Event(Event::SaveFailed { .. }) => "Event(SaveFailed)",
    80 Output::Event(Event::RecordFailed { .. }) => "Event(RecordFailed)",
    81 Output::Event(Event::RecordFull { .. }) => "Event(RecordFull)",
    82 Output::Event(Event::BindLost { .. }) => "Event(BindLost)",
    83 Output::Event(Event::ProxyFailed { .. }) => "Event(ProxyFailed)",
    84 Output::Event(Event::ProxyWorks) => "Event(ProxyWorks)",
    85 Output::Event(Event::StandsFor { .. }) => "Event(StandsFor)",
}
