"""A web server of torrents' files that has its ways.

    web_server.py ADDRESS PORT FOLDER

The first part of a path says how the rest is served, a file in the folder:

    /whole/   as a server that knows no ranges: all of it, always
    /busy/    503 to the first request, then as it should be
    /lies/    ranges of the right length, of other bytes
    /good/    ranges

Prints a line per request: the path, the range asked for, the status.
"""

import os
import re
import socketserver
import sys
import urllib.parse
from http.server import BaseHTTPRequestHandler

BUSY_COUNT = 1


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = urllib.parse.unquote(self.path)
        way, _, name = path.lstrip("/").partition("/")
        if way == "busy" and self.server.turned_away < BUSY_COUNT:
            self.server.turned_away += 1
            return self.answer(503, b"", {"Retry-After": "1"})
        try:
            with open(os.path.join(self.server.folder, name), "rb") as file:
                whole = file.read()
        except OSError:
            return self.answer(404, b"", {})
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if way == "whole" or not asked:
            return self.answer(200, whole, {})
        begin, end = int(asked[1]), min(int(asked[2]) + 1, len(whole))
        data = whole[begin:end]
        if way == "lies":
            data = bytes(byte ^ 0x55 for byte in data)
        return self.answer(206, data, {"Content-Range": f"bytes {begin}-{end - 1}/{len(whole)}"})

    def answer(self, status, body, headers):
        # In one call, since threads that print side by side mix up their lines.
        line = f"{urllib.parse.unquote(self.path)} {self.headers.get('Range')} {status}\n"
        os.write(sys.stdout.fileno(), line.encode())
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    turned_away = 0


if __name__ == "__main__":
    with Server((sys.argv[1], int(sys.argv[2])), Handler) as server:
        server.folder = sys.argv[3]
        print("ready", flush=True)
        server.serve_forever()
