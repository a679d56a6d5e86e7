"""Waits until a tracker knows enough peers of each torrent, or says what it knows.

    await_peers.py SCRAPE_URL SECONDS SEEDS LEECHES INFO_HASH...
"""

import sys
import time
import urllib.error
import urllib.request


def bdecode(data, at=0):
    """Decodes one value; gives it and the offset behind it."""
    kind = data[at:at + 1]
    if kind == b"i":
        end = data.index(b"e", at)
        return int(data[at + 1:end]), end + 1
    if kind in (b"l", b"d"):
        items, at = [], at + 1
        while data[at:at + 1] != b"e":
            item, at = bdecode(data, at)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), at + 1
    colon = data.index(b":", at)
    end = colon + 1 + int(data[at:colon])
    return data[colon + 1:end], end


def scrape(url, info_hash):
    """Counts of seeds and leeches; opentracker answers for one info-hash at a time."""
    query = "".join(f"%{byte:02x}" for byte in info_hash)
    with urllib.request.urlopen(f"{url}?info_hash={query}", timeout=5) as answer:
        files = bdecode(answer.read())[0].get(b"files", {})
    stats = files.get(info_hash, {})
    return stats.get(b"complete", 0), stats.get(b"incomplete", 0)


def main():
    url, seconds, seeds, leeches = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    waiting = [bytes.fromhex(text) for text in sys.argv[5:]]
    deadline = time.monotonic() + seconds
    seen = None
    while waiting:
        try:
            seen = scrape(url, waiting[0])
            if seen[0] >= seeds and seen[1] >= leeches:
                waiting.pop(0)
                continue
        except (OSError, ValueError, urllib.error.URLError) as error:
            seen = error
        if time.monotonic() > deadline:
            sys.exit(f"{url}: {waiting[0].hex()} has {seen}, wanted {seeds} seeds and {leeches} leeches")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
