//! download, seed, replay and demo over real sockets on loopback.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::background::{Background, sample, seed};
use crate::common::{Folder, Run};

fn has_all(folder: &Folder, output: &str) -> bool {
    ["many/large", "many/sub/small", "many/sub/empty", "one"]
        .iter()
        .all(|path| folder.read(&format!("data/{path}")) == folder.read(&format!("{output}/{path}")))
}

#[test]
fn several_torrents_come_from_one_seed_under_each_pair_of_runtimes() {
    let folder = sample();
    for seeding in ["mio", "smol"] {
        let (seed, addr) = seed(&folder, seeding);
        for leeching in ["mio", "smol"] {
            let output = format!("{seeding}-{leeching}");
            let args =
                ["many.torrent", "one.torrent", "-o", &output, "--peer", &addr, "-p", "0", "-r", leeching];
            let run = folder.run(&args);
            assert_eq!((run.code, run.stdout.as_str()), (Some(0), ""), "{run:?}");
            assert!(run.stderr.contains("many: complete: 976.5 KiB in "), "{run:?}");
            assert!(has_all(&folder, &output));
            // Again: all is there, so it needs no peer and ends at once.
            let again = folder.run(&[
                "download",
                "many.torrent",
                "one.torrent",
                "-o",
                &output,
                "-p",
                "0",
                "-r",
                leeching,
            ]);
            assert_eq!(again.code, Some(0), "{again:?}");
            assert!(again.stderr.contains("all there already"), "{again:?}");
        }
        seed.signal("-TERM");
        let run = seed.end();
        assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""), "{run:?}");
    }
}

#[test]
fn json_tells_the_whole_story() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    let args = ["download", "many.torrent", "-o", "out", "--peer", &addr, "-p", "0", "--json"];
    let run = folder.run(&args);
    run.done();
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["v"] == 1 && line["t"].is_number()), "{lines:?}");
    let of = |kind| lines.iter().filter(|line| line["type"] == kind).collect::<Vec<_>>();
    let (start, added) = (of("start"), of("added"));
    assert_eq!(
        (&start[0]["runtime"], &start[0]["version"]),
        (&"mio".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!((&added[0]["name"], &added[0]["size"]), (&"many".into(), &1_000_005.into()));
    assert_eq!((&added[0]["files"], &added[0]["pieces"]), (&3.into(), &31.into()));
    let mut files: Vec<_> =
        of("file").iter().map(|line| (line["index"].as_u64(), line["path"].clone())).collect();
    files.sort_by_key(|file| file.0);
    assert!(files.contains(&(Some(1), "many/large".into())), "{files:?}");
    assert_eq!((&of("complete")[0]["bytes"], &of("complete")[0]["wasted"]), (&1_000_005.into(), &0.into()));
    assert_eq!(lines.last().unwrap()["type"], "end");
    assert_eq!(lines.last().unwrap()["code"], 0);
}

#[test]
fn one_failure_does_not_hold_up_the_others_but_decides_the_code() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    let args = ["gone.torrent", "one.torrent", "-o", "out", "--peer", &addr, "-p", "0", "-q"];
    folder.run(&args).failed(3, "gone.torrent");
    assert_eq!(folder.read("out/one"), b"one");
}

#[test]
fn a_second_process_on_the_same_download_is_refused() {
    let folder = sample();
    let mut first = Background::start(&folder, &["many.torrent", "-o", "out", "-p", "0"]);
    // The first figures come after the lock is taken.
    first.line("progress");
    folder.run(&["many.torrent", "-o", "out", "-p", "0", "-q"]).failed(11, "out");
    first.signal("-INT");
    assert_eq!(first.end().code, Some(7));
}

#[test]
fn what_is_in_the_way_is_told_with_its_code() {
    let folder = sample();
    folder.write("file", b"");
    folder.run(&["many.torrent", "-o", "file/out", "-p", "0", "-q"]).failed(10, "file/out");
    folder.run(&["seed", "many.torrent", "--data", "nowhere", "-p", "0", "-q"]).failed(3, "nowhere");
    folder.write("other/many/large", b"something else");
    folder.run(&["seed", "many.torrent", "--data", "other", "-p", "0", "-q"]).failed(8, "many");
    let socket = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = socket.local_addr().unwrap().port().to_string();
    folder.run(&["many.torrent", "-o", "out", "-p", &port, "-q"]).failed(6, &port);
}

