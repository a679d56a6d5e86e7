//! How a run ends that does not end by itself: signals, time, readers and terminals that are gone.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::pty;

use crate::background::{Background, await_seed, sample, seed, start_seed};
use crate::common::{Folder, Run};
use crate::tracker::Tracker;

/// Does the same under each runtime, side by side: it is mostly waiting.
fn under_each(test: impl Fn(&str) + Sync) {
    thread::scope(|scope| {
        let runs = ["mio", "smol"].map(|runtime| scope.spawn(|| test(runtime)));
        runs.into_iter().for_each(|run| run.join().unwrap());
    });
}

/// A download that has nobody to get anything from.
fn lone(folder: &Folder, runtime: &str, more: &[&str]) -> Background {
    let args = [&["many.torrent", "-o", runtime, "-p", "0", "-r", runtime], more].concat();
    let mut run = Background::start(folder, &args);
    run.line("added");
    run
}

/// Such a download that waits for the answer of a tracker that gives none.
fn waiting(folder: &Folder, runtime: &str) -> (Background, TcpStream) {
    let tracker = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", tracker.local_addr().unwrap());
    let run = lone(folder, runtime, &["--tracker", &url]);
    let (mut stream, _) = tracker.accept().unwrap();
    assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
    (run, stream)
}

#[track_caller]
fn ended_in_order(run: &Run, code: i32) {
    assert_eq!(run.code, Some(code), "{run:?}");
    assert!(run.stdout.ends_with(&format!("\"type\":\"end\",\"code\":{code}}}\n")), "{run:?}");
}

#[test]
fn a_signal_ends_an_unfinished_download_with_code_7_and_it_goes_on() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "smol");
    under_each(|runtime| {
        for signal in ["-INT", "-TERM", "-HUP"] {
            let download = lone(&folder, runtime, &[]);
            let began_at = Instant::now();
            download.signal(signal);
            let run = download.end();
            run.failed(7, "many: interrupted");
            ended_in_order(&run, 7);
            assert!(began_at.elapsed() < Duration::from_secs(5));
        }
        let args = ["many.torrent", "-o", runtime, "-p", "0", "--peer", &addr, "-q", "-r", runtime];
        assert_eq!(folder.run(&args).done(), "");
        assert_eq!(folder.read(&format!("{runtime}/many/large")), folder.read("data/many/large"));
    });
}

#[test]
fn a_signal_ends_a_seed_with_code_0() {
    let folder = sample();
    under_each(|runtime| {
        let seeds = ["-INT", "-TERM", "-HUP"].map(|signal| (signal, start_seed(&folder, runtime)));
        for (signal, mut seed) in seeds {
            await_seed(&mut seed);
            seed.signal(signal);
            let run = seed.end();
            assert_eq!(run.stderr, "");
            ended_in_order(&run, 0);
        }
    });
}

#[test]
fn trackers_hear_of_an_end_by_a_signal() {
    let folder = sample();
    under_each(|runtime| {
        let tracker = Tracker::start();
        for (scheme, signal) in [("http", "-INT"), ("udp", "-TERM"), ("http", "-HUP")] {
            let url = format!("{scheme}://{}/announce", tracker.addr);
            let leech_count = || {
                let counts = folder.run(&["scrape", "many.torrent", "--tracker", &url, "--json"]).json();
                counts["trackers"][0]["leeches"].as_u64()
            };
            let mut download = lone(&folder, runtime, &["--tracker", &url]);
            assert_eq!(download.line("tracker")["ok"], true);
            assert_eq!(leech_count(), Some(1), "{url}");
            download.signal(signal);
            ended_in_order(&download.end(), 7);
            assert_eq!(leech_count(), Some(0), "{url}: it still counts who was ended by {signal}");
        }
    });
}

