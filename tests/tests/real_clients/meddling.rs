//! Disks that fill up in the middle of a write, and files that others change, cut or take away
//! while we work on them.

use std::fs::{self, File};
use std::path::Path;

use peerless_tests::real::{
    Host, Lab, Payload, Peerless, Program, Runtime, STEP_TIMEOUT, peerless, wait_until,
};

use super::faults::assert_one_error;
use super::under_both_runtimes;

under_both_runtimes! {
    limited => a_limit_on_the_length_of_files_is_exit_9,
    full_at_any_point => a_disk_may_be_full_at_any_point,
    downloading(CUT) => a_file_cut_while_downloading_is_noticed,
    downloading(CUT_A_LITTLE) => a_file_cut_a_little_while_downloading_is_noticed,
    downloading(GONE) => a_file_removed_while_downloading_is_noticed,
    downloading(REPLACED) => a_file_replaced_while_downloading_is_noticed,
    changed => a_file_changed_while_downloading_is_repaired_after_a_full_check,
    seeding(CUT) => a_file_cut_while_seeding_spoils_nothing,
    seeding(GONE) => a_file_removed_while_seeding_spoils_nothing,
    seeding(REPLACED) => a_file_replaced_while_seeding_spoils_nothing,
    seeding(CHANGED) => a_file_changed_while_seeding_spoils_nothing,
}

/// The pieces of [`Payload::few`] that lie in its first file alone, and in its second.
const FIRST_LEN: u64 = 3 * 32_768;

/// Something that another program does to a file.
type Meddle = fn(&Path);

const CUT: Meddle = |file| open(file).set_len(0).expect("a file to cut");
const CUT_A_LITTLE: Meddle = |file| open(file).set_len(FIRST_LEN / 3 * 2 - 1).expect("a file to cut");
const GONE: Meddle = |file| fs::remove_file(file).expect("a file to remove");
const REPLACED: Meddle = |file| {
    let other = file.with_extension("other");
    fs::write(&other, vec![7; 120_000]).expect("another file");
    fs::rename(other, file).expect("a file to replace");
};
const CHANGED: Meddle = |file| {
    let mut bytes = fs::read(file).expect("a file to change");
    bytes.iter_mut().take(1000).for_each(|byte| *byte ^= 1);
    fs::write(file, bytes).expect("a file to change");
};

fn open(file: &Path) -> File {
    File::options().write(true).open(file).expect("a file that is there")
}

/// A download that came as far as its first seed goes, and a second one that has the rest.
struct Bench {
    lab: Lab,
    runtime: Runtime,
    payload: Payload,
    leech: Host,
}

impl Bench {
    fn new(name: &str, runtime: Runtime) -> Self {
        let lab = Lab::new(name);
        let (payload, leech) = (Payload::few(&lab), lab.host("leech"));
        Self { lab, runtime, payload, leech }
    }

    fn download(&self) -> Peerless {
        Peerless::download(&self.lab, &self.leech, self.runtime, &[&self.payload]).arg("--no-trackers")
    }

    /// A seed that dials the leech by itself; `prepare` changes its data first.
    fn seed(&self, prepare: impl Fn(&Path)) -> Program {
        let host = self.lab.host("seed");
        self.payload.copy_into(&host.dir);
        prepare(&host.dir);
        let seed = Peerless::seed(&self.lab, &host, self.runtime, &[&self.payload]);
        seed.arg("--no-trackers").peer(self.leech.address).spawn(&self.lab)
    }

    /// A download that has all but the last two pieces of the first file.
    fn half_done(&self) -> (Program, Program) {
        let mut leech = self.download().spawn(&self.lab);
        leech.wait_output("\"type\":\"start\"", STEP_TIMEOUT);
        let seed =
            self.seed(|dir| open(&dir.join("few/a")).set_len(2 * FIRST_LEN / 3).expect("a file to cut"));
        let output = leech.output_path().to_owned();
        leech.wait_for("all that the first seed has", STEP_TIMEOUT, || peerless::have_count(&output) == 5);
        (leech, seed)
    }

    /// Runs the same command again, with all that is needed: it must get everything.
    fn assert_goes_on(&self, arguments: &[&str]) {
        let mut leech = self.download().args(arguments).spawn(&self.lab);
        leech.wait_output("\"type\":\"start\"", STEP_TIMEOUT);
        let _seed = self.seed(|_| {});
        leech.expect_exit(0, STEP_TIMEOUT);
        self.payload.assert_copy_in(&self.leech.dir, true);
    }
}

