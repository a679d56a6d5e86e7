from clients.base import Client


class Peerless(Client):
    program = "peerless"

    def __init__(self, runtime):
        self.name, self.runtime = f"peerless {runtime}", runtime

    def flags(self, port):
        return ["--runtime", self.runtime, "--port", port, "--no-dht", "--no-lsd", "--no-pex", "--no-portmap",
                "--no-trackers", "--transport", "tcp", "--encryption", "disable", "--quiet"]

    def download(self, lab, torrent, out, peers):
        named = [word for ip, port in peers for word in ("--peer", f"{ip}:{port}")]
        return self.until_exit(lab, ["download", torrent.file, "-o", out, *named, *self.flags(lab.port())])

    def seed(self, lab, torrent):
        port = lab.port()
        command = [self.path(lab), "seed", torrent.file, "--data", torrent.folder, *self.flags(port)]
        return self.ready(lab.start(self.name, command), port)


class PeerlessAlone(Client):
    """What no runtime takes part in."""

    name = "peerless"
    program = "peerless"

    def verify(self, lab, torrent, cpus):
        return self.until_exit(lab, ["verify", torrent.file, torrent.folder], cpus)

    def create(self, lab, torrent, output, cpus):
        return self.until_exit(lab, ["create", torrent.payload, "--output", output, "--piece-length",
                                     torrent.piece_len], cpus)
