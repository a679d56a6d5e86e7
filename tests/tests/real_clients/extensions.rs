//! The fast extension (BEP 6), the extension protocol (BEP 10), partial seeds (BEP 21), lost pieces
//! (BEP 54) and super-seeding (BEP 16), as libtorrent tells of what it gets and sends.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::net::IpAddr;

use peerless_tests::real::libtorrent::{self, Libtorrent};
use peerless_tests::real::{
    Lab, Payload, PayloadKind, Peerless, Program, Runtime, STEP_TIMEOUT, TRANSFER_TIMEOUT, peerless,
};

use super::transfers::stop_seed;
use super::under_both_runtimes;

under_both_runtimes! {
    handshakes => libtorrent_and_ours_tell_each_other_who_they_are,
    fast => libtorrent_gets_an_answer_to_each_request,
    granted => gets_what_libtorrent_grants_while_it_chokes,
    partial_seed => libtorrent_sees_a_partial_seed,
    from_partial_seeds => completes_from_a_partial_seed_of_libtorrent_and_another,
    lost => goes_on_when_libtorrent_loses_a_piece,
    super_seeded => trades_what_a_super_seeding_libtorrent_gives,
}

/// Lines of libtorrent's log of this message, `<==` for what it got and `==>` for what it sent.
fn messages(peer: &Program, message: &str) -> Vec<String> {
    let log = peer.errors();
    log.lines().filter(|line| line.contains(&format!("{message} ["))).map(str::to_owned).collect()
}

fn handshakes(runtime: Runtime) {
    let lab = Lab::new("bep-10");
    let few = Payload::few(&lab);
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    few.link_into(&seed_host.dir);
    let mut seed = Peerless::seed(&lab, &seed_host, runtime, &[&few]).arg("--no-trackers").spawn(&lab);
    let leech = Libtorrent::leech(&lab, &host).log().peer(seed_host.address);
    let mut leech = leech.start(&lab, &[&few]);
    leech.wait_output(libtorrent::DONE, TRANSFER_TIMEOUT);
    let name = concat!("peerless/", env!("CARGO_PKG_VERSION"));
    let said = messages(&leech, "<== EXTENDED_HANDSHAKE");
    for part in [
        "'p': 6881",
        "'reqq': 500",
        &format!("'v': '{name}'"),
        "'yourip':",
        "'lt_donthave':",
        "'upload_only': 1",
        "'ut_metadata':",
        "'ut_pex':",
        "'metadata_size':",
    ] {
        assert!(said.iter().all(|line| line.contains(part)) && !said.is_empty(), "{part}: {said:?}");
    }
    let thoughts = libtorrent::thoughts_of(&leech, seed_host.address);
    assert!(
        thoughts.iter().all(|thought| thought["client"] == name && thought["extensions"] == true),
        "{thoughts:?}"
    );
    stop_seed(&mut seed);
}

fn fast(runtime: Runtime) {
    let lab = Lab::new("bep-6");
    let one = Payload::of(&lab, PayloadKind::One);
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    one.link_into(&seed_host.dir);
    let mut seed = Peerless::seed(&lab, &seed_host, runtime, &[&one]).arg("--no-trackers").spawn(&lab);
    let leech = Libtorrent::leech(&lab, &host).log().peer(seed_host.address);
    let mut leech = leech.start(&lab, &[&one]);
    leech.wait_output(libtorrent::DONE, TRANSFER_TIMEOUT);
    one.assert_copy_in(&host.dir, true);
    assert_eq!(messages(&leech, "<== HAVE_ALL").len(), 1);
    assert_eq!(messages(&leech, "==> HAVE_NONE").len(), 1);
    let requested = messages(&leech, "==> REQUEST").len();
    let answered = messages(&leech, "<== PIECE").len() + messages(&leech, "<== REJECT_PIECE").len();
    assert_eq!(requested, answered);
    stop_seed(&mut seed);
}

/// It has no slot for us, and grants three pieces of sixteen.
fn granted(runtime: Runtime) {
    let lab = Lab::new("granted");
    let one = Payload::of(&lab, PayloadKind::One);
    let (seed_host, host) = (lab.host("seed"), lab.host("leech"));
    one.link_into(&seed_host.dir);
    // Without a limit peers of a local network need no slot.
    let seed = Libtorrent::seed(&lab, &seed_host).log().up_limit(100 << 20);
    let seed = seed.setting("unchoke_slots_limit", "0").setting("allowed_fast_set_size", "3");
    let seed = seed.start(&lab, &[&one]);
    let leech =
        Peerless::download(&lab, &host, runtime, &[&one]).arg("--no-trackers").peer(seed_host.address);
    let mut leech = leech.spawn(&lab);
    let output = leech.output_path().to_owned();
    leech.wait_for("what is granted, and a second of nothing more", STEP_TIMEOUT, || {
        let progress = peerless::events(&output, "progress");
        progress.iter().filter(|event| event["pieces"]["have"] == 3).count() >= 2
    });
    assert_eq!(peerless::have_count(&output), 3);
    leech.signal("INT");
    leech.expect_exit(7, STEP_TIMEOUT);
    let piece_of = |line: &String, before: &str| {
        let rest = line.split_once(before).map_or("", |(_, rest)| rest);
        rest.split_whitespace().next().and_then(|number| number.parse::<u32>().ok()).expect("a number")
    };
    let granted: BTreeSet<u32> =
        messages(&seed, "==> ALLOWED_FAST").iter().map(|line| piece_of(line, "ALLOWED_FAST [")).collect();
    let asked: BTreeSet<u32> =
        messages(&seed, "<== REQUEST").iter().map(|line| piece_of(line, "piece:")).collect();
    assert_eq!(granted, asked);
    assert!(messages(&seed, "==> UNCHOKE").is_empty());
}

