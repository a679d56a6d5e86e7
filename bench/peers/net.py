"""A network of our own: addresses that no client takes for loopback, and nobody else's traffic."""

import os
import subprocess
import sys
import threading
import time

#: The client under test, the reference side, the tracker; the many of a swarm have 10.9.1.1 and on.
CLIENT, REFERENCE, TRACKER, MANY = "10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.1.1"

_INSIDE = "PEERS_INSIDE"


def enter():
    """Starts this program again in a network and a process namespace of its own.

    Whatever it leaves running ends with it, and every port is free.
    """
    if _INSIDE not in os.environ:
        os.environ[_INSIDE] = "1"
        unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if os.getuid() != 0:
            unshare += ["--map-root-user"]
        os.execvp("unshare", [*unshare, sys.executable, *sys.argv])
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    subprocess.run(["ip", "address", "add", "10.9.0.1/16", "dev", "lo"], check=True)


def many(count):
    """The addresses of the peers of a swarm."""
    return [f"10.9.1.{i + 1}" for i in range(count)]


def listens(port):
    """Whether somebody accepts connections on the port, without connecting to it."""
    ending = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table) as lines:
            for line in lines:
                words = line.split()
                if words[3] == "0A" and words[1].endswith(ending):
                    return True
    return False


def carried():
    """Bytes that have passed through this network."""
    with open("/proc/net/dev") as lines:
        for line in lines:
            if line.lstrip().startswith("lo:"):
                return int(line.split(":")[1].split()[0])
    raise RuntimeError("there is no loopback device")


class Flow:
    """Watches a transfer of `size` bytes from outside, whatever the programs do."""

    STEP = 0.005
    #: More than handshakes and announces make.
    FIRST = 128 * 1024

    def __init__(self, size):
        self.size = size
        self.seen = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self):
        self._base = carried()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()
        self._look()

    def _watch(self):
        while not self._over.wait(self.STEP):
            self._look()

    def _look(self):
        self.seen.append((time.monotonic(), carried() - self._base))

    def _when(self, count):
        return next((at for at, bytes_ in self.seen if bytes_ >= count), None)

    def first(self):
        """When the first payload came."""
        return self._when(self.FIRST)

    def last(self):
        """When the last payload had come."""
        return self._when(self.size)

    def mib_s(self):
        """Payload over time, from the first tenth to the last: without starting and leaving."""
        begin, end = self._when(0.1 * self.size), self._when(0.9 * self.size)
        if not begin or not end or end <= begin:
            return None
        return 0.8 * self.size / 2**20 / (end - begin)
