//! Every call to the file system fails once, in a run of its own: a clear line, the right exit code,
//! and the same command then goes on from what is there.
//!
//! `strace` makes the calls fail. It counts them thread by thread, those alone that are about our
//! files; a run in which none failed ends a sweep.

use std::fs;
use std::path::{Path, PathBuf};

use peerless_tests::real::{
    Client, Host, Lab, Payload, Peerless, Program, Runtime, STEP_TIMEOUT, peerless, wait_until,
};

use super::faults::assert_one_error;
use super::under_both_runtimes;

/// No sweep takes more runs; a download makes some thirty calls of the most frequent kind.
const RUN_COUNT_MAX: usize = 100;

/// What a write to a disk may fail with, with the exit code of each.
const WRITE: &[(&str, i32)] = &[("EIO", 10), ("ENOSPC", 9), ("EDQUOT", 9)];

/// What anything may fail with.
const ANY: &[(&str, i32)] = &[("EIO", 10)];

/// What an open may fail with: the disk, the rights, or the number of descriptors.
const OPEN: &[(&str, i32)] = &[("EIO", 10), ("EACCES", 10), ("EMFILE", 10)];

/// The calls of a download into a folder where nothing is.
const FRESH: [(&str, &[(&str, i32)]); 13] = [
    ("mkdir", WRITE),
    ("mkdirat", WRITE),
    ("openat", OPEN),
    ("flock", ANY),
    ("statx", ANY),
    ("fstat", ANY),
    ("newfstatat", ANY),
    ("ftruncate", WRITE),
    ("write", WRITE),
    ("pwritev", WRITE),
    ("fsync", WRITE),
    ("fdatasync", WRITE),
    ("renameat", WRITE),
];

/// The calls of a start on data that has to be looked at.
const CHECKING: [(&str, &[(&str, i32)]); 4] =
    [("openat", OPEN), ("read", ANY), ("pread64", ANY), ("lseek", ANY)];

/// The calls of a seed that reads what a peer asks for.
const SEEDING: [(&str, &[(&str, i32)]); 3] = [("openat", OPEN), ("pread64", ANY), ("preadv2", ANY)];

under_both_runtimes! {
    downloads => any_call_of_a_download_may_fail,
    starts => any_call_of_a_start_on_changed_data_may_fail,
    seeds => any_call_of_a_seed_may_fail,
    lockless => a_file_system_without_locks_will_do,
}

/// A payload, its seed, and where it is downloaded to.
struct Bench {
    runtime: Runtime,
    payload: Payload,
    seed: (Host, Program),
    leech: Host,
    lab: Lab,
}

impl Bench {
    fn new(name: &str, runtime: Runtime) -> Self {
        let lab = Lab::new(name);
        let (payload, seed, leech) = (Payload::few(&lab), lab.host("seed"), lab.host("leech"));
        let program = Client::Peerless(runtime).seed(&lab, &seed, &[&payload]);
        Self { runtime, payload, seed: (seed, program), leech, lab }
    }

    fn download(&self) -> Peerless {
        let download = Peerless::download(&self.lab, &self.leech, self.runtime, &[&self.payload]);
        download.arg("--no-trackers").peer(self.seed.0.address)
    }

    /// Every file and folder of ours that is worked on in `root`.
    fn paths(&self, root: &Path) -> Vec<PathBuf> {
        let own = |end: &str| root.join(format!(".peerless-{}.{end}", self.payload.info_hash));
        let data = self.payload.top();
        let top = root.join(data.file_name().expect("a payload has a name"));
        let files = ["a", "empty", "folder", "folder/b"].map(|name| top.join(name));
        let own = ["lock", "part", "resume", "resume.tmp"].map(own);
        [root.to_owned(), top].into_iter().chain(files).chain(own).collect()
    }

    /// Runs `command` once for each call of a kind that it makes in `root`, with that call failing.
    fn sweep(
        &self,
        root: &Path,
        call: &str,
        errors: &[(&str, i32)],
        command: impl Fn() -> Peerless,
        mut run: impl FnMut(&str, Program, &dyn Fn() -> String, i32),
    ) {
        let trace = self.lab.dir().join("trace");
        for number in 1..=RUN_COUNT_MAX {
            let (error, code) = *errors.get(number % errors.len()).expect("an error");
            let mut wrapper = strace(&trace);
            wrapper.push(format!("--trace={call},pwritev").into());
            wrapper.push(format!("--inject={call}:error={error}:when={number}").into());
            for path in self.paths(root) {
                wrapper.extend(["-P".into(), path]);
            }
            let log = || fs::read_to_string(&trace).expect("a trace");
            let program = command().under(wrapper).spawn(&self.lab);
            run(&format!("{call} {number}: {error}"), program, &log, code);
            if !log().contains("(INJECTED)") {
                assert!(number > 1, "{call} is never called");
                println!("{call}: {} calls failed", number - 1);
                return;
            }
        }
        panic!("{call}: more than {RUN_COUNT_MAX} calls");
    }

