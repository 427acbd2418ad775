"""A small shop, to be shipped by Serin. Standard library only.

    python3 shop.py releases/v1.json

A release file stands for what a real release is: other code. PORT and VERSION come from the
environment. ERROR_RATE (0 to 1) and DELAY_MS, from the environment or else from the release file,
play a bad version: that share of requests is answered 500, and every request takes so much longer.
"""

import json
import os
import random
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Release:
    """What differs between versions."""

    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            release = json.load(file)
        self.version = os.environ.get("VERSION", "unknown")
        self.greeting = release["greeting"]
        self.error_rate = float(os.environ.get("ERROR_RATE", release["errorRate"]))
        self.delay = float(os.environ.get("DELAY_MS", release["delayMs"])) / 1000


class Running:
    """Counts the requests being answered, so that the last one can be waited for."""

    def __init__(self):
        self.changed = threading.Condition()
        self.count = 0
        self.stopping = False

    def __enter__(self):
        with self.changed:
            self.count += 1

    def __exit__(self, *_):
        with self.changed:
            self.count -= 1
            self.changed.notify_all()

    def finish(self):
        with self.changed:
            self.changed.wait_for(lambda: self.count == 0)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection; `release` and `running` are set before the first one."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # Head and body leave in one piece.
    release = None
    running = None

    def do_GET(self):
        with self.running:
            self.route()
            self.wfile.flush()

    def route(self):
        path = self.path.split("?")[0]
        if path == "/ready":
            self.answer(503 if self.running.stopping else 200, {"ready": not self.running.stopping})
        elif path == "/health":
            self.answer(200, {"healthy": True})
        elif path == "/version":
            self.answer(200, {"version": self.release.version})
        elif path == "/":
            self.shop()
        else:
            self.answer(404, {"error": f"no page {path}"})

    def shop(self):
        time.sleep(self.release.delay)
        if random.random() < self.release.error_rate:
            self.answer(500, {"error": "the till is on fire"})
        else:
            self.answer(200, {"greeting": self.release.greeting})

    def answer(self, status, document):
        body = json.dumps(document).encode() + b"\n"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Version", self.release.version)
        if self.running.stopping:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *arguments):
        """One line for each request would only fill the disk."""


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False  # An idle connection must not keep a stopped shop alive.

    def handle_error(self, request, client_address):
        """A user who goes away is no reason for twenty lines of traceback."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def main():
    Handler.release = Release(sys.argv[1])
    Handler.running = Running()
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)

    def stop(*_):
        Handler.running.stopping = True
        # `shutdown` waits for the loop below, which this signal has interrupted.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    print(f"{Handler.release.version} listens on {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    Handler.running.finish()
    print("finished the last request", flush=True)


if __name__ == "__main__":
    main()
