//! Web seeds (BEP 19): nginx, and a server with its ways, beside or without peers; and torrents of ours
//! that others get from them.

use peerless_tests::real::{
    Client, Host, Lab, Payload, PayloadKind, Payloads, Peerless, Program, Runtime, STEP_TIMEOUT,
    TRANSFER_TIMEOUT, libtorrent::Libtorrent, nginx, peerless, web_server,
};
use serde_json::Value;

use super::under_both_runtimes;

under_both_runtimes! {
    from_nginx => gets_files_and_folders_from_nginx_alone,
    redirected => follows_nginx_to_where_the_files_are,
    missing => leaves_what_nginx_does_not_have_for_another_web_seed,
    without_ranges => gets_files_of_a_server_without_ranges,
    busy => asks_a_busy_server_again_later,
    lied_to => gets_from_libtorrent_what_a_web_seed_lies_about,
    switched_off => asks_no_web_seed_when_it_is_told_not_to,
}

/// The web server's host, which has the data of these payloads.
fn host_of(lab: &Lab, payloads: &[&Payload]) -> Host {
    let host = lab.host("web");
    payloads.iter().for_each(|payload| payload.link_into(&host.dir));
    host
}

/// A URL of the web server.
fn url(host: &Host, path: &str) -> String {
    format!("http://{}/{path}", host.at(nginx::PORT))
}

/// Downloads to the end, from no peers.
fn download(lab: &Lab, runtime: Runtime, payloads: &[&Payload]) -> Program {
    let host = lab.host("leech");
    let mut leech = Peerless::download(lab, &host, runtime, payloads).spawn(lab);
    leech.expect_exit(0, TRANSFER_TIMEOUT);
    payloads.iter().for_each(|payload| payload.assert_copy_in(&host.dir, true));
    leech
}

/// What it said of web seeds: what is wrong, and how long each is left alone.
fn failures(leech: &Program) -> Vec<(Value, Value)> {
    let said = peerless::events(leech.output_path(), "web_seed");
    said.iter().map(|event| (event["error"].clone(), event["next"].clone())).collect()
}

/// The folder is the torrent's name below the URL; a file is either below it or the URL itself.
fn from_nginx(runtime: Runtime) {
    let payloads = Payloads::shared();
    let [_, tree, tiny] = payloads.by_libtorrent();
    let lab = Lab::new("web");
    let one = Payload::of(&lab, PayloadKind::One);
    let host = host_of(&lab, &[tree, tiny, &one]);
    let server = nginx::start(&lab, &host, "");
    let torrents = [
        tree.with_web_seeds(lab.dir(), &[&url(&host, "")]),
        tiny.with_web_seeds(lab.dir(), &[&url(&host, "")]),
        one.with_web_seeds(lab.dir(), &[&url(&host, "one%20file.bin")]),
    ];
    download(&lab, runtime, &torrents.each_ref());
    let said = server.output();
    let in_parts = said.lines().filter(|line| line.contains("one%20file.bin") && line.contains(" 206 "));
    assert!(in_parts.count() > 1, "{said}");
    assert!(said.lines().all(|line| line.contains(" 206 ") || line.contains(" 200 ")), "{said}");
}

fn redirected(runtime: Runtime) {
    let lab = Lab::new("web-moved");
    let few = Payload::few(&lab);
    let host = host_of(&lab, &[&few]);
    let moved = format!("location /moved/ {{ rewrite ^/moved/(.*)$ {} redirect; }}", url(&host, "$1"));
    let server = nginx::start(&lab, &host, &moved);
    download(&lab, runtime, &[&few.with_web_seeds(lab.dir(), &[&url(&host, "moved/")])]);
    let said = server.output();
    assert!(said.contains("GET /moved/few/a ") && said.contains("GET /few/a "), "{said}");
}

fn missing(runtime: Runtime) {
    let lab = Lab::new("web-404");
    let few = Payload::few(&lab);
    let host = host_of(&lab, &[&few]);
    let server = nginx::start(&lab, &host, "");
    let seeds = [url(&host, "nothing/"), url(&host, "")];
    let leech =
        download(&lab, runtime, &[&few.with_web_seeds(lab.dir(), &seeds.each_ref().map(String::as_str))]);
    let said = server.output();
    let asked = said.lines().filter(|line| line.contains("GET /nothing/")).count();
    assert!((1..=2).contains(&asked), "{said}");
    assert_eq!(failures(&leech), vec![("HTTP status 404".into(), 600.into()); asked]);
}

