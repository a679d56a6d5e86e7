from clients.base import Client


class Bare(Client):
    """Our own program that does the least (bench/src/bin/bare); its downloads come from itself."""

    name = "bare"
    program = "bare"

    def version(self, lab):
        return ""

    def download(self, lab, torrent, out, peers):
        [(ip, port)] = peers
        return self.until_exit(lab, ["get", torrent.file, f"{ip}:{port}", out / torrent.name])

    def seed(self, lab, torrent, reference=False):
        port = lab.port()
        command = [self.path(lab), "give", torrent.file, torrent.payload, f"0.0.0.0:{port}"]
        return self.ready(lab.start(self.name, command, reference=reference), port)

    def verify(self, lab, torrent, cpus):
        return self.until_exit(lab, ["check", torrent.file, torrent.payload], cpus)
