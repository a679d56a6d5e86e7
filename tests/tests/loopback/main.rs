//! One list of scenarios over real sockets, for each pair of runtimes.
//!
//! Here alone may a test look at a clock, and only to fail instead of hanging.

#![expect(clippy::unwrap_used, reason = "a step that fails is the test's failure")]

mod harness;
mod puppet;
mod scenarios;
mod udp;
mod web;

/// A module for each pair, with a test for each scenario.
macro_rules! for_each_pair {
    ($scenarios:tt) => {
        for_each_pair!(mio_seeds_mio, Mio, Mio, $scenarios);
        for_each_pair!(mio_seeds_smol, Mio, Smol, $scenarios);
        for_each_pair!(smol_seeds_mio, Smol, Mio, $scenarios);
        for_each_pair!(smol_seeds_smol, Smol, Smol, $scenarios);
    };
    ($pair:ident, $seed:ident, $leech:ident, [$($scenario:ident,)*]) => {
        mod $pair {
            use crate::harness::Kind;
            use crate::scenarios;
            $(
                #[test]
                fn $scenario() {
                    scenarios::$scenario(Kind::$seed, Kind::$leech);
                }
            )*
        }
    };
}

for_each_pair!([
    a_file_arrives,
    many_files_arrive,
    a_magnet_link_brings_all_and_the_next_run_knows_what_it_is,
    a_peer_that_is_not_there_does_no_harm,
    garbage_ends_its_own_connection_alone,
    a_flood_of_messages_starves_nobody,
    a_seed_that_leaves_is_no_loss,
    a_peer_that_reads_late_gets_everything,
    a_stopped_download_goes_on_where_it_was,
    a_slow_disk_slows_the_reading_down,
    fifty_leeches_are_served,
    a_full_disk_stops_the_torrent_and_not_the_client,
    a_panic_of_a_job_ends_the_run,
    a_tracker_that_hangs_holds_up_neither_data_nor_the_end,
    a_stop_before_the_start_counts,
    a_web_seed_alone_brings_everything,
    a_part_arrives_and_then_the_rest,
    a_udp_tracker_brings_peers_together_and_is_told_when_they_leave,
    a_flood_of_datagrams_starves_nobody,
]);