fn partial_seed(runtime: Runtime) {
    let lab = Lab::new("bep-21");
    let few = Payload::few(&lab);
    let (seed_host, our_host, host) = (lab.host("seed"), lab.host("ours"), lab.host("leech"));
    few.link_into(&seed_host.dir);
    let seed = Libtorrent::seed(&lab, &seed_host).start(&lab, &[&few]);
    let ours = Peerless::download(&lab, &our_host, runtime, &[&few]).args([
        "--no-trackers",
        "--files",
        "1",
        "--seed",
    ]);
    let mut ours = ours.peer(seed_host.address).spawn(&lab);
    let output = ours.output_path().to_owned();
    ours.wait_for("its file", TRANSFER_TIMEOUT, || !peerless::events(&output, "complete").is_empty());
    drop(seed);
    let leech = Libtorrent::leech(&lab, &host).log().priorities("4,0,0").peer(our_host.address);
    let mut leech = leech.start(&lab, &[&few]);
    leech.wait_output(libtorrent::DONE, TRANSFER_TIMEOUT);
    let thoughts = libtorrent::thoughts_of(&leech, our_host.address);
    assert!(thoughts.iter().any(|thought| thought["upload_only"] == true), "{thoughts:?}");
    assert!(thoughts.iter().all(|thought| thought["seed"] == false), "{thoughts:?}");
    stop_seed(&mut ours);
}

/// The one has the first file alone, and says so; the other comes when nothing is left to get from it.
fn from_partial_seeds(runtime: Runtime) {
    let lab = Lab::new("bep-21-from");
    let few = Payload::few(&lab);
    let (seed_host, part_host, host) = (lab.host("seed"), lab.host("part"), lab.host("leech"));
    few.link_into(&seed_host.dir);
    let seed = Libtorrent::seed(&lab, &seed_host).start(&lab, &[&few]);
    let part = Libtorrent::leech(&lab, &part_host).log().priorities("4,0,0").peer(seed_host.address);
    let mut part = part.start(&lab, &[&few]);
    part.wait_output(libtorrent::DONE, TRANSFER_TIMEOUT);
    drop(seed);
    let leech =
        Peerless::download(&lab, &host, runtime, &[&few]).arg("--no-trackers").peer(part_host.address);
    let mut leech = leech.spawn(&lab);
    let output = leech.output_path().to_owned();
    leech.wait_for("what the partial seed has", STEP_TIMEOUT, || peerless::have_count(&output) == 4);
    let told = messages(&part, "==> EXTENDED_HANDSHAKE");
    assert!(told.last().is_some_and(|line| line.contains("'upload_only': 1")), "{told:?}");
    let _seed = Libtorrent::seed(&lab, &seed_host).peer(host.address).start(&lab, &[&few]);
    leech.expect_exit(0, TRANSFER_TIMEOUT);
    few.assert_copy_in(&host.dir, true);
}

/// The last file is cut short under it after its check: what it reads there is not to be had.
fn lost(runtime: Runtime) {
    let lab = Lab::new("bep-54");
    let few = Payload::few(&lab);
    let (bad_host, seed_host, host) = (lab.host("bad"), lab.host("seed"), lab.host("leech"));
    few.copy_into(&bad_host.dir);
    let bad = Libtorrent::seed(&lab, &bad_host).log().start(&lab, &[&few]);
    let file = OpenOptions::new().write(true).open(bad_host.dir.join("few/folder/b")).expect("the file");
    file.set_len(1000).expect("it is cut");
    let leech = Peerless::download(&lab, &host, runtime, &[&few]).arg("--no-trackers").peer(bad_host.address);
    let mut leech = leech.spawn(&lab);
    let output = leech.output_path().to_owned();
    leech.wait_for("what is left", STEP_TIMEOUT, || peerless::have_count(&output) == 3);
    leech.wait_for("the loss", STEP_TIMEOUT, || {
        let progress = peerless::events(&output, "progress");
        progress.last().is_some_and(|event| event["peers"]["connected"] == 1 && event["peers"]["seeds"] == 0)
    });
    assert!(!messages(&bad, "==> REJECT_PIECE").is_empty());
    few.link_into(&seed_host.dir);
    let _seed = Libtorrent::seed(&lab, &seed_host).peer(host.address).start(&lab, &[&few]);
    leech.expect_exit(0, TRANSFER_TIMEOUT);
    few.assert_copy_in(&host.dir, true);
}

/// It names each of two one piece at a time, ten seconds after they have come: they trade the first two.
fn super_seeded(runtime: Runtime) {
    let lab = Lab::new("super-seeded");
    let few = Payload::few(&lab);
    let (seed_host, first, second) = (lab.host("seed"), lab.host("first"), lab.host("second"));
    few.link_into(&seed_host.dir);
    let seed = Libtorrent::seed(&lab, &seed_host).flag("super_seeding").start(&lab, &[&few]);
    let leech = |host, other: IpAddr| {
        let leech = Peerless::download(&lab, host, runtime, &[&few]).arg("--no-trackers");
        leech.peer(seed_host.address).peer(other).spawn(&lab)
    };
    let mut leeches = [leech(&first, second.address), leech(&second, first.address)];
    for leech in &mut leeches {
        let output = leech.output_path().to_owned();
        leech.wait_for("both pieces", STEP_TIMEOUT, || peerless::have_count(&output) >= 2);
    }
    let have = leeches.iter().map(|leech| peerless::have_count(leech.output_path())).max().unwrap_or(0);
    let sent = libtorrent::payload_sent(seed);
    assert!(sent <= have * u64::from(few.piece_len()), "{sent} bytes for {have} pieces");
    drop(leeches);
}
