"""A tracker that names the peers it was told to: some clients take them from nowhere else."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from payload import bencode


class Tracker:
    def __init__(self, ip):
        self.peers = []
        outer = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                peers = b"".join(socket.inet_aton(ip) + port.to_bytes(2, "big") for ip, port in outer.peers)
                body = bencode({"interval": 1800, "peers": peers})
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer((ip, 0), Answer)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://{ip}:{server.server_address[1]}/announce"