#[test]
fn a_mute_tracker_holds_up_the_end_for_a_second_and_a_second_signal_for_nothing() {
    let folder = sample();
    under_each(|runtime| {
        let (slow, _unanswered) = waiting(&folder, runtime);
        let began_at = Instant::now();
        slow.signal("-INT");
        ended_in_order(&slow.end(), 7);
        assert!(began_at.elapsed() < Duration::from_secs(3), "{:?}", began_at.elapsed());

        let (impatient, _unanswered) = waiting(&folder, runtime);
        impatient.signals(&["-TERM", "-INT"]);
        let run = impatient.end();
        assert_eq!(run.code, Some(7));
        assert!(!run.stdout.contains("\"end\""), "an end at once tells nothing: {run:?}");
    });
}

#[test]
fn a_hang_up_told_twice_is_one_and_under_nohup_none() {
    let folder = sample();
    under_each(|runtime| {
        let (hung_up, _unanswered) = waiting(&folder, runtime);
        hung_up.signals(&["-TERM", "-HUP"]);
        ended_in_order(&hung_up.end(), 7);

        let mut command = Command::new("sh");
        let program = env!("CARGO_BIN_EXE_peerless");
        let line =
            format!("trap '' HUP; exec {program} many.torrent -o nohup-{runtime} -p 0 -r {runtime} --json");
        command.args(["-c", &line]);
        let mut under_nohup = Background::spawn(&folder, command);
        under_nohup.line("added");
        under_nohup.signal("-HUP");
        (0..2).for_each(|_| _ = under_nohup.line("progress"));
        under_nohup.signal("-INT");
        ended_in_order(&under_nohup.end(), 7);
    });
}

#[test]
fn nobody_to_download_from_gives_up_with_code_5() {
    let folder = sample();
    under_each(|runtime| {
        let args = ["many.torrent", "-o", runtime, "-p", "0", "--peer", "127.0.0.1:1", "-q", "-r", runtime];
        folder.run(&[&args[..], &["--stop-timeout", "1"]].concat()).failed(5, "many: gave up");
    });
}

#[test]
fn when_the_reader_of_its_lines_leaves_a_run_ends_and_can_go_on() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    under_each(|runtime| {
        let mut unheard = lone(&folder, runtime, &[]);
        unheard.stop_reading();
        unheard.end().failed(7, "many: interrupted");
        let args = ["many.torrent", "-o", runtime, "-p", "0", "--peer", &addr, "-q", "-r", runtime];
        folder.run(&args).done();
        let (mut seed, _) = seed(&folder, runtime);
        seed.stop_reading();
        let run = seed.end();
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
    });
}

#[test]
fn nobody_on_standard_error_is_no_reason_to_end() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    under_each(|runtime| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_peerless"));
        command.args(["many.torrent", "-o", runtime, "-p", "0", "--peer", &addr, "-v", "-r", runtime]);
        let mut child = command.current_dir(folder.path()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stderr.take());
        assert_eq!(child.wait().unwrap().code(), Some(0));
        assert_eq!(folder.read(&format!("{runtime}/many/large")), folder.read("data/many/large"));
    });
}

#[test]
fn a_terminal_that_is_gone_is_no_reason_to_panic() {
    let folder = sample();
    under_each(|runtime| {
        let terminal = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
        pty::grantpt(&terminal).unwrap();
        pty::unlockpt(&terminal).unwrap();
        let name = pty::ptsname(&terminal, Vec::new()).unwrap();
        let user = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_peerless"))
            .args(["many.torrent", "-o", runtime, "-p", "0", "-r", runtime, "--stop-timeout", "3"])
            .env("TERM", "xterm")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(user)
            .spawn()
            .unwrap();
        let (mut screen, mut seen) = (File::from(terminal), Vec::new());
        // Once a bar is there, there is something to take away.
        while !seen.contains(&b'%') {
            let mut buffer = [0; 4096];
            let len = screen.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..len]);
        }
        drop(screen);
        // Further figures and the line about the end have nowhere to go.
        assert_eq!(child.wait().unwrap().code(), Some(5));
    });
}
