"""A peer or tracker that answers with garbage, always the same, or not at all.

    hostile.py peer PORT      any connection: garbage, then silence
    hostile.py tracker PORT   any request: HTTP 200 with garbage as body
    hostile.py mute PORT      any connection: silence

Prints a line per connection.
"""

import os
import random
import socketserver
import sys

garbage = random.Random(1).randbytes(65536)


def say(line):
    # In one call, since threads that print side by side mix up their lines.
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


class Peer(socketserver.BaseRequestHandler):
    def handle(self):
        say(f"peer from {self.client_address[0]}")
        try:
            self.request.sendall(garbage)
            while self.request.recv(65536):
                pass
        except OSError:
            pass


class Tracker(socketserver.StreamRequestHandler):
    def handle(self):
        say(f"request from {self.client_address[0]}")
        try:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(garbage) + garbage)
        except OSError:
            pass


class Mute(socketserver.BaseRequestHandler):
    def handle(self):
        say(f"request from {self.client_address[0]}")
        try:
            while self.request.recv(65536):
                pass
        except OSError:
            pass


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    handler = {"peer": Peer, "tracker": Tracker, "mute": Mute}[sys.argv[1]]
    with Server(("0.0.0.0", int(sys.argv[2])), handler) as server:
        say("ready")
        server.serve_forever()
