import shutil

from clients.base import Client, Meter

SETTINGS = """
network.port_random.set = no
dht.mode.set = disable
protocol.pex.set = no
trackers.use_udp.set = no
protocol.encryption.set = none
throttle.max_peers.normal.set = 200
throttle.max_peers.seed.set = 200
throttle.max_uploads.set = 200
throttle.max_uploads.global.set = 500
throttle.max_downloads.global.set = 500
throttle.global_down.max_rate.set_kb = 0
throttle.global_up.max_rate.set_kb = 0
pieces.hash.on_completion.set = no
pieces.memory.max.set = 4000M
network.send_buffer.size.set = 4M
network.receive_buffer.size.set = 4M
system.file.allocate.set = 0
"""


class Rtorrent(Client):
    """Needs a terminal, is told everything by a file, and makes a file when something has happened.

    It maps its files, so its peak memory has them in it.
    """

    name = "rtorrent"
    program = "rtorrent"
    asks_version = "-h"

    def start(self, lab, torrent, folder, event, cpus=None):
        home, port = lab.folder("rtorrent"), lab.port()
        done = home / "done"
        (home / "rc").write_text(SETTINGS + "\n".join([
            f"network.port_range.set = {port}-{port}",
            f"directory.default.set = {folder}",
            f'method.set_key = event.download.{event}, told, "execute2={{touch,{done}}}"',
            f"load.start = {torrent.tracked}", ""]))
        command = [self.path(lab), "-n", "-o", f"import={home}/rc"]
        process = lab.start(self.name, command, cpus=cpus, cwd=home, terminal=True,
                            env={"HOME": str(home), "TERM": "xterm"})
        process.home, process.done, process.port = home, done, port
        return process

    def until_event(self, lab, torrent, folder, event, cpus=None):
        with self.start(lab, torrent, folder, event, cpus) as process:
            meter = Meter(process, from_start=True)
            done = process.until(process.done.exists, lab.timeout)
            outcome = meter.read(done, "" if done else "too slow")
        shutil.rmtree(process.home)
        return outcome

    def download(self, lab, torrent, out, peers):
        lab.tracker.peers = peers
        return self.until_event(lab, torrent, out, "finished")

    def verify(self, lab, torrent, cpus):
        lab.tracker.peers = []
        return self.until_event(lab, torrent, torrent.folder, "hash_done", cpus)

    def seed(self, lab, torrent):
        lab.tracker.peers = []
        process = self.start(lab, torrent, torrent.folder, "hash_done")
        if not process.until(process.done.exists, 60, 0.02):
            process.stop()
            raise RuntimeError("it does not check its data")
        return self.ready(process, process.port)
