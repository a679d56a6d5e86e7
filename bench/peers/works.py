"""The kinds of work: how one run of each goes, with the look at its result."""

import shutil
from dataclasses import dataclass

import net
import payload
from clients.bare import Bare
from clients.base import Meter
from clients.libtorrent import Libtorrent

MIB = payload.MIB
REFERENCE = Libtorrent()


@dataclass
class Work:
    name: str
    title: str
    does: str  #: the method that a client has if it can do it
    mib: int
    quick_mib: int
    piece_kib: int = 256
    all_cores: bool = False

    def size(self, quick):
        return (self.quick_mib if quick else self.mib) * MIB

    def payload_len(self, quick):
        """Bytes that the client moves or hashes."""
        return self.size(quick)


class Download(Work):
    """From one libtorrent seed; the bare program from itself."""

    def run(self, lab, torrent, clients):
        seed = REFERENCE.seed(lab, torrent, ip=net.REFERENCE, reference=True)
        bare = next((c for c in clients if isinstance(c, Bare)), None)
        bare_seed = bare.seed(lab, torrent, reference=True) if bare else None

        def once(client):
            port = bare_seed.port if client is bare else seed.port
            return receive(lab, torrent, client, [(net.REFERENCE, port)])

        return once, [seed, *filter(None, [bare_seed])]


class SwarmIn(Work):
    """From 50 libtorrent seeds at once; the bare program from one."""

    COUNT = 50

    def run(self, lab, torrent, clients):
        seeds = REFERENCE.seed(lab, torrent, ip=net.MANY, count=self.COUNT, reference=True)
        bare = next((c for c in clients if isinstance(c, Bare)), None)
        bare_seed = bare.seed(lab, torrent, reference=True) if bare else None

        def once(client):
            if client is bare:
                return receive(lab, torrent, client, [(net.REFERENCE, bare_seed.port)])
            return receive(lab, torrent, client, [(ip, seeds.port) for ip in net.many(self.COUNT)])

        return once, [seeds, *filter(None, [bare_seed])]


def receive(lab, torrent, client, peers):
    out = lab.folder("out")
    try:
        with net.Flow(torrent.size) as flow:
            outcome = client.download(lab, torrent, out, peers)
        if outcome.ok and not torrent.is_whole(out):
            outcome.ok, outcome.note = False, "what it has written is wrong"
        return outcome, flow
    finally:
        shutil.rmtree(out)


class Seed(Work):
    """To one libtorrent leech. What counts is from the leech's coming to its last piece."""

    def run(self, lab, torrent, clients):
        def once(client):
            return send(lab, torrent, client, torrent.size, lambda out, peer: (
                REFERENCE.download(lab, torrent, out, [peer], reference=True), torrent.is_whole(out)))

        return once, []


class SwarmOut(Work):
    """The only seed of 50 libtorrent leeches."""

    COUNT = 50

    def payload_len(self, quick):
        return self.COUNT * self.size(quick)

    def run(self, lab, torrent, clients):
        def swarm(out, peer):
            outcome = REFERENCE.swarm(lab, torrent, out, net.MANY, self.COUNT, peer)
            return outcome, all(torrent.is_whole(out / str(i)) for i in range(self.COUNT))

        def once(client):
            return send(lab, torrent, client, self.COUNT * torrent.size, swarm)

        return once, []


def send(lab, torrent, client, size, leech):
    out = lab.folder("out")
    try:
        with client.seed(lab, torrent) as seed, net.Flow(size) as flow:
            meter = Meter(seed)
            theirs, whole = leech(out, (net.CLIENT, seed.port))
            outcome = meter.read(theirs.ok and whole, theirs.note)
            # Without the leech's own start.
            outcome.began, outcome.wall = theirs.began, theirs.wall
        return outcome, flow
    finally:
        shutil.rmtree(out)


class Verify(Work):
    """Data in the page cache."""

    def run(self, lab, torrent, clients):
        cpus = lab.test_cpus | lab.reference_cpus if self.all_cores else lab.test_cpus
        return lambda client: (client.verify(lab, torrent, cpus), None), []


class Create(Work):
    """A torrent of data in the page cache."""

    def run(self, lab, torrent, clients):
        cpus = lab.test_cpus | lab.reference_cpus if self.all_cores else lab.test_cpus

        def once(client):
            out = lab.folder("created")
            try:
                outcome = client.create(lab, torrent, out / "created.torrent", cpus)
                if outcome.ok and torrent.hashes not in (out / "created.torrent").read_bytes():
                    outcome.ok, outcome.note = False, "its hashes are wrong"
                return outcome, None
            finally:
                shutil.rmtree(out)

        return once, []


ALL = [
    Download("download-256", "download, 256 KiB pieces", "download", 1024, 256),
    Download("download-1024", "download, 1 MiB pieces", "download", 1024, 256, piece_kib=1024),
    Download("download-4096", "download, 4 MiB pieces", "download", 1024, 256, piece_kib=4096),
    SwarmIn("swarm-in", "download from 50 seeds", "download", 256, 128),
    Seed("seed", "seed to one leech", "seed", 1024, 256),
    SwarmOut("swarm-out", "only seed of 50 leeches", "seed", 16, 4),
    Verify("verify", "verify, one core", "verify", 4096, 512),
    Verify("verify-all", "verify, two cores", "verify", 4096, 512, all_cores=True),
    Create("create", "create, one core", "create", 4096, 512),
    Create("create-all", "create, two cores", "create", 4096, 512, all_cores=True),
]
