"""What every client is asked to do, and what it is given to do it with."""

import re
import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import net
from process import Process


@dataclass
class Lab:
    """Where a run happens."""

    scratch: Path
    tracker: object
    test_cpus: set  #: of the client under test
    reference_cpus: set  #: of everything else
    timeout: float
    python: str  #: one that has libtorrent
    programs: dict = field(default_factory=dict)  #: paths by name, where they aren't on PATH
    _count: int = 0

    def folder(self, name):
        """A new folder."""
        self._count += 1
        path = self.scratch / f"{name}-{self._count}"
        path.mkdir()
        return path

    def port(self):
        """A port that was not used before."""
        self._count += 1
        return 20000 + self._count

    def start(self, name, command, *, reference=False, cpus=None, **how):
        cpus = cpus or (self.reference_cpus if reference else self.test_cpus)
        return Process(command, cpus, self.scratch / f"{name}.log", **how)


@dataclass
class Outcome:
    """What a run took."""

    ok: bool
    wall: float = 0.0
    cpu: float = 0.0
    system: float = 0.0
    rss_kib: int = 0
    anon_kib: int = 0
    note: str = ""
    began: float = 0.0  #: the moment from which it counts


class Meter:
    """Counts a process's CPU and time from now on."""

    def __init__(self, process, from_start=False):
        self.process = process
        self.cpu, self.system = (0, 0) if from_start else (process.cpu(), process.system())
        self.at = process.started if from_start else time.monotonic()

    def read(self, ok, note=""):
        process = self.process
        end = process.ended or time.monotonic()
        return Outcome(ok, end - self.at, process.cpu() - self.cpu, process.system() - self.system,
                       process.rss_kib, process.anon_kib, note, self.at)


class Client:
    """A client that can't do anything. What it has no method for is left out of the tables."""

    name = "?"
    program = "?"
    asks_version = "--version"

    def path(self, lab):
        return lab.programs.get(self.program) or shutil.which(self.program)

    def version(self, lab):
        run = subprocess.run([self.path(lab), self.asks_version], capture_output=True, text=True, timeout=20,
                             stdin=subprocess.DEVNULL)
        found = re.search(r"\d+(\.\d+)+", run.stdout + run.stderr)
        return found.group() if found else "?"

    def until_exit(self, lab, command, cpus=None, **how):
        """A command that ends when the work is done."""
        with lab.start(self.name, [self.path(lab), *command], cpus=cpus, **how) as process:
            meter = Meter(process, from_start=True)
            in_time = process.wait(lab.timeout)
            note = "too slow" if not in_time else "" if process.code == 0 else f"exit code {process.code}"
            return meter.read(not note, note)

    def ready(self, process, port):
        """A seed once it listens and has looked at its data."""
        if not process.until(lambda: net.listens(port), 60, 0.02) or not process.until_idle(120):
            process.stop()
            raise RuntimeError("the seed does not get ready")
        process.port = port
        return process

    # def download(self, lab, torrent, out, peers) -> Outcome
    # def seed(self, lab, torrent) -> Process
    # def verify(self, lab, torrent, cpus) -> Outcome
    # def create(self, lab, torrent, output, cpus) -> Outcome
