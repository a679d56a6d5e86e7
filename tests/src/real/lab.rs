//! A private network whose processes can't outlive it.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::program::{check_output, children_of, is_running};
use super::{STEP_TIMEOUT, require_programs, scratch, wait_until};

/// The first three parts of every IPv4 address; private, so that clients which refuse loopback peers
/// take them.
const NETWORK: [u8; 3] = [10, 77, 0];

/// The first part of every IPv6 address, private as well.
const NETWORK_V6: u16 = 0xfd77;

/// A network of network namespaces joined by a bridge, in process and mount namespaces of its own.
///
/// All of it hangs on one process, which is the first of its process namespace and ends as soon
/// as the pipe from the test closes: the kernel then kills everything in it and drops the
/// network and the mounts, even when the test itself was killed.
#[derive(Debug)]
pub struct Lab {
    holder: Child,
    /// Dropping it ends the holder.
    pipe: Option<ChildStdin>,
    /// Process id, as seen from outside, of the first process inside.
    inside: u32,
    dir: PathBuf,
    hosts: Cell<u8>,
    is_v6: bool,
}

/// One address in a [`Lab`], with a folder for what its program writes.
#[derive(Debug, Clone)]
pub struct Host {
    name: String,
    /// Its only address besides loopback and link-local ones.
    pub address: IpAddr,
    /// Its folder; empty at first.
    pub dir: PathBuf,
}

impl Host {
    /// A port of it.
    pub fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address, port)
    }
}

impl Lab {
    /// Makes an empty network of IPv4 addresses. `name` is for messages and folder names.
    ///
    /// # Panics
    /// If a program is missing, or namespaces can't be made (they need root).
    pub fn new(name: &str) -> Self {
        Self::of_family(name, false)
    }

    /// The same of IPv6 addresses alone.
    pub fn ipv6(name: &str) -> Self {
        Self::of_family(name, true)
    }

    fn of_family(name: &str, is_v6: bool) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        require_programs();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = scratch(&format!("lab-{count}-{name}"));
        fs::create_dir_all(&dir).expect("a folder for the lab");

        let mut holder = Command::new("unshare")
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare starts");
        let pipe = holder.stdin.take();
        let mut inside = None;
        wait_until("namespaces (are you root, with CAP_SYS_ADMIN?)", STEP_TIMEOUT, || {
            let ended = holder.try_wait().expect("the holder's state");
            assert!(ended.is_none(), "unshare can't make namespaces: root with CAP_SYS_ADMIN is needed");
            inside = children_of(holder.id()).into_iter().find(|&pid| is_running(pid, "cat"));
            inside.is_some()
        });
        let inside = inside.expect("found above");
        let lab = Self { holder, pipe, inside, dir, hosts: Cell::new(1), is_v6 };
        let address = lab.with_length(1);
        lab.shell(&format!(
            "mkdir -p /run/netns && mount -t tmpfs none /run/netns && ip link set lo up \
             && ip link add name hub type bridge && ip addr add {address} dev hub && ip link set hub up"
        ));
        lab
    }

    /// The folder of this lab, removed with it.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The host in the middle, which is there from the start.
    pub fn hub(&self) -> Host {
        let dir = self.dir.join("hub");
        fs::create_dir_all(&dir).expect("a folder for the hub");
        Host { name: "hub".to_owned(), address: self.address(1), dir }
    }

    /// Adds a host with an address of its own.
    pub fn host(&self, name: &str) -> Host {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        let name = format!("{name}{number}");
        let host = Host { dir: self.dir.join(&name), name, address: self.address(number) };
        fs::create_dir_all(&host.dir).expect("a folder for the host");
        let (name, address) = (&host.name, self.with_length(number));
        self.shell(&format!(
            "ip netns add {name} && ip link add name v{number} type veth peer name eth0 netns {name} \
             && ip link set v{number} master hub up && ip -n {name} link set lo up \
             && ip -n {name} addr add {address} dev eth0 && ip -n {name} link set eth0 up"
        ));
        host
    }

    /// Gives the host a second address.
    pub fn second_address(&self, host: &Host) -> IpAddr {
        let number = self.hosts.get() + 1;
        self.hosts.set(number);
        self.shell(&format!("ip -n {} addr add {} dev eth0", host.name, self.with_length(number)));
        self.address(number)
    }

    /// Takes an address away from the host.
    pub fn take_address(&self, host: &Host, address: IpAddr) {
        let len = if self.is_v6 { 64 } else { 24 };
        self.shell(&format!("ip -n {} addr del {address}/{len} dev eth0", host.name));
    }

    /// A command that will run on `host`.
    pub fn command(&self, host: &Host, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.enter();
        if host.name != "hub" {
            command.args(["ip", "netns", "exec", &host.name]);
        }
        command.arg(program);
        command
    }

    /// Runs a shell script in the middle of the lab; for set-up such as mounts.
    ///
    /// # Panics
    /// If it fails, with what it said.
    pub fn shell(&self, script: &str) {
        check_output(self.enter().args(["sh", "-c", script]));
    }

    /// A path as the lab sees it, for looking at what is under its own mounts.
    pub fn view(&self, path: &Path) -> PathBuf {
        let inside = path.strip_prefix("/").expect("an absolute path");
        PathBuf::from(format!("/proc/{}/root", self.inside)).join(inside)
    }

    /// The address of host `number`.
    fn address(&self, number: u8) -> IpAddr {
        let [a, b, c] = NETWORK;
        if self.is_v6 {
            Ipv6Addr::new(NETWORK_V6, 0, 0, 0, 0, 0, 0, number.into()).into()
        } else {
            Ipv4Addr::new(a, b, c, number).into()
        }
    }

    /// The same as `ip addr add` takes it: ready at once.
    fn with_length(&self, number: u8) -> String {
        let (len, more) = if self.is_v6 { (64, " nodad") } else { (24, "") };
        format!("{}/{len}{more}", self.address(number))
    }

    fn enter(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.inside.to_string(), "--net", "--mount", "--pid", "--"]);
        command
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.pipe.take());
        let _ended = self.holder.wait();
        if std::env::var_os("PEERLESS_KEEP").is_none() {
            let _best_effort = fs::remove_dir_all(&self.dir);
        }
    }
}