#[test]
fn seeding_on_ends_with_its_time() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    let args = ["one.torrent", "-o", "out", "--peer", &addr, "-p", "0", "-q", "--seed-time", "1500ms"];
    let began_at = Instant::now();
    folder.run(&args).done();
    assert!(began_at.elapsed() >= Duration::from_millis(1500));
}

#[test]
fn a_recording_replays_and_tells_when_it_is_another() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    for runtime in ["mio", "smol"] {
        let args = [
            "many.torrent",
            "-o",
            runtime,
            "--peer",
            &addr,
            "-p",
            "0",
            "-q",
            "-r",
            runtime,
            "--record",
            "rec",
            // Long enough that the peer is seen when the recording is looked into.
            "--max-down",
            "4M",
        ];
        folder.run(&args).done();
        assert!(folder.run(&["replay", "rec"]).done().starts_with("rec: the same again: "));
    }
    let told: Value =
        serde_json::from_str(folder.run(&["replay", "rec", "--explain", "--json"]).done()).unwrap();
    let (torrent, end) = (&told["torrents"][0], &told["end"]);
    assert_eq!(
        (&torrent["done"], &torrent["peers"][0]["addr"], end),
        (&1_000_005.into(), &addr.as_str().into(), &"shut_down".into())
    );
    let words = folder.run(&["replay", "rec", "--explain", "--picture", "rec.svg"]);
    assert!(words.done().contains("\nmany: 976.5 KiB of 976.5 KiB are there"), "{words:?}");
    assert!(folder.read("rec.svg").starts_with(b"<svg "));
    folder.run(&["replay", "rec", "--picture", "rec.svg"]).failed(11, "rec.svg");
    folder.run(&["replay", "rec", "--picture", "rec.svg", "--force"]).done();
    let same = folder.run(&["replay", "rec"]);
    folder.run(&["replay", "rec", "--anonymize", "copy"]).done();
    let copy = folder.read("copy");
    for word in ["many", "large", "small"] {
        assert!(!copy.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
    // What peers may have while they are choked is a call of the copy alone.
    let outputs = |text: &str| text.split_once(" calls, ").unwrap().1.to_owned();
    assert_eq!(outputs(folder.run(&["replay", "copy"]).done()), outputs(same.done()));
    folder.run(&["replay", "rec", "--anonymize", "rec"]).failed(11, "rec");
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("elsewhere", folder.path().join("link")).unwrap();
        folder.run(&["replay", "rec", "--anonymize", "link"]).failed(11, "link");
    }
    folder.run(&["replay", "many.torrent"]).failed(1, "many.torrent");
    #[cfg(unix)]
    folder.run(&["replay", "/dev/zero"]).failed(1, "/dev/zero: not a recording");
    let args = ["many.torrent", "-o", "none", "--peer", &addr, "-p", "0", "--record", "gone/rec"];
    folder.run(&args).failed(10, "gone/rec");
    folder.run(&["replay", "gone"]).failed(3, "gone");
}

#[test]
fn a_recording_takes_the_place_of_another_and_of_nothing_else() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    let args = ["many.torrent", "-o", "out", "--peer", &addr, "-p", "0", "-q", "--record"];
    for old in [&b"peerless recording 1 0.0.1\nold"[..], b"peerle\x00\x04old", b""] {
        folder.write("rec", old);
        folder.run(&[&args[..], &["rec"]].concat()).done();
        folder.run(&["replay", "rec"]).done();
    }
    let torrent = folder.read("many.torrent");
    let run = folder.run(&[&args[..], &["many.torrent"]].concat());
    run.failed(11, "many.torrent: is there already, and no recording");
    assert_eq!(folder.read("many.torrent"), torrent);
}

