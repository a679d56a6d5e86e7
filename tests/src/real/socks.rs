//! SOCKS5 proxies: microsocks, and dante's danted.

use std::fs;
use std::path::Path;

use super::{Host, Lab, Program, STEP_TIMEOUT, listens};

/// Where either listens.
pub const PORT: u16 = 1080;

/// What each asks of who wants in, when it does.
pub const LOGIN: [&str; 2] = ["somebody", "se:cr@t"];

/// A proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Socks {
    /// microsocks
    Microsocks,
    /// microsocks that wants [`LOGIN`]
    MicrosocksLogin,
    /// danted
    Dante,
}

impl Socks {
    /// Starts it; it alone knows the names in `hosts`, a file as `/etc/hosts` is.
    pub fn start(self, lab: &Lab, host: &Host, hosts: &Path) -> Program {
        let mut command = lab.command(host, "sh");
        // Each command has its own view of what is mounted.
        command.args(["-c", r#"mount --bind "$0" /etc/hosts && exec "$@""#]).arg(hosts);
        let address = host.address.to_string();
        match self {
            Self::Microsocks => command.args(["microsocks", "-i", &address, "-p", &PORT.to_string()]),
            Self::MicrosocksLogin => command
                .args(["microsocks", "-i", &address, "-p", &PORT.to_string()])
                .args(["-u", LOGIN[0], "-P", LOGIN[1]]),
            Self::Dante => command.args(["danted", "-f"]).arg(configuration(host)),
        };
        let mut program = Program::spawn(lab, "socks", command);
        program.wait_for("taking connections", STEP_TIMEOUT, || listens(lab, host, host.at(PORT)));
        program
    }
}

fn configuration(host: &Host) -> std::path::PathBuf {
    let path = host.dir.join("danted.conf");
    let text = format!(
        "logoutput: stdout\ninternal: {address} port = {PORT}\nexternal: {address}\n\
         clientmethod: none\nsocksmethod: none\nuser.privileged: root\nuser.unprivileged: root\n\
         client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
         socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 log: connect }}\n",
        address = host.address,
    );
    fs::write(&path, text).expect("its configuration is written");
    path
}