fn without_ranges(runtime: Runtime) {
    let lab = Lab::new("web-whole");
    let (few, one) = (Payload::few(&lab), Payload::of(&lab, PayloadKind::One));
    let host = host_of(&lab, &[&few, &one]);
    let server = web_server(&lab, &host, nginx::PORT);
    let of = |payload: &Payload| payload.with_web_seeds(lab.dir(), &[&url(&host, "whole/")]);
    download(&lab, runtime, &[&of(&few), &of(&one)]);
    let said = server.output();
    assert!(said.lines().skip(1).all(|line| line.ends_with(" 200")), "{said}");
}

/// The pause is ten seconds, or longer where the server wants it.
fn busy(runtime: Runtime) {
    let lab = Lab::new("web-busy");
    let few = Payload::few(&lab);
    let host = host_of(&lab, &[&few]);
    let server = web_server(&lab, &host, nginx::PORT);
    let leech = download(&lab, runtime, &[&few.with_web_seeds(lab.dir(), &[&url(&host, "busy/")])]);
    let said = server.output();
    assert_eq!(said.lines().filter(|line| line.ends_with(" 503")).count(), 1, "{said}");
    assert_eq!(failures(&leech), [("HTTP status 503".into(), 10.into())]);
    let complete = peerless::events(leech.output_path(), "complete").remove(0);
    assert!(complete["seconds"].as_f64() >= Some(10.0), "{complete}");
}

/// Nobody else is there until the first piece has failed.
fn lied_to(runtime: Runtime) {
    let lab = Lab::new("web-lies");
    let one = Payload::of(&lab, PayloadKind::One);
    let web_host = host_of(&lab, &[&one]);
    let _server = web_server(&lab, &web_host, nginx::PORT);
    let torrent = one.with_web_seeds(lab.dir(), &[&url(&web_host, "lies/")]);
    let (host, seed_host) = (lab.host("leech"), lab.host("seed"));
    let mut leech = Peerless::download(&lab, &host, runtime, &[&torrent]).spawn(&lab);
    let output = leech.output_path().to_owned();
    leech.wait_for("bad pieces", STEP_TIMEOUT, || {
        peerless::events(&output, "progress").iter().any(|event| event["wasted"].as_u64() > Some(0))
    });
    assert_eq!(peerless::have_count(&output), 0, "nothing of it is believed");
    one.link_into(&seed_host.dir);
    let _seed = Libtorrent::seed(&lab, &seed_host).peer(host.address).start(&lab, &[&one]);
    leech.expect_exit(0, TRANSFER_TIMEOUT);
    one.assert_copy_in(&host.dir, true);
}

fn switched_off(runtime: Runtime) {
    let lab = Lab::new("web-off");
    let few = Payload::few(&lab);
    let host = host_of(&lab, &[&few]);
    let server = nginx::start(&lab, &host, "");
    let torrent = few.with_web_seeds(lab.dir(), &[&url(&host, "")]);
    let leech = Peerless::download(&lab, &lab.host("leech"), runtime, &[&torrent]);
    let mut leech = leech.args(["--no-webseed", "--stop-timeout", "1"]).spawn(&lab);
    leech.expect_exit(5, STEP_TIMEOUT);
    assert_eq!(server.output(), "");
}

#[test]
fn libtorrent_gets_what_ours_made_from_nginx() {
    serves(Client::Libtorrent);
}

#[test]
fn aria2_gets_what_ours_made_from_nginx() {
    serves(Client::Aria2);
}

#[test]
fn transmission_gets_what_ours_made_from_nginx() {
    serves(Client::Transmission);
}

/// Torrents by `peerless create --web-seed`: a client finds the files there.
fn serves(client: Client) {
    let lab = Lab::new("web-others");
    let (few, one) = (Payload::few(&lab), Payload::of(&lab, PayloadKind::One));
    let host = host_of(&lab, &[&few, &one]);
    let _server = nginx::start(&lab, &host, "");
    let of = |payload: &Payload| payload.with_web_seeds(lab.dir(), &[&url(&host, "")]);
    let torrents = [of(&few), of(&one)];
    client.leech(&lab, &lab.host("leech"), &torrents.each_ref()).finish(&torrents.each_ref());
}
