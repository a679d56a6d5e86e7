//! Swarms simulated from files.

use crate::common::Folder;

const TINY: &str = r#"
torrent = { pieces = 8, piece_length = "64K" }

[[group]]
name = "seed"
has = 1.0

[[group]]
name = "leeches"
count = 3
"#;

/// One that does not come to its end: a byte a second.
const ENDLESS: &str = r#"
limit = "366d"
torrent = { pieces = 1024, piece_length = "64K" }
[[group]]
name = "seed"
has = 1.0
up = 1
[[group]]
name = "leech"
"#;

fn folder(scenario: &str) -> Folder {
    let folder = Folder::new();
    folder.write("small.toml", scenario.as_bytes());
    folder
}

#[test]
fn a_swarm_is_simulated_and_reported_the_same_each_time() {
    let folder = folder(TINY);
    let text = folder.run(&["sim", "small.toml", "--quiet"]);
    let text = text.done();
    assert!(
        text.starts_with("small, seed 1: 4 peers, 512.0 KiB in 8 pieces of 64.0 KiB\n3 of 3 complete"),
        "{text}"
    );
    assert_eq!(folder.run(&["sim", "small.toml", "--quiet"]).done(), text);
    assert_ne!(folder.run(&["sim", "small.toml", "--quiet", "--seed", "7"]).done(), text);
    let json = folder.run(&["sim", "small.toml", "--quiet", "--json"]);
    assert_eq!(json.done().lines().count(), 1);
    let json = json.json();
    assert_eq!((&json["v"], &json["ended"], &json["complete"]), (&1.into(), &"complete".into(), &3.into()));
    assert_eq!(json["groups"][1]["completion"]["count"], 3);
}

#[test]
fn pictures_go_into_a_folder_and_overwrite_nothing_unasked() {
    let folder = folder(TINY);
    let args = ["sim", "small.toml", "--quiet", "--pictures", "new/pictures"];
    folder.run(&args).done();
    let draw = |name: &str| folder.read(&format!("new/pictures/{name}.svg"));
    for name in ["completion", "upload", "peers", "entropy", "copies", "shares"] {
        assert!(draw(name).starts_with(b"<svg"), "{name}");
    }
    folder.write("new/pictures/upload.svg", b"mine");
    folder.run(&args).failed(11, "completion.svg: is there already; --force");
    assert_eq!(draw("upload"), b"mine");
    folder.run(&[&args[..], &["--force"]].concat()).done();
    assert!(draw("upload").starts_with(b"<svg"));
    folder.run(&["sim", "small.toml", "--pictures", "small.toml"]).failed(11, "small.toml: ");
}

#[test]
fn what_is_no_scenario_is_told_in_one_line_that_says_where() {
    let folder = folder(TINY);
    folder.run(&["sim", "none.toml"]).failed(3, "none.toml: ");
    folder.run(&["sim", "."]).failed(3, ".: ");
    for (from, to, want) in [
        ("count", "cuont", "line 10: unknown field `cuont`"),
        (
            "count = 3",
            "count = 3000000",
            "line 10: invalid value: integer `3000000`, expected a whole number",
        ),
        ("64K", "64X", "line 2: invalid value: string \"64X\""),
        ("[[group]]", "[group", "line 4: "),
        ("count", "\u{1b}[2J", "line 10: "),
    ] {
        folder.write("bad.toml", TINY.replace(from, to).as_bytes());
        let run = folder.run(&["sim", "bad.toml"]);
        run.failed(4, &format!("bad.toml: {want}"));
        assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
    }
    folder.write("binary.toml", b"\xFF\xFE");
    folder.run(&["sim", "binary.toml"]).failed(4, "binary.toml: not text in UTF-8");
    #[cfg(unix)]
    folder.run(&["sim", "/dev/zero"]).failed(4, "/dev/zero: too long for a scenario");
    folder.run(&["sim", "small.toml", "--force"]).failed(2, "usage: ");
}

#[test]
fn at_the_limit_it_gives_up_with_code_5_and_reports() {
    let folder = folder(&ENDLESS.replace("366d", "20s"));
    let run = folder.run(&["sim", "small.toml", "--quiet"]);
    run.failed(5, "small.toml: gave up at the scenario's limit: 0 of 1 complete");
    assert!(run.stdout.contains("0 of 1 complete at the limit of 20.0 s"), "{run:?}");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_code_7_and_a_report_of_the_time_so_far() {
    use crate::background::Background;
    use std::thread;
    use std::time::Duration;

    let folder = folder(ENDLESS);
    let run = Background::start(&folder, &["sim", "small.toml", "--quiet", "--pictures", "so-far"]);
    // It is at work once the folder is there.
    while !folder.path().join("so-far").is_dir() {
        thread::sleep(Duration::from_millis(5));
    }
    run.signal("-INT");
    let run = run.end();
    run.failed(7, "small.toml: interrupted: 0 of 1 complete");
    assert_eq!(run.json()["ended"], "interrupted");
    assert!(folder.read("so-far/copies.svg").starts_with(b"<svg"));
}
