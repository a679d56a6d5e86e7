from clients.base import Client

FLAGS = """--no-conf --enable-dht=false --enable-dht6=false --bt-enable-lpd=false --enable-peer-exchange=false
    --disable-ipv6 --file-allocation=none --bt-max-peers=0 --bt-request-peer-speed-limit=2000M
    --max-overall-upload-limit=0 --disk-cache=64M --auto-save-interval=0 --allow-overwrite
    --summary-interval=0 --show-console-readout=false --console-log-level=warn""".split()


class Aria2(Client):
    """Takes peers from a tracker alone; waits some seconds before and after."""

    name = "aria2"
    program = "aria2c"

    def flags(self, lab, folder):
        port = lab.port()
        return port, [*FLAGS, f"--dir={folder}", f"--listen-port={port}"]

    def download(self, lab, torrent, out, peers):
        lab.tracker.peers = peers
        _, flags = self.flags(lab, out)
        return self.until_exit(lab, [*flags, "--seed-time=0", torrent.tracked])

    def seed(self, lab, torrent):
        lab.tracker.peers = []
        port, flags = self.flags(lab, torrent.folder)
        command = [self.path(lab), *flags, "--seed-ratio=0", "--bt-seed-unverified", torrent.tracked]
        return self.ready(lab.start(self.name, command), port)

    def verify(self, lab, torrent, cpus):
        _, flags = self.flags(lab, torrent.folder)
        return self.until_exit(lab, [*flags, "--check-integrity", "--hash-check-only", torrent.file], cpus)
