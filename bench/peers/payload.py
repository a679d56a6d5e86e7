"""Payload that is the same each time, the torrents that describe it, and the look at a copy."""

import hashlib
import random
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, list):
        return b"l%se" % b"".join(map(bencode, value))
    return b"d%se" % b"".join(bencode(key) + bencode(value[key]) for key in sorted(value))


@dataclass
class Torrent:
    size: int
    piece_len: int
    folder: Path  #: holds the payload
    name: str
    file: Path  #: the torrent without a tracker
    tracked: Path  #: the same torrent with one
    hashes: bytes
    digest: str

    @property
    def payload(self):
        return self.folder / self.name

    def is_whole(self, folder):
        """Whether there is a right copy in the folder."""
        return any(path.stat().st_size == self.size and digest_of(path) == self.digest
                   for path in Path(folder).rglob(self.name) if path.is_file())


def digest_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def make(scratch, size, piece_len, announce):
    """A file of `size` bytes that can't be compressed, written unless it is there, and its torrents."""
    name = f"payload-{size // MIB}.bin"
    folder = scratch / "payload"
    folder.mkdir(exist_ok=True)
    payload = folder / name
    if not payload.exists():
        for other in folder.iterdir():
            other.unlink()
        chance = random.Random(size)
        with open(payload, "wb") as file:
            for start in range(0, size, MIB):
                file.write(chance.randbytes(min(MIB, size - start)))
    hashes = bytearray()
    with open(payload, "rb") as file:
        while piece := file.read(piece_len):
            hashes += hashlib.sha1(piece).digest()
    info = {"name": name, "length": size, "piece length": piece_len, "pieces": bytes(hashes)}
    stem = scratch / f"{size // MIB}-{piece_len // 1024}"
    file, tracked = stem.with_suffix(".torrent"), stem.with_suffix(".tracked.torrent")
    file.write_bytes(bencode({"info": info}))
    tracked.write_bytes(bencode({"announce": announce, "info": info}))
    return Torrent(size, piece_len, folder, name, file, tracked, bytes(hashes), digest_of(payload))
