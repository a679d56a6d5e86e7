//! create, info, verify and magnet, one after the other, on real files.

use std::fs;

use crate::common::Folder;
use serde_json::json;

/// A folder with nested, hidden, empty and oddly named files: 100,007 bytes.
fn sample() -> Folder {
    let folder = Folder::new();
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    folder.write("data/b/large", &bytes);
    folder.write("data/b-side", b"12");
    folder.write("data/.hidden", b"345");
    folder.write("data/a/ünï/empty", b"");
    folder.write("data/z", b"67");
    folder
}

const CREATE: [&str; 6] = ["create", "data", "-o", "t.torrent", "--no-creation-date", "--piece-length=16K"];

#[test]
fn a_torrent_goes_round_create_info_verify_and_magnet() {
    let folder = sample();
    let tracker = "http://127.0.0.1:1/announce";
    let create = [&CREATE[..], &["--tracker", tracker, "--private", "--comment", "hi", "--json"]].concat();
    let created = folder.run(&create);
    assert_eq!(created.code, Some(0), "{created:?}");
    let info = folder.run(&["show", "t.torrent", "--json"]);
    info.done();
    let (info, mut created) = (info.json(), created.json());
    assert_eq!(created.as_object_mut().unwrap().remove("output"), Some("t.torrent".into()));
    assert_eq!(info, created);
    let files = [
        json!({"path": "data/.hidden", "length": 3}),
        json!({"path": "data/a/ünï/empty", "length": 0}),
        json!({"path": "data/b-side", "length": 2}),
        json!({"path": "data/b/large", "length": 100_000}),
        json!({"path": "data/z", "length": 2}),
    ];
    assert_eq!(info["files"], json!(files));
    assert_eq!((&info["total_size"], &info["piece_count"]), (&100_007.into(), &7.into()));
    assert_eq!((&info["private"], &info["comment"]), (&true.into(), &"hi".into()));
    assert_eq!((&info["trackers"], &info["creation_date"]), (&json!([[tracker]]), &json!(null)));

    let magnet = folder.run(&["magnet", "t.torrent"]);
    assert_eq!(magnet.done().trim_end(), info["magnet"].as_str().unwrap());
    let again = folder.run(&["info", magnet.stdout.trim_end(), "--json"]).json();
    assert_eq!((&again["info_hash"], &again["magnet"]), (&info["info_hash"], &info["magnet"]));
    assert_eq!((&again["files"], &again["name"]), (&json!(null), &"data".into()));

    assert!(folder.run(&["verify", "t.torrent", "."]).done().contains("all right"));
    assert!(folder.run(&["info", "t.torrent"]).done().contains("data/a/ünï/empty"));
}

#[test]
fn a_piece_is_as_long_as_the_rule_says_unless_told_otherwise() {
    let folder = Folder::new();
    for (len, more, piece_len) in
        [(1, &[][..], 16 << 10), (48 << 20, &[], 32 << 10), (48 << 20, &["--piece-length", "1M"], 1 << 20)]
    {
        fs::File::create(folder.path().join("f")).unwrap().set_len(len).unwrap();
        let made = folder.run(&[&["create", "f", "--force", "--json"], more].concat());
        assert_eq!(made.json()["piece_length"], piece_len);
    }
}

#[test]
fn the_same_input_gives_the_same_file() {
    let folder = sample();
    folder.run(&CREATE).done();
    let first = folder.read("t.torrent");
    folder.run(&[&CREATE[..], &["--force"]].concat()).done();
    assert_eq!(folder.read("t.torrent"), first);
    assert!(!folder.path().join("t.torrent.part").exists());
    // However the path is written, and with what another folder is named.
    folder
        .run(&["create", "./data/../data/", "-o", "u.torrent", "--no-creation-date", "--piece-length=16K"])
        .done();
    assert_eq!(folder.read("u.torrent"), first);
}

#[test]
fn overwriting_is_refused_unless_forced() {
    let folder = sample();
    folder.write("t.torrent", b"precious");
    folder.run(&CREATE).failed(11, "t.torrent");
    assert_eq!(folder.read("t.torrent"), b"precious");
    folder.run(&[&CREATE[..], &["--force"]].concat()).done();
    assert_ne!(folder.read("t.torrent"), b"precious");
}

#[test]
fn a_single_file_is_named_by_itself_or_by_name() {
    let folder = sample();
    folder.run(&["create", "data/z"]).done();
    let info = folder.run(&["info", "z.torrent", "--json"]).json();
    assert_eq!(info["files"], json!([{"path": "z", "length": 2}]));
    assert!(info["creation_date"].is_i64());
    folder.run(&["create", "data/z", "--name", "other", "-o", "o.torrent"]).done();
    assert_eq!(folder.run(&["info", "o.torrent", "--json"]).json()["name"], "other");
    folder.run(&["create", "data/z", "--name", "../up", "-o", "p.torrent"]).failed(2, "--name ../up");
    assert!(!folder.path().join("p.torrent").exists());
}

