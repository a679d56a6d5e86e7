#!/usr/bin/env python3
"""peerless beside other BitTorrent clients on the same work. README.md says how and what for.

    run.py setup [--rqbit]          install and build what is to be measured
    run.py measure [options]        measure; each run is a line in the results file
    run.py report [--readme FILE]   from the results: tables, a picture, and the README's section
"""

import argparse
import datetime
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import clients
import net
import payload
import report
import works
from clients.base import Lab
from tracker import Tracker

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
#: What setup installs outside of Debian's packages.
TOOLS = TARGET / "peers"
PACKAGES = ["aria2", "rtorrent", "transmission-daemon", "transmission-cli", "mktorrent", "iproute2", "util-linux"]
COMMANDS = ["aria2c", "rtorrent", "transmission-daemon", "transmission-create", "mktorrent", "ip", "unshare"]


def has_libtorrent(python):
    return bool(python) and subprocess.run([python, "-c", "import libtorrent"], capture_output=True).returncode == 0


def find_python():
    places = [os.environ.get("PEERS_PYTHON"), str(TOOLS / "venv/bin/python"), sys.executable, "/usr/bin/python3"]
    return next((p for p in places if p and Path(p).exists() and has_libtorrent(p)), None)


def setup(args):
    root = [] if os.getuid() == 0 else ["sudo"]
    apt = [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    if not all(map(shutil.which, COMMANDS)):
        subprocess.run([*apt, "update", "-qq"], check=True)
        subprocess.run([*apt, "install", "-y", "-qq", "--no-install-recommends", *PACKAGES], check=True)
    if not find_python():
        venv = TOOLS / "venv"
        made = subprocess.run([sys.executable, "-m", "venv", venv]).returncode == 0
        if not made or subprocess.run([venv / "bin/pip", "install", "--quiet", "libtorrent"]).returncode != 0:
            subprocess.run([*apt, "install", "-y", "-qq", "python3-libtorrent"], check=True)
    if args.rqbit and not (TOOLS / "bin/rqbit").exists():
        subprocess.run(["cargo", "install", "rqbit", "--locked", "--no-default-features", "--features",
                        "default-tls", "--root", TOOLS], check=True)
    build = ["cargo", "build", "--release", "--locked", "--manifest-path", ROOT / "Cargo.toml"]
    subprocess.run([*build, "-p", "peerless", "-p", "peerless-bench", "--bin", "peerless", "--bin", "bare"], check=True)


def machine():
    """The machine and the day, in words."""
    with open("/proc/cpuinfo") as lines:
        cpu = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "?")
    today = datetime.date.today()
    return (f"{cpu}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, "
            f"{today.day} {today:%B %Y}")


def make_lab(args, scratch):
    python = find_python()
    if not python:
        sys.exit("no Python with libtorrent: run.py setup, or name one in PEERS_PYTHON")
    programs = {"peerless": args.peerless, "bare": TARGET / "release/bare"}
    if (TOOLS / "bin/rqbit").exists():
        programs["rqbit"] = TOOLS / "bin/rqbit"
    for program in (args.peerless, programs["bare"]):
        if not Path(program).exists():
            sys.exit(f"{program} is missing: run.py setup")
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        sys.exit("two cores are needed: one for the client under test, one for the other side")
    # Who measures is on the other side, too.
    os.sched_setaffinity(0, {cores[0]})
    return Lab(scratch, Tracker(net.TRACKER), {cores[1]}, {cores[0]}, args.timeout, python, programs)


def measure(args):
    net.enter()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args.results.parent.mkdir(parents=True, exist_ok=True)
    where = machine()
    with tempfile.TemporaryDirectory(prefix="peers-", dir=args.scratch) as scratch:
        lab = make_lab(args, Path(scratch))
        there = [c for c in clients.ALL if c.path(lab) and (not args.clients or c.name in args.clients)]
        versions = {c.name: c.version(lab) for c in there}
        for work in works.ALL:
            if not args.work or work.name in args.work:
                able = [c for c in there if hasattr(c, work.does)]
                head = {"machine": where, "work": work.name, "quick": args.quick,
                        "bytes": work.payload_len(args.quick)}
                for line in run_work(args, lab, work, able):
                    line = head | {"version": versions[line["client"]]} | line
                    with open(args.results, "a") as file:
                        file.write(json.dumps(line) + "\n")


def run_work(args, lab, work, able):
    """Runs it in rounds; each begins with another client, so that none has always the same one before it."""
    torrent = payload.make(lab.scratch, work.size(args.quick), work.piece_kib * 1024, lab.tracker.url)
    once, helpers = work.run(lab, torrent, able)
    try:
        for number in range(1 if args.quick else args.rounds):
            shift = number % max(len(able), 1)
            for client in able[shift:] + able[:shift]:
                yield tell(work, client, number, once)
    finally:
        for helper in helpers:
            helper.stop()


def tell(work, client, number, once):
    line = {"client": client.name, "round": number}
    try:
        outcome, flow = once(client)
    except (OSError, RuntimeError, TimeoutError) as error:
        line |= {"ok": False, "note": str(error)}
    else:
        line |= vars(outcome)
        began = line.pop("began")
        if flow and outcome.ok:
            line["flow_mib_s"] = flow.mib_s()
            if work.does == "download":
                line["first"] = flow.first() and flow.first() - began
                line["leaving"] = flow.last() and began + outcome.wall - flow.last()
    shown = " ".join(f"{key}={value:.3f}" if isinstance(value, float) else f"{key}={value}"
                     for key, value in line.items() if key not in ("client", "round"))
    print(f"{work.name:14} {number + 1} {client.name:14} {shown}", flush=True)
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("setup")
    command.add_argument("--rqbit", action="store_true", help="also build rqbit, which takes minutes")
    command = commands.add_parser("measure")
    command.add_argument("--quick", action="store_true", help="one round with little payload")
    command.add_argument("--rounds", type=int, default=3)
    command.add_argument("--work", type=lambda text: text.split(","), help=", ".join(w.name for w in works.ALL))
    command.add_argument("--clients", type=lambda text: text.split(","),
                         help=", ".join(dict.fromkeys(c.name for c in clients.ALL)))
    command.add_argument("--peerless", type=Path, default=TARGET / "release/peerless", help="the program")
    command.add_argument("--scratch", default="/dev/shm", help="a folder in memory with 5 GiB free")
    command.add_argument("--timeout", type=float, default=180, help="seconds for a run")
    command = commands.add_parser("report")
    command.add_argument("--readme", type=Path, help="rewrite what is between its two speed markers")
    for command in commands.choices.values():
        command.add_argument("--results", type=Path, default=TOOLS / "results.jsonl")
    args = parser.parse_args()
    if args.command == "report":
        report.write(args.results, Path(__file__).parent, args.readme)
    else:
        {"setup": setup, "measure": measure}[args.command](args)


main()
