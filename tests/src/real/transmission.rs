//! transmission-daemon, which takes its torrents from a watched folder, and links by its RPC.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::{Done, Host, Lab, PEER_PORT, Payload, Program, STEP_TIMEOUT, python, script};

/// Where it takes commands: each host has its own, and none takes them at an IPv6 address.
const LOOPBACK: &str = "127.0.0.1";

/// Seeds data that is in place; it is checked before it is announced.
pub(super) fn seed(lab: &Lab, host: &Host, payloads: &[&Payload]) -> Program {
    start(lab, host, payloads, false).0
}

/// Downloads into the host's folder; exchanges peers if that is wanted.
pub(super) fn leech(lab: &Lab, host: &Host, payloads: &[&Payload], pex: bool) -> (Program, Done) {
    let (program, marks) = start(lab, host, payloads, pex);
    (program, Done::Lines(marks, payloads.len()))
}

/// The daemon, and the file that gets a line for each finished torrent.
fn start(lab: &Lab, host: &Host, payloads: &[&Payload], pex: bool) -> (Program, PathBuf) {
    let home = lab.dir().join(format!("transmission-{}", host.address));
    let watch = home.join("watch");
    fs::create_dir_all(&watch).expect("a folder for transmission");
    for payload in payloads {
        if let Some(link) = payload.magnet() {
            fs::write(watch.join(format!("{}.magnet", payload.info_hash)), link)
                .expect("the link is written");
            continue;
        }
        let name = payload.torrent.file_name().expect("a torrent has a name");
        fs::copy(&payload.torrent, watch.join(name)).expect("a copy of the torrent");
    }
    let (marks, hook) = (home.join("marks"), home.join("on-done"));
    fs::write(&hook, format!("#!/bin/sh\necho \"$TR_TORRENT_HASH\" >> '{}'\n", marks.display()))
        .expect("the hook is written");
    fs::set_permissions(&hook, fs::Permissions::from_mode(0o755)).expect("mode of the hook");
    fs::write(home.join("settings.json"), settings(host, &watch, &hook, pex)).expect("settings are written");
    let mut command = lab.command(host, "transmission-daemon");
    command.arg("--foreground").arg("--config-dir").arg(&home);
    let program = Program::spawn(lab, "transmission", command);
    for link in payloads.iter().filter_map(|payload| payload.magnet()) {
        let mut command = lab.command(host, python());
        command.arg(script("transmission_add.py")).arg(LOOPBACK).arg(link);
        Program::spawn(lab, "transmission-add", command).expect_exit(0, STEP_TIMEOUT);
    }
    (program, marks)
}

/// Peers by the tracker, and by others if that is wanted, no limits; the rest as it comes, encryption included.
fn settings(host: &Host, watch: &Path, hook: &Path, pex: bool) -> String {
    let (data, watch, hook) = (host.dir.display(), watch.display(), hook.display());
    format!(
        r#"{{
        "download-dir": "{data}", "incomplete-dir-enabled": false,
        "watch-dir": "{watch}", "watch-dir-enabled": true,
        "script-torrent-done-enabled": true, "script-torrent-done-filename": "{hook}",
        "peer-port": {PEER_PORT}, "peer-port-random-on-start": false,
        "dht-enabled": false, "lpd-enabled": false, "pex-enabled": {pex}, "utp-enabled": false,
        "port-forwarding-enabled": false, "rpc-enabled": true, "rpc-bind-address": "{LOOPBACK}",
        "rpc-whitelist-enabled": false, "rpc-host-whitelist-enabled": false,
        "download-queue-enabled": false, "seed-queue-enabled": false, "queue-stalled-enabled": false,
        "speed-limit-up-enabled": false, "speed-limit-down-enabled": false,
        "rename-partial-files": false, "preallocation": 0, "message-level": 2
        }}"#
    )
}
