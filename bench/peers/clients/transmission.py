import json
import shutil
import urllib.error
import urllib.request

import net
from clients.base import Client, Meter


class Transmission(Client):
    """The daemon, told what to do by RPC. It says that it is done by running a script."""

    name = "Transmission"
    program = "transmission-daemon"

    def start(self, lab, cpus=None):
        home, port, rpc = lab.folder("transmission"), lab.port(), lab.port()
        script = home / "done.sh"
        script.write_text(f"#!/bin/sh\n: >'{home}/done'\n")
        script.chmod(0o755)
        off = ["dht-enabled", "lpd-enabled", "pex-enabled", "utp-enabled", "port-forwarding-enabled",
               "speed-limit-up-enabled", "speed-limit-down-enabled", "ratio-limit-enabled",
               "idle-seeding-limit-enabled", "download-queue-enabled", "seed-queue-enabled",
               "rpc-authentication-required", "rpc-host-whitelist-enabled", "rpc-whitelist-enabled",
               "rename-partial-files"]
        settings = dict.fromkeys(off, False) | {
            "rpc-port": rpc, "peer-port": port, "encryption": 0, "preallocation": 0, "cache-size-mb": 64,
            "peer-limit-global": 500, "peer-limit-per-torrent": 200, "upload-slots-per-torrent": 100,
            "script-torrent-done-enabled": True, "script-torrent-done-filename": str(script),
        }
        (home / "settings.json").write_text(json.dumps(settings))
        process = lab.start(self.name, [self.path(lab), "--foreground", "--config-dir", home], cpus=cpus)
        process.home, process.port, process.rpc, process.session = home, port, rpc, ""
        if not process.until(lambda: net.listens(rpc), 20, 0.02):
            process.stop()
            raise RuntimeError("the daemon does not listen")
        return process

    def call(self, process, method, **arguments):
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        url = f"http://127.0.0.1:{process.rpc}/transmission/rpc"
        while True:
            request = urllib.request.Request(url, body, {"X-Transmission-Session-Id": process.session})
            try:
                with urllib.request.urlopen(request, timeout=20) as answer:
                    return json.load(answer)["arguments"]
            except urllib.error.HTTPError as error:
                if error.code != 409:
                    raise
                # Its guard against other sites' scripts: come again with this.
                process.session = error.headers["X-Transmission-Session-Id"]

    def state(self, process):
        fields = ["status", "haveValid", "sizeWhenDone"]
        [torrent] = self.call(process, "torrent-get", fields=fields)["torrents"]
        return torrent

    def download(self, lab, torrent, out, peers):
        lab.tracker.peers = peers
        with self.start(lab) as process:
            meter = Meter(process)
            self.call(process, "torrent-add", filename=str(torrent.tracked), **{"download-dir": str(out)})
            done = process.until((process.home / "done").exists, lab.timeout)
            outcome = meter.read(done, "" if done else "too slow")
        shutil.rmtree(process.home)
        return outcome

    def seed(self, lab, torrent):
        lab.tracker.peers = []
        process = self.start(lab)
        self.call(process, "torrent-add", filename=str(torrent.tracked), **{"download-dir": str(torrent.folder)})
        self.ready(process, process.port)
        if self.state(process)["status"] != 6:
            process.stop()
            raise RuntimeError("it does not seed")
        return process

    def verify(self, lab, torrent, cpus):
        with self.start(lab, cpus) as process:
            self.call(process, "torrent-add", filename=str(torrent.file), paused=True,
                      **{"download-dir": str(torrent.folder)})
            process.until_idle(60)
            meter = Meter(process)
            self.call(process, "torrent-verify")
            # 1: waits for its check, 2: is being checked.
            process.until(lambda: self.state(process)["status"] in (1, 2), 2)
            process.until(lambda: self.state(process)["status"] not in (1, 2), lab.timeout, 0.02)
            outcome = meter.read(self.state(process)["haveValid"] == torrent.size)
        shutil.rmtree(process.home)
        return outcome


class TransmissionCreate(Client):
    name = "Transmission"
    program = "transmission-create"

    def create(self, lab, torrent, output, cpus):
        return self.until_exit(lab, ["-o", output, "-s", torrent.piece_len // 1024, torrent.payload], cpus)
