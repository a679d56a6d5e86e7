"""libtorrent as a test peer, driven by its Python bindings.

    libtorrent_peer.py create PATH TORRENT --tracker URL --piece-length BYTES [--private]
    libtorrent_peer.py hash TORRENT
    libtorrent_peer.py seed  --listen A:P --dir DIR TORRENT...
    libtorrent_peer.py leech --listen A:P --dir DIR TORRENT...

Peers come from the torrents' trackers and `--peer` alone: no DHT, no local discovery, and PEX
only where it is asked for. Prints one JSON object per line and serves until SIGTERM: `ready` when
everything is checked, `peer` for each address that it meets, `done` when every torrent is complete,
with the payload bytes taken from each address, and `end` with the payload bytes sent in all.
"""

import argparse
import json
import os
import signal
import sys
import time

import libtorrent as lt

SETTINGS = {
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    # It would try uTP for 7 s before TCP with a peer that has TCP only.
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    # Transmission drops a connection while it shakes hands with the same address for another
    # torrent; the default is to stay away for a minute then.
    "min_reconnect_time": 2,
    "alert_mask": int(lt.alert.category_t.error_notification
                      | lt.alert.category_t.status_notification
                      | lt.alert.category_t.connect_notification
                      | lt.alert.category_t.tracker_notification),
    "alert_queue_size": 100000,
}

# Not named by the bindings of libtorrent 2.0; from `create_torrent.hpp`.
V1_ONLY = 1 << 6


def say(**event):
    print(json.dumps(event), flush=True)


def create(args):
    storage = lt.file_storage()
    lt.add_files(storage, args.path)
    maker = lt.create_torrent(storage, piece_size=args.piece_length, flags=V1_ONLY)
    maker.add_tracker(args.tracker)
    maker.set_priv(args.private)
    lt.set_piece_hashes(maker, os.path.dirname(os.path.abspath(args.path)))
    with open(args.torrent, "wb") as out:
        out.write(lt.bencode(maker.generate()))
    print(info_hash(args))


def info_hash(args):
    return lt.torrent_info(args.torrent).info_hashes().v1


def session_of(args):
    settings = dict(SETTINGS)
    settings["listen_interfaces"] = args.listen
    if args.up_limit:
        settings["upload_rate_limit"] = args.up_limit
    session = lt.session(settings)
    if args.up_limit:
        # Peers on private addresses are free of rate limits unless they are put into the
        # class that has them.
        everybody = lt.ip_filter()
        everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
        session.set_peer_class_filter(everybody)
    return session


def add(session, torrent, args):
    if torrent.startswith("magnet:"):
        params = lt.parse_magnet_uri(torrent)
    else:
        params = lt.add_torrent_params()
        params.ti = lt.torrent_info(torrent)
    params.save_path = args.dir
    params.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if not args.pex:
        params.flags |= lt.torrent_flags.disable_pex
    return session.add_torrent(params)


def call(handles, peers):
    for peer in peers:
        address, port = peer.rsplit(":", 1)
        for handle in handles:
            handle.connect_peer((address, int(port)))


def is_checked(handle):
    checking = (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data,
                lt.torrent_status.downloading_metadata)
    return handle.status().state not in checking


def note_sources(handles, sources):
    """Keeps the highest count per connection; peers that left are not forgotten."""
    for handle in handles:
        for peer in handle.get_peer_info():
            if peer.flags & (peer.connecting | peer.handshake):
                continue
            if not any(peer.ip[0] == address for (address, _), _ in sources):
                say(event="peer", address=peer.ip[0])
            sources[(peer.ip, str(handle.info_hash()))] = peer.total_download


def run(args):
    session = session_of(args)
    handles = [add(session, torrent, args) for torrent in args.torrents]
    is_ready, is_done = False, False
    sources = {}
    stops = []
    signal.signal(signal.SIGTERM, lambda *_: stops.append(True))
    while not stops:
        session.wait_for_alert(20)
        for alert in session.pop_alerts():
            print(f"{time.monotonic():.3f} {alert}", file=sys.stderr, flush=True)
        note_sources(handles, sources)
        if not is_ready and all(is_checked(handle) for handle in handles):
            is_ready = True
            if args.mode == "seed" and not all(handle.status().is_seeding for handle in handles):
                sys.exit("the data to seed is not complete")
            say(event="ready")
            call(handles, args.peer)
        if is_ready and not is_done and all(handle.status().is_finished for handle in handles):
            is_done = True
            taken = {}
            for ((address, _), _), total in sources.items():
                taken[address] = taken.get(address, 0) + total
            say(event="done", sources=taken)
    # The counters are brought up to date once a second.
    time.sleep(1.5)
    say(event="end", sent=sum(handle.status().total_payload_upload for handle in handles))


def main():
    parser = argparse.ArgumentParser()
    modes = parser.add_subparsers(dest="mode", required=True)
    maker = modes.add_parser("create")
    maker.add_argument("path")
    maker.add_argument("torrent")
    maker.add_argument("--tracker", required=True)
    maker.add_argument("--piece-length", type=int, required=True)
    maker.add_argument("--private", action="store_true")
    modes.add_parser("hash").add_argument("torrent")
    for mode in ("seed", "leech"):
        peer = modes.add_parser(mode)
        peer.add_argument("--listen", required=True, help="ADDRESS:PORT")
        peer.add_argument("--dir", required=True)
        peer.add_argument("--up-limit", type=int, default=0, help="bytes per second")
        peer.add_argument("--peer", action="append", default=[], help="ADDRESS:PORT to call")
        peer.add_argument("--pex", action="store_true", help="exchange peers")
        peer.add_argument("torrents", nargs="+")
    args = parser.parse_args()
    if args.mode == "create":
        create(args)
    elif args.mode == "hash":
        print(info_hash(args))
    else:
        run(args)


if __name__ == "__main__":
    main()
