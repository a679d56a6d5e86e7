from clients.base import Client


class Rqbit(Client):
    name = "rqbit"
    program = "rqbit"

    def command(self, port, *more):
        # `-s`: one thread, which costs less on one core.
        return ["-v", "error", "-s", "--disable-dht", "--disable-lsd", "--disable-upnp-port-forward", "--ipv4-only",
                "--listen-ip", "0.0.0.0", "--listen-port", port, "download", "--disable-http-api", *more]

    def download(self, lab, torrent, out, peers):
        named = ",".join(f"{ip}:{port}" for ip, port in peers)
        more = ["--exit-on-finish", "-o", out, "--initial-peers", named, torrent.file]
        return self.until_exit(lab, self.command(lab.port(), *more))

    def seed(self, lab, torrent):
        port = lab.port()
        command = self.command(port, "--overwrite", "-o", torrent.folder, torrent.file)
        return self.ready(lab.start(self.name, [self.path(lab), *command]), port)

    def verify(self, lab, torrent, cpus):
        more = ["--exit-on-finish", "--overwrite", "-o", torrent.folder, torrent.file]
        return self.until_exit(lab, self.command(lab.port(), *more), cpus)
