//! rtorrent, which has no fast extension; it is told everything by a file, and makes a file when it is
//! done.

use std::fs;
use std::path::PathBuf;

use super::{Done, Host, Lab, PEER_PORT, Payload, Program};

/// No limits, no DHT, and no encryption, which it would try first.
const SETTINGS: &str = "\
system.daemon.set = true
network.port_random.set = no
dht.mode.set = disable
protocol.pex.set = no
protocol.encryption.set = none
trackers.use_udp.set = no
throttle.global_down.max_rate.set_kb = 0
throttle.global_up.max_rate.set_kb = 0
";

/// Seeds data that is in place; it is checked before it is announced.
pub(super) fn seed(lab: &Lab, host: &Host, payloads: &[&Payload]) -> Program {
    start(lab, host, payloads).0
}

/// Downloads into the host's folder.
pub(super) fn leech(lab: &Lab, host: &Host, payloads: &[&Payload]) -> (Program, Done) {
    let (program, marks) = start(lab, host, payloads);
    (program, Done::Lines(marks, payloads.len()))
}

/// The program, and the file that gets a line for each finished torrent.
fn start(lab: &Lab, host: &Host, payloads: &[&Payload]) -> (Program, PathBuf) {
    let home = lab.dir().join(format!("rtorrent-{}", host.address));
    fs::create_dir_all(&home).expect("a folder for rtorrent");
    let (marks, hook) = (home.join("marks"), home.join("on-done"));
    fs::write(&hook, format!("echo done >> '{}'\n", marks.display())).expect("the hook is written");
    let mut config = format!(
        "{SETTINGS}network.port_range.set = {PEER_PORT}-{PEER_PORT}\n\
         directory.default.set = \"{}\"\n\
         method.set_key = event.download.finished, told, \"execute2={{sh,{}}}\"\n",
        host.dir.display(),
        hook.display()
    );
    for (number, payload) in payloads.iter().enumerate() {
        if let Some(link) = payload.magnet() {
            config += &format!("load.start = \"{link}\"\n");
            continue;
        }
        let torrent = home.join(format!("{number}.torrent"));
        fs::copy(&payload.torrent, &torrent).expect("a copy of the torrent");
        config += &format!("load.start = \"{}\"\n", torrent.display());
    }
    let file = home.join("rc");
    fs::write(&file, config).expect("its configuration is written");
    let mut command = lab.command(host, "env");
    command.arg(format!("HOME={}", home.display())).args(["rtorrent", "-n", "-o"]);
    command.arg(format!("import={}", file.display()));
    (Program::spawn(lab, "rtorrent", command), marks)
}
