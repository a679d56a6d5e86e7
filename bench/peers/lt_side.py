"""libtorrent through its Python bindings: the reference side of every transfer, and a client too.

    lt_side.py seed|leech|check TORRENT FOLDER PORT [--ip IP] [--count N] [PEER:PORT...]
    lt_side.py create PAYLOAD OUTPUT PIECE_LEN

It says `{"event": "here"}`, waits for a line, works, and says `{"event": "done"}`, so that who
measures can leave out the interpreter. A seed says it once it can be connected to, and stays until
its standard input ends. With `--count` it is many sessions with an address each.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import libtorrent as lt

#: One fast local line, nothing but TCP, no limits, deep queues.
SETTINGS = {
    "enable_dht": False, "enable_lsd": False, "enable_natpmp": False, "enable_upnp": False,
    "enable_incoming_utp": False, "enable_outgoing_utp": False,
    "in_enc_policy": 2, "out_enc_policy": 2,  # plain text only
    "allow_multiple_connections_per_ip": True,
    "connections_limit": 1000, "connection_speed": 200, "unchoke_slots_limit": -1,
    "max_out_request_queue": 1000,
    # rtorrent keeps thousands of requests outstanding; those over the limit are dropped, and it waits.
    "max_allowed_in_request_queue": 100_000,
    "send_buffer_watermark": 2 << 20, "send_buffer_low_watermark": 512 << 10,
    "max_queued_disk_bytes": 64 << 20, "mixed_mode_algorithm": 0, "rate_limit_ip_overhead": False,
    "unchoke_interval": 1,
    "tick_interval": 100,  # half a second by default, which is what a fast download takes
}


def say(event, **more):
    print(json.dumps({"event": event, **more}), flush=True)


def session(ip, port, alone):
    settings = SETTINGS | {
        # By name: for all addresses it would take those alone that an interface shows.
        "listen_interfaces": f"{ip}:{port}",
        "outgoing_interfaces": "" if alone else ip,
        "aio_threads": 4 if alone else 1,
        "alert_mask": int(lt.alert.category_t.status_notification),
    }
    params = lt.session_params()
    params.settings = settings
    # Of its ways to the disk the one that costs the least CPU here; old bindings have no choice.
    if hasattr(params, "disk_io_constructor"):
        params.disk_io_constructor = "posix_disk_io_constructor"
    return lt.session(params)


def add(session, torrent, folder, trusted):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
    params.save_path = str(folder)
    params.trackers = []
    params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
    if trusted:
        params.flags |= lt.torrent_flags.seed_mode
    return session.add_torrent(params)


def wait_for(is_so, timeout=120, step=0.005):
    end = time.monotonic() + timeout
    while not is_so():
        if time.monotonic() > end:
            sys.exit("lt_side: it takes too long")
        time.sleep(step)


def transfer(args):
    head, last = args.ip.rsplit(".", 1)
    sessions, handles = [], []
    for i in range(args.count):
        sessions.append(session(f"{head}.{int(last) + i}", args.port, args.count == 1))
        folder = Path(args.folder)
        if args.mode == "leech" and args.count > 1:
            folder = folder / str(i)
            folder.mkdir()
        # In its seed mode it hashes while it sends, so one seed alone rather checks before.
        trusted = args.mode == "seed" and args.count > 1
        handles.append(add(sessions[-1], args.torrent, folder, trusted))
    if args.mode == "seed":
        wait_for(lambda: all(handle.status().is_seeding for handle in handles))
        say("done")
        sys.stdin.read()
        return
    if args.mode == "leech":
        wait_for(lambda: all(h.status().state == lt.torrent_status.downloading for h in handles))
    for handle in handles:
        for peer in args.peers:
            ip, port = peer.rsplit(":", 1)
            handle.connect_peer((ip, int(port)))
    goal = lt.torrent_finished_alert if args.mode == "leech" else lt.torrent_checked_alert
    left = set(range(args.count))
    while left:
        for i in sorted(left):
            sessions[i].wait_for_alert(500 if args.count == 1 else 2)
            if any(isinstance(alert, goal) for alert in sessions[i].pop_alerts()):
                left.discard(i)
    say("done", whole=all(handle.status().is_seeding for handle in handles))
    # An answered tracker or a polite goodbye is none of the measurement.
    sys.stdin.read()


def create(args):
    storage = lt.file_storage()
    lt.add_files(storage, args.torrent)
    torrent = lt.create_torrent(storage, piece_size=args.port, flags=lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, str(Path(args.torrent).parent))
    Path(args.folder).write_bytes(lt.bencode(torrent.generate()))
    say("done")
    sys.stdin.read()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=["seed", "leech", "check", "create"])
    parser.add_argument("torrent")
    parser.add_argument("folder")
    parser.add_argument("port", type=int)
    parser.add_argument("peers", nargs="*")
    parser.add_argument("--ip", default="0.0.0.0")
    parser.add_argument("--count", type=int, default=1)
    args = parser.parse_args()
    say("here", version=lt.__version__)
    sys.stdin.readline()
    (create if args.mode == "create" else transfer)(args)


main()
