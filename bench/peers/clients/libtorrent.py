import subprocess
from pathlib import Path

import net
from clients.base import Client, Meter

SIDE = Path(__file__).parent.parent / "lt_side.py"


class Libtorrent(Client):
    """The library, driven from Python; the interpreter's start is not counted, its memory is."""

    name = "libtorrent"

    def path(self, lab):
        return lab.python

    def version(self, lab):
        run = subprocess.run([lab.python, "-c", "import libtorrent; print(libtorrent.__version__)"],
                             capture_output=True, text=True)
        return run.stdout.strip()

    def begin(self, lab, words, **how):
        process = lab.start(self.name, [lab.python, SIDE, *words], talks=True, **how)
        process.hear(30)
        meter = Meter(process)
        process.tell("go")
        return process, meter

    def work(self, lab, words, **how):
        process, meter = self.begin(lab, words, **how)
        with process:
            done = process.hear(lab.timeout)
            return meter.read(done.get("whole", True))

    def download(self, lab, torrent, out, peers, **how):
        return self.work(lab, ["leech", torrent.file, out, lab.port(), *(f"{ip}:{port}" for ip, port in peers)],
                         **how)

    def seed(self, lab, torrent, ip=net.CLIENT, count=1, **how):
        port = lab.port()
        words = ["seed", torrent.file, torrent.folder, port, "--ip", ip, "--count", count]
        process, _ = self.begin(lab, words, **how)
        process.hear(120)
        return self.ready(process, port)

    def swarm(self, lab, torrent, out, ip, count, peer):
        """Many leeches of one seed, on the reference side."""
        words = ["leech", torrent.file, out, lab.port(), f"{peer[0]}:{peer[1]}", "--ip", ip, "--count", count]
        return self.work(lab, words, reference=True)

    def verify(self, lab, torrent, cpus):
        return self.work(lab, ["check", torrent.file, torrent.folder, lab.port()], cpus=cpus)

    def create(self, lab, torrent, output, cpus):
        return self.work(lab, ["create", torrent.payload, output, torrent.piece_len], cpus=cpus)