fn downloading(meddle: Meddle, runtime: Runtime) {
    let bench = Bench::new("meddled", runtime);
    let (mut leech, first) = bench.half_done();
    meddle(&bench.leech.dir.join("few/a"));
    let second = bench.seed(|_| {});
    leech.expect_exit(10, STEP_TIMEOUT);
    assert_one_error(&leech);
    drop((first, second));
    // What was put there is not ours: the user has to take it away.
    if meddle as usize == REPLACED as usize {
        fs::remove_file(bench.leech.dir.join("few/a")).expect("another's file");
    }
    bench.assert_goes_on(&[]);
}

/// No length and no time tells of bytes changed in a file that we write to: only a full check does.
fn changed(runtime: Runtime) {
    let bench = Bench::new("changed", runtime);
    let (mut leech, first) = bench.half_done();
    CHANGED(&bench.leech.dir.join("few/a"));
    let second = bench.seed(|_| {});
    leech.expect_exit(0, STEP_TIMEOUT);
    drop((first, second));
    let verify = Peerless::new(&bench.lab, &bench.leech, "verify").arg(&bench.payload.torrent);
    verify.arg(&bench.leech.dir).spawn(&bench.lab).expect_exit(8, STEP_TIMEOUT);
    bench.assert_goes_on(&["--check", "full"]);
}

fn seeding(meddle: Meddle, runtime: Runtime) {
    let bench = Bench::new("meddled-seed", runtime);
    let host = bench.lab.host("meddled");
    bench.payload.copy_into(&host.dir);
    let mut seed =
        Peerless::seed(&bench.lab, &host, runtime, &[&bench.payload]).arg("--no-trackers").spawn(&bench.lab);
    seed.wait_output("\"state\":\"seeding\"", STEP_TIMEOUT);
    meddle(&host.dir.join("few/a"));
    let mut leech = bench.download().peer(host.address).spawn(&bench.lab);
    let output = leech.output_path().to_owned();
    // Either it still has the file open, or it ends, or it is found out.
    wait_until("an end of it", STEP_TIMEOUT, || {
        seed.try_wait().is_some()
            || leech.try_wait().is_some()
            || leech.errors().contains("sends bad data")
            || !peerless::events(&output, "progress").is_empty()
    });
    if let Some(ended) = seed.try_wait() {
        assert_eq!(ended.code(), Some(3), "what is to be served is an input");
        assert_one_error(&seed);
    } else {
        seed.signal("INT");
        seed.expect_exit(0, STEP_TIMEOUT);
    }
    drop(leech);
    bench.assert_goes_on(&[]);
}

fn limited(runtime: Runtime) {
    let bench = Bench::new("limited", runtime);
    for limit in [5_000, 40_000, 99_999, 119_999] {
        if bench.leech.dir.join("few").exists() {
            fs::remove_dir_all(bench.leech.dir.join("few")).expect("the copy before");
        }
        let limit = format!("--fsize={limit}");
        let mut leech = bench.download().under(["prlimit", &limit]).spawn(&bench.lab);
        leech.wait_output("\"type\":\"start\"", STEP_TIMEOUT);
        let _seed = bench.seed(|_| {});
        leech.expect_exit(9, STEP_TIMEOUT);
        assert_one_error(&leech);
        bench.assert_goes_on(&[]);
    }
}

fn full_at_any_point(runtime: Runtime) {
    let mut bench = Bench::new("full", runtime);
    for page_count in [1, 2, 3, 5, 12, 20, 33, 47, 56] {
        bench.leech.dir = bench.lab.dir().join(format!("disk-{page_count}"));
        fs::create_dir(&bench.leech.dir).expect("a place for a disk");
        let (dir, len) = (bench.leech.dir.clone(), page_count * 4096);
        bench.lab.shell(&format!("mount -t tmpfs -o size={len} none '{}'", dir.display()));
        let mut leech = bench.download().spawn(&bench.lab);
        let _seed = bench.seed(|_| {});
        leech.expect_exit(9, STEP_TIMEOUT);
        assert_one_error(&leech);
        bench.lab.shell(&format!("mount -o remount,size=1m '{}'", dir.display()));
        let mut leech = bench.download().spawn(&bench.lab);
        leech.wait_output("\"type\":\"start\"", STEP_TIMEOUT);
        let _seed = bench.seed(|_| {});
        leech.expect_exit(0, STEP_TIMEOUT);
        bench.payload.assert_copy_in(&bench.lab.view(&dir), true);
    }
}