    /// What must hold after a download of which a call may have failed.
    fn assert_survives(&self, what: &str, mut program: Program, log: &dyn Fn() -> String, code: i32) {
        let ended = program.wait(STEP_TIMEOUT).code();
        let log = log();
        let hit = log.contains("(INJECTED)");
        if ended == Some(0) {
            self.payload.assert_copy_in(&self.leech.dir, true);
        } else {
            assert!(hit && ended == Some(code), "{what}: {ended:?}\n{log}");
            assert_one_error(&program);
            let names_it = program.errors().contains(&*self.leech.dir.to_string_lossy());
            assert!(names_it, "{what}: {} names no file", program.errors());
        }
        let mut again = self.download().spawn(&self.lab);
        again.expect_exit(0, STEP_TIMEOUT);
        self.payload.assert_copy_in(&self.leech.dir, true);
        // What was written is there: but for the piece of which a part failed.
        let (total, piece_len) = (self.payload.total_len(), u64::from(self.payload.piece_len()));
        let (came, written) = (downloaded(&again), written_len(&log));
        assert!(came <= (total + piece_len).saturating_sub(written), "{what}: {came} came again\n{log}");
    }
}

/// The start of a command line that has a program traced into a file.
fn strace(trace: &Path) -> Vec<PathBuf> {
    vec!["strace".into(), "--follow-forks".into(), "--output".into(), trace.to_owned()]
}

/// Payload bytes that a finished download took.
fn downloaded(program: &Program) -> u64 {
    let events = peerless::events(program.output_path(), "progress");
    events
        .last()
        .and_then(|event| event["downloaded"].as_u64())
        .expect("a finished download gives its figures")
}

/// Bytes that were written at an offset, from a trace.
fn written_len(log: &str) -> u64 {
    let result = |line: &str| line.rsplit_once(" = ")?.1.trim().parse::<u64>().ok();
    log.lines().filter(|line| line.contains("pwritev")).filter_map(result).sum()
}

fn empty(dir: &Path) {
    fs::remove_dir_all(dir).expect("a folder to empty");
    fs::create_dir(dir).expect("an empty folder");
}

fn downloads(runtime: Runtime) {
    let bench = Bench::new("calls", runtime);
    for (call, errors) in FRESH {
        let command = || {
            empty(&bench.leech.dir);
            bench.download()
        };
        bench.sweep(&bench.leech.dir, call, errors, command, |what, program, log, code| {
            bench.assert_survives(what, program, log, code);
        });
    }
}

fn starts(runtime: Runtime) {
    let bench = Bench::new("check-calls", runtime);
    bench.download().spawn(&bench.lab).expect_exit(0, STEP_TIMEOUT);
    let resume = bench.leech.dir.join(format!(".peerless-{}.resume", bench.payload.info_hash));
    let claims = fs::read(&resume).expect("a finished download has a resume file");
    for (call, errors) in CHECKING {
        let command = || {
            // The claims are of files with other times, and a byte is wrong: all has to be looked at.
            empty(&bench.leech.dir);
            bench.payload.copy_into(&bench.leech.dir);
            // Without claims it is the holes that tell what to look at.
            if call != "lseek" {
                fs::write(&resume, &claims).expect("a copy of the resume file");
            }
            let file = bench.leech.dir.join("few/a");
            let mut bytes = fs::read(&file).expect("a copy");
            *bytes.first_mut().expect("a byte") ^= 1;
            fs::write(&file, bytes).expect("a changed copy");
            bench.download()
        };
        bench.sweep(&bench.leech.dir, call, errors, command, |what, program, log, code| {
            bench.assert_survives(what, program, log, code);
        });
    }
}

fn seeds(runtime: Runtime) {
    let bench = Bench::new("seed-calls", runtime);
    let host = bench.lab.host("failing");
    bench.payload.copy_into(&host.dir);
    for (call, errors) in SEEDING {
        let command = || {
            empty(&bench.leech.dir);
            let seed = Peerless::seed(&bench.lab, &host, runtime, &[&bench.payload]);
            // As if there were no earlier run: all is looked at, then read for the peer.
            seed.arg("--no-trackers").args(["--check", "full"])
        };
        bench.sweep(&host.dir, call, errors, command, |what, mut seed, log, code| {
            let leech = Peerless::download(&bench.lab, &bench.leech, runtime, &[&bench.payload]);
            let mut leech = leech.arg("--no-trackers").peer(host.address).spawn(&bench.lab);
            let mut ended = None;
            wait_until(what, STEP_TIMEOUT, || {
                ended = seed.try_wait();
                ended.is_some() || leech.try_wait().is_some()
            });
            if let Some(ended) = ended {
                drop(leech);
                assert!(
                    log().contains("(INJECTED)") && ended.code() == Some(code),
                    "{what}: {ended}\n{}",
                    log()
                );
                assert_one_error(&seed);
            } else {
                leech.expect_exit(0, STEP_TIMEOUT);
                bench.payload.assert_copy_in(&bench.leech.dir, true);
                seed.signal("INT");
                seed.wait(STEP_TIMEOUT);
            }
        });
    }
    bench.payload.assert_copy_in(&host.dir, true);
}

fn lockless(runtime: Runtime) {
    let bench = Bench::new("lockless", runtime);
    let trace = bench.lab.dir().join("trace");
    for error in ["ENOLCK", "EOPNOTSUPP"] {
        empty(&bench.leech.dir);
        let mut wrapper = strace(&trace);
        wrapper.extend(["--trace=flock".into(), format!("--inject=flock:error={error}").into()]);
        bench.download().under(wrapper).spawn(&bench.lab).expect_exit(0, STEP_TIMEOUT);
        bench.payload.assert_copy_in(&bench.leech.dir, true);
        assert!(fs::read_to_string(&trace).expect("a trace").contains("(INJECTED)"));
    }
}
