//! What is said about the program itself, and what is refused.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::common::Folder;

#[test]
fn wrong_usage_is_code_2_in_one_line() {
    let folder = Folder::new();
    for args in [
        &["--nonsense"][..],
        &["download"],
        &["x.torrent", "--files", "0"],
        &["seed", "x", "--data", ".", "--proxy", "http://h:1"],
        &["x", "--transport", "utp"],
        &["x", "--encryption", "require"],
        &["x", "--port", "65536"],
        &["x", "--tracker", "wss://t:1"],
        &["verify", "x"],
        &["create"],
        &["tracker", "--listen", "nonsense"],
        &["completions", "tcsh"],
        &["x", "\u{1b}[2J", "--nonsense"],
    ] {
        let run = folder.run(args);
        run.failed(2, "usage: ");
        assert!(!run.stderr.contains('\u{1b}'), "{run:?}");
    }
    let run = folder.run(&[]);
    assert_eq!((run.code, run.stdout.as_str()), (Some(2), ""));
    assert!(run.stderr.contains("Usage: peerless"), "{run:?}");
}

#[test]
fn help_version_completions_and_the_manual_go_to_stdout() {
    let folder = Folder::new();
    for (args, part) in [
        (&["--help"][..], "--stop-timeout"),
        (&["-h"], "download"),
        (&["seed", "--help"], "--data"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "complete -F _peerless"),
        (&["completions", "zsh"], "#compdef peerless"),
        (&["completions", "fish"], "complete -c peerless"),
        (&["man"], "EXIT STATUS"),
    ] {
        let run = folder.run(args);
        assert!(run.done().contains(part), "{args:?}");
    }
}

#[test]
fn what_is_not_there_is_code_3_and_what_is_no_torrent_code_4() {
    let folder = Folder::new();
    folder.write("bad.torrent", b"d8:announce3:x\x1b[e");
    folder.write("empty.torrent", b"");
    for command in [&["info"][..], &["magnet"], &["download"], &[], &["seed"], &["verify"]] {
        let tail = if command == ["verify"] { &["."][..] } else { &[] };
        let run = |name| folder.run(&[command, &[name], tail].concat());
        run("gone.torrent").failed(3, "gone.torrent");
        run(".").failed(3, ".");
        run("bad.torrent").failed(4, "bad.torrent");
        run("empty.torrent").failed(4, "empty.torrent");
        run("magnet:?dn=x").failed(4, "magnet:?dn=x");
    }
    folder.run(&["info", "http://127.0.0.1:1/x.torrent"]).failed(3, "http://127.0.0.1:1/x.torrent");
}

#[test]
fn a_torrent_may_come_from_a_url() {
    let folder = Folder::new();
    folder.write("f", b"data");
    folder.run(&["create", "f"]).done();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/f.torrent", listener.local_addr().unwrap());
    let torrent = folder.read("f.torrent");
    let server = thread::spawn(move || {
        for body in [&torrent[..], b"<html>"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            assert!(stream.read(&mut request).unwrap() > 0);
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        }
    });
    assert!(folder.run(&["info", &url]).done().contains("name       f\n"));
    folder.run(&["magnet", &url]).failed(4, &url);
    server.join().unwrap();
}

#[test]
fn a_magnet_link_whose_metadata_does_not_come_is_given_up() {
    let folder = Folder::new();
    let link = format!("magnet:?xt=urn:btih:{}", "ab".repeat(20));
    let quick = ["--no-trackers", "--port", "0", "--stop-timeout", "1"];
    let run = folder.run(&[&["download", "--json", &link], &quick[..]].concat());
    run.failed(5, "gave up");
    assert!(run.stdout.contains(r#""state":"metadata""#), "{}", run.stdout);
    folder
        .run(&[&["magnet", &"ab".repeat(20), "-q", "--output", "t.torrent"], &quick[..]].concat())
        .failed(5, "gave up");
    folder.run(&["magnet", &link]).failed(2, "--output");
    folder.run(&["seed", &link, "--data", "."]).failed(4, "which is needed here");
}