#[test]
fn verify_names_what_is_bad() {
    let folder = sample();
    folder.run(&CREATE).done();
    let mut large = folder.read("data/b/large");
    large[40_000] ^= 1;
    folder.write("data/b/large", &large);
    let run = folder.run(&["verify", "t.torrent", "."]);
    run.failed(8, "1 of 7 pieces");
    assert_eq!(run.stdout, "data/b/large: bad, 1 piece\nbad pieces: 2\n");
    fs::remove_file(folder.path().join("data/z")).unwrap();
    folder.write("data/b-side", b"12 and more");
    let run = folder.run(&["verify", "t.torrent", ".", "--json"]);
    run.failed(8, "files not right");
    let found = run.json();
    assert_eq!((&found["ok"], &found["bad_pieces"]), (&false.into(), &json!([2, 6])));
    let faults: Vec<_> =
        found["bad_files"].as_array().unwrap().iter().map(|f| (&f["index"], &f["fault"])).collect();
    let want = [(3, "length"), (4, "data"), (5, "missing")].map(|(i, f)| (json!(i), json!(f)));
    assert_eq!(faults, want.iter().map(|(i, f)| (i, f)).collect::<Vec<_>>());
}

#[test]
fn verify_tells_missing_data_from_a_missing_folder() {
    let folder = sample();
    folder.run(&CREATE).done();
    fs::create_dir(folder.path().join("empty")).unwrap();
    let run = folder.run(&["verify", "t.torrent", "empty"]);
    run.failed(8, "7 of 7 pieces and 5 files");
    assert!(run.stdout.contains("data/z: missing\n"), "{run:?}");
    folder.run(&["verify", "t.torrent", "nowhere"]).failed(3, "nowhere");
}

#[test]
fn what_can_not_be_shared_is_refused() {
    let folder = sample();
    folder.run(&["create", "nowhere"]).failed(3, "nowhere");
    folder.run(&["create", "data/a"]).failed(3, "data/a: has no bytes");
    folder.run(&["create", "data", "-o", "no/such/folder/t.torrent"]).failed(10, "no/such/folder/t.torrent");
}

#[test]
fn foreign_text_can_not_move_the_cursor() {
    let folder = sample();
    let name = "evil\u{1b}[2J\r\u{202e}";
    folder.write(&format!("data/{name}"), b"1");
    let run = folder.run(&[&CREATE[..], &["--comment", "a\nb\u{7}", "--source", "\u{1b}c"]].concat());
    assert_eq!(run.code, Some(0), "{run:?}");
    fs::remove_file(folder.path().join("data").join(name)).unwrap();
    for args in [&["info", "t.torrent"][..], &["verify", "t.torrent", "."]] {
        let run = folder.run(args);
        let text = format!("{}{}", run.stdout, run.stderr);
        let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(text.contains("evil") && !text.contains(acts), "{text:?}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_left_out_and_never_followed() {
    let folder = sample();
    std::os::unix::fs::symlink("/etc/passwd", folder.path().join("data/link")).unwrap();
    std::os::unix::fs::symlink("..", folder.path().join("data/loop")).unwrap();
    let run = folder.run(&CREATE);
    assert_eq!(run.code, Some(0), "{run:?}");
    assert!(run.stderr.contains("special files: 2"), "{run:?}");
    assert_eq!(folder.run(&["info", "t.torrent", "--json"]).json()["files"].as_array().unwrap().len(), 5);
}

#[test]
fn an_edit_changes_what_it_names_and_not_the_info_hash() {
    let folder = Folder::new();
    folder.write("d/f", b"data");
    folder.write("d/.peerless-0.resume", b"ours");
    let web = ["--web-seed", "http://w/"];
    folder
        .run(&[&["create", "d", "-o", "t", "--comment", "old", "--tracker", "http://a/"][..], &web].concat())
        .done();
    let before = folder.run(&["info", "t", "--json"]).json();
    assert_eq!(before["web_seeds"], serde_json::json!(["http://w/"]));
    assert_eq!(before["files"], serde_json::json!([{"path": "d/f", "length": 4}]));
    folder
        .run(&["edit", "t", "--tracker", "http://b/,http://c/", "--comment", "new", "--no-web-seeds"])
        .done();
    let after = folder.run(&["info", "t", "--json"]).json();
    assert_eq!(after["info_hash"], before["info_hash"]);
    assert_eq!(after["trackers"], serde_json::json!([["http://b/", "http://c/"]]));
    assert_eq!((&after["comment"], &after["web_seeds"]), (&"new".into(), &serde_json::json!([])));
    assert_eq!(folder.run(&["edit", "t"]).code, Some(2));
    folder.run(&["edit", "missing", "--no-trackers"]).failed(3, "missing");
}