#[test]
fn a_damaged_recording_is_told_from_a_short_one_and_from_another_session() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    let args = ["many.torrent", "-o", "out", "--peer", &addr, "-p", "0", "-q", "--record"];
    folder.run(&[&args[..], &["rec"]].concat()).done();
    // A flipped bit is never taken for what the session did: the frames' digests tell. One in a frame's
    // length can look as if the recording had been cut off in that frame, which is told too.
    let recording = folder.read("rec");
    for part in 1..20 {
        let mut damaged = recording.clone();
        damaged[recording.len() * part / 20] ^= 0x10;
        folder.write("damaged", &damaged);
        let run = folder.run(&["replay", "damaged"]);
        let words = if run.code == Some(0) { "damaged: cut off: its last " } else { "damaged at byte " };
        assert!(matches!(run.code, Some(0 | 1)) && run.stderr.contains(words), "{run:?}");
    }
    folder.write("short", &recording[..100]);
    folder.run(&["replay", "short"]).failed(1, "short: holds nothing: cut off before its first part");
    folder.run(&[&args[..], &["full", "--record-size", "1K", "--check", "full"]].concat()).done();
    folder.run(&["replay", "full"]).failed(1, "full: holds nothing: what it begins with is longer");
    // Whole, but of a session that would have had another peer id: behind a byte each of tag and time, and
    // the eight of chance. The first that shows is the handshake.
    let mut records = peerless_core::unsealed_recording(&recording).unwrap();
    records[10] ^= 1;
    folder.write("other", &peerless_core::sealed_recording(&records));
    let run = folder.run(&["replay", "other"]);
    run.failed(12, "other: diverged after call ");
    assert!(run.stderr.contains(" s, 68 bytes are sent to p0.0: recorded by "), "{run:?}");
}

#[test]
fn a_recording_of_a_killed_run_replays_up_to_its_last_second() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    let args = ["download", "many.torrent", "-o", "out", "--peer", &addr, "-p", "0"];
    let mut run =
        Background::start(&folder, &[&args[..], &["--max-down", "200K", "--record", "rec"]].concat());
    let told_at = std::iter::repeat_with(|| run.line("progress")["t"].as_f64().unwrap()).find(|t| *t > 2.5);
    run.signal("-KILL");
    assert_eq!(run.end().code, None, "it was killed");
    let again = folder.run(&["replay", "rec"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(again.stdout.starts_with("rec: the same again: "), "{again:?}");
    assert!(
        ["ends before the session did", "cut off"].iter().any(|end| again.stderr.contains(end)),
        "{again:?}"
    );
    let replayed = peerless_core::replay(&folder.read("rec")).unwrap();
    // A second, and another one that a busy machine may take to write.
    assert!(replayed.time.as_secs_f64() > told_at.unwrap() - 2.0, "{replayed:?}, told at {told_at:?}");
}

#[test]
fn the_demo_does_its_job_and_leaves_nothing_behind() {
    let folder = Folder::new();
    let output = Command::new(env!("CARGO_BIN_EXE_peerless"))
        .args(["demo", "--size", "2M"])
        .env("TMPDIR", folder.path())
        .output()
        .unwrap();
    let run = Run::of(output);
    let text = run.done();
    assert_eq!(text.matches("the same byte for byte").count(), 2, "{text}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn chosen_files_come_alone_and_others_at_the_next_run() {
    let folder = sample();
    let (_seed, addr) = seed(&folder, "mio");
    for runtime in ["mio", "smol"] {
        let files = || {
            let mut names: Vec<_> = fs::read_dir(folder.path().join(runtime))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .map(|name| name.rsplit('.').next().unwrap().to_owned())
                .collect();
            names.sort();
            names
        };
        let get = |spec: &[&str]| {
            let args = ["many.torrent", "-o", runtime, "--peer", &addr, "-p", "0", "-r", runtime];
            let run = folder.run(&[&args[..], spec].concat());
            assert_eq!(run.code, Some(0), "{run:?}");
        };
        get(&["--files", "small"]);
        assert_eq!(folder.read(&format!("{runtime}/many/sub/small")), b"small");
        assert!(!folder.path().join(runtime).join("many/large").exists());
        assert!(!folder.path().join(runtime).join("many/sub/empty").exists());
        assert_eq!(files(), ["many", "part", "resume"]);
        get(&["--files", "1,3", "--sequential", "--first-and-last"]);
        assert_eq!(folder.read(&format!("{runtime}/many/large")), folder.read("data/many/large"));
        assert_eq!(files(), ["many", "resume"]);
        get(&[]);
        assert!(folder.path().join(runtime).join("many/sub/empty").exists());
    }
    folder.run(&["many.torrent", "--files", "4"]).failed(2, "it has no file 4, but 3");
    folder.run(&["many.torrent", "--files", "*.mkv"]).failed(2, "no file matches *.mkv");
}
