"""Gives a magnet link to a running transmission-daemon, which takes none from its watched folder.

    transmission_add.py ADDRESS LINK
"""

import json
import sys
import time
import urllib.error
import urllib.request


def ask(url, body, session):
    headers = {"X-Transmission-Session-Id": session}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
        return json.load(answer)


def main():
    url = f"http://{sys.argv[1]}:9091/transmission/rpc"
    body = json.dumps({"method": "torrent-add", "arguments": {"filename": sys.argv[2]}}).encode()
    session = ""
    for _ in range(100):
        try:
            answer = ask(url, body, session)
            sys.exit(None if answer["result"] == "success" else answer["result"])
        except urllib.error.HTTPError as error:
            # The first answer names the session, which keeps other web pages out.
            session = error.headers["X-Transmission-Session-Id"]
        except urllib.error.URLError:
            time.sleep(0.1)
    sys.exit("transmission does not answer")


if __name__ == "__main__":
    main()
