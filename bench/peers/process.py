"""Processes on a core of their own: what they use, until they end or are ended."""

import json
import os
import pty
import select
import signal
import subprocess
import threading
import time


class Process:
    """A started program. Use it in a `with`, so that it ends."""

    STEP = 0.02

    def __init__(self, command, cpus, log, *, cwd=None, env=None, terminal=False, talks=False):
        self.command = [str(word) for word in command]
        self.rss_kib = self.anon_kib = 0
        self.code = self.rusage = self.ended = None
        self._screen = ours = None
        output = open(log, "ab")
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        if terminal:
            self._screen, ours = pty.openpty()
            streams = dict.fromkeys(streams, ours)
        elif talks:
            streams |= {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.started = time.monotonic()
        self.popen = subprocess.Popen(
            self.command, cwd=cwd, env={**os.environ, **(env or {})}, start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, cpus), **streams)
        output.close()
        if ours is not None:
            os.close(ours)
        self.pid = self.popen.pid
        self._handle = os.pidfd_open(self.pid)
        self._over = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        while not self._over.wait(self.STEP):
            self._look()
            while self._screen is not None and select.select([self._screen], [], [], 0)[0]:
                try:
                    os.read(self._screen, 1 << 16)
                except OSError:
                    self._screen = None

    def _look(self):
        try:
            with open(f"/proc/{self.pid}/status") as lines:
                for line in lines:
                    if line.startswith("VmHWM:"):
                        self.rss_kib = max(self.rss_kib, int(line.split()[1]))
                    elif line.startswith("RssAnon:"):
                        self.anon_kib = max(self.anon_kib, int(line.split()[1]))
        except (OSError, ValueError):
            pass

    def cpu(self):
        """CPU seconds so far, of all threads, also those that have ended."""
        if self.rusage:
            return self.rusage.ru_utime + self.rusage.ru_stime
        # The clock that clock_getcpuclockid(3) names.
        return time.clock_gettime((~self.pid << 3) | 2)

    def system(self):
        """How much of that the kernel took, to a hundredth of a second."""
        if self.rusage:
            return self.rusage.ru_stime
        with open(f"/proc/{self.pid}/stat") as line:
            return int(line.read().rsplit(")", 1)[1].split()[12]) / os.sysconf("SC_CLK_TCK")

    def wait(self, timeout):
        """Whether it ends in time."""
        if self.rusage:
            return True
        if not select.select([self._handle], [], [], max(timeout, 0))[0]:
            return False
        self.ended = time.monotonic()
        self._over.set()
        _, status, self.rusage = os.wait4(self.pid, 0)
        self.code = self.popen.returncode = os.waitstatus_to_exitcode(status)
        os.close(self._handle)
        for pipe in (self.popen.stdin, self.popen.stdout):
            if pipe:
                pipe.close()
        return True

    def stop(self, grace=5):
        """Ends it, kindly first."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.wait(0):
                return
            os.kill(self.pid, number)
            if self.wait(grace):
                return

    def until(self, is_done, timeout, step=0.002):
        """Looks again and again whether something is so; False: not in time, or the process ended."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if is_done():
                return True
            if self.wait(step):
                return bool(is_done())
        return False

    def until_idle(self, timeout, quiet=0.4):
        """Waits until it has used next to no CPU for a while."""
        end, last, since = time.monotonic() + timeout, self.cpu(), time.monotonic()
        while time.monotonic() < end:
            if self.wait(0.05):
                return False
            now = self.cpu()
            if now - last > 0.005:
                last, since = now, time.monotonic()
            elif time.monotonic() - since > quiet:
                return True
        return False

    def tell(self, word):
        """A line to its standard input."""
        self.popen.stdin.write(f"{word}\n".encode())
        self.popen.stdin.flush()

    def hear(self, timeout):
        """The next line of its standard output, which is JSON."""
        if not select.select([self.popen.stdout], [], [], timeout)[0]:
            raise TimeoutError(f"{self.command[0]} says nothing")
        line = self.popen.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.command[0]} has ended")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
