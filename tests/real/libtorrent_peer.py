"""libtorrent as a test peer, driven by its Python bindings.

    libtorrent_peer.py create PATH TORRENT --tracker URL --piece-length BYTES [--private] [--sorted] [--source TEXT]
    libtorrent_peer.py hash TORRENT
    libtorrent_peer.py show TORRENT
    libtorrent_peer.py link TORRENT
    libtorrent_peer.py parse LINK
    libtorrent_peer.py seed  --listen A:P --dir DIR TORRENT...
    libtorrent_peer.py leech --listen A:P --dir DIR TORRENT...

Peers come from the torrents' trackers and `--peer` alone: no DHT, no local discovery, and PEX
only where it is asked for. Prints one JSON object per line and serves until SIGTERM: `ready` when
everything is checked, `peer` for each address that it meets, and anew when what it thinks of it changes,
`done` when every torrent is complete,
with the payload bytes taken from each address, and `end` with the payload bytes sent in all.
With `--log` every message that it gets and sends is a line on standard error.
"""

import argparse
import json
import os
import select
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
    if args.sorted:
        entries = sorted((storage.file_path(index).encode(), storage.file_size(index))
                         for index in range(storage.num_files()))
        storage = lt.file_storage()
        for path, size in entries:
            storage.add_file(path.decode(), size)
    maker = lt.create_torrent(storage, piece_size=args.piece_length, flags=V1_ONLY)
    maker.add_tracker(args.tracker)
    maker.set_priv(args.private)
    lt.set_piece_hashes(maker, os.path.dirname(os.path.abspath(args.path)))
    made = maker.generate()
    if args.source:
        made[b"info"][b"source"] = args.source
    with open(args.torrent, "wb") as out:
        out.write(lt.bencode(made))
    print(info_hash(args))


def info_hash(args):
    return lt.torrent_info(args.torrent).info_hashes().v1


def show(torrent):
    """What it reads out of a torrent beside the info-hash."""
    info = lt.torrent_info(torrent)
    # It mixes those of a tier, as BEP 12 has it.
    say(trackers=sorted([entry.tier, entry.url] for entry in info.trackers()),
        web_seeds=[seed["url"] for seed in info.web_seeds()],
        comment=info.comment(), private=info.priv(), piece_length=info.piece_length())


def parse(link):
    """What it reads out of a magnet link."""
    params = lt.parse_magnet_uri(link)
    say(name=params.name, info_hash=str(params.info_hashes.v1), trackers=sorted(params.trackers),
        web_seeds=params.url_seeds)


def set_setting(settings, text):
    """`KEY=VALUE`, with the type that the setting has."""
    key, value = text.split("=", 1)
    kind = type(lt.default_settings().get(key, ""))
    settings[key] = value == "true" if kind is bool else kind(value)


def session_of(args):
    settings = dict(SETTINGS)
    settings["listen_interfaces"] = args.listen
    for text in args.setting:
        set_setting(settings, text)
    if args.log:
        settings["alert_mask"] |= int(lt.alert.category_t.peer_log_notification)
    if args.up_limit:
        settings["upload_rate_limit"] = args.up_limit
    session = lt.session(settings)
    if args.up_limit:
        # Peers on private addresses are free of rate limits unless they are put into the
        # class that has them.
        everybody = lt.ip_filter()
        everybody.add_rule("0.0.0.0", "255.255.255.255", 1 << lt.session.global_peer_class_id)
        everybody.add_rule("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1 << lt.session.global_peer_class_id)
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
    for flag in args.flag:
        params.flags |= getattr(lt.torrent_flags, flag)
    if args.priorities:
        params.file_priorities = [int(priority) for priority in args.priorities.split(",")]
    return session.add_torrent(params)


def call(handles, peers):
    for peer in peers:
        address, port = peer.rsplit(":", 1)
        for handle in handles:
            handle.connect_peer((address.strip("[]"), int(port)))


def is_checked(handle):
    checking = (lt.torrent_status.checking_files, lt.torrent_status.checking_resume_data,
                lt.torrent_status.downloading_metadata)
    return handle.status().state not in checking


def note_sources(handles, sources, met):
    """Keeps the highest count per connection; peers that left are not forgotten. `met` has what was said
    of each address."""
    for handle in handles:
        for peer in handle.get_peer_info():
            if peer.flags & (peer.connecting | peer.handshake):
                continue
            known = {"client": peer.client.decode(errors="replace"),
                     "extensions": bool(peer.flags & peer.supports_extensions),
                     "upload_only": bool(peer.flags & peer.upload_only),
                     "seed": bool(peer.flags & peer.seed)}
            if met.get(peer.ip[0]) != known:
                met[peer.ip[0]] = known
                say(event="peer", address=peer.ip[0], **known)
            sources[(peer.ip, str(handle.info_hash()))] = peer.total_download


def run(args):
    session = session_of(args)
    told, tells = os.pipe()
    session.set_alert_fd(tells)
    handles = [add(session, torrent, args) for torrent in args.torrents]
    is_ready, is_done = False, False
    sources, met = {}, {}
    stops = []
    signal.signal(signal.SIGTERM, lambda *_: stops.append(True))
    while not stops:
        # Not by wait_for_alert: what it returns lies in a queue that grows meanwhile, and may be gone when
        # it is made an object of Python's.
        if select.select([told], [], [], 0.02)[0]:
            os.read(told, 4096)
        # Before the log goes on: so it is whole up to there once it is said.
        is_finished = is_ready and all(handle.status().is_finished for handle in handles)
        for alert in session.pop_alerts():
            print(f"{time.monotonic():.3f} {alert}", file=sys.stderr, flush=True)
        note_sources(handles, sources, met)
        if not is_ready and all(is_checked(handle) for handle in handles):
            is_ready = True
            if args.mode == "seed" and not all(handle.status().is_finished for handle in handles):
                sys.exit("the data to seed is not complete")
            say(event="ready")
            call(handles, args.peer)
        if is_finished and not is_done:
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
    maker.add_argument("--sorted", action="store_true", help="files by name, not as the folder has them")
    maker.add_argument("--source")
    modes.add_parser("hash").add_argument("torrent")
    modes.add_parser("show").add_argument("torrent")
    modes.add_parser("link").add_argument("torrent")
    modes.add_parser("parse").add_argument("link")
    for mode in ("seed", "leech"):
        peer = modes.add_parser(mode)
        peer.add_argument("--listen", required=True, help="ADDRESS:PORT")
        peer.add_argument("--dir", required=True)
        peer.add_argument("--up-limit", type=int, default=0, help="bytes per second")
        peer.add_argument("--peer", action="append", default=[], help="ADDRESS:PORT to call")
        peer.add_argument("--pex", action="store_true", help="exchange peers")
        peer.add_argument("--setting", action="append", default=[], help="KEY=VALUE of libtorrent's settings")
        peer.add_argument("--flag", action="append", default=[], help="a name of `torrent_flags`")
        peer.add_argument("--priorities", help="one per file, by commas")
        peer.add_argument("--log", action="store_true", help="say each message")
        peer.add_argument("torrents", nargs="+")
    args = parser.parse_args()
    if args.mode == "create":
        create(args)
    elif args.mode == "hash":
        print(info_hash(args))
    elif args.mode == "show":
        show(args.torrent)
    elif args.mode == "link":
        print(lt.make_magnet_uri(lt.torrent_info(args.torrent)))
    elif args.mode == "parse":
        parse(args.link)
    else:
        run(args)


if __name__ == "__main__":
    main()
