"""Orders in Postgres, to be shipped by Serin. Needs psycopg 3.

    python3 app.py releases/v1.json

A release file stands for what a real release is: other code. It names the column in which this
version keeps who ordered. The app knows nothing of migrations: it connects as ever, and Serin has
told libpq, through PGOPTIONS, which shape of the tables is this version's own.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

with open(sys.argv[1], encoding="utf-8") as file:
    COLUMN = json.load(file)["column"]
VERSION = os.environ.get("VERSION", "unknown")
MINE = threading.local()


def connection():
    """One connection for each thread, kept as long as it works."""
    if getattr(MINE, "connection", None) is None or MINE.connection.closed:
        MINE.connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True)
    return MINE.connection


def order():
    """Writes an order and reads it back: what a version wrote it must find."""
    insert = f"INSERT INTO orders ({COLUMN}, total) VALUES (%s, 7) RETURNING id"
    select = f"SELECT {COLUMN}, total FROM orders WHERE id = %s"
    number = connection().execute(insert, (VERSION,)).fetchone()[0]
    found = connection().execute(select, (number,)).fetchone()
    if found != (VERSION, 7):
        raise ValueError(f"order {number} is {found}")
    return number


class Handler(BaseHTTPRequestHandler):
    """Every request but those for its health is an order."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def do_GET(self):
        try:
            if self.path == "/ready":
                connection().execute(f"SELECT {COLUMN} FROM orders LIMIT 1")
                self.answer(200, "ready")
            else:
                self.answer(200, str(order()))
        except Exception as error:  # every failure is an answer that is counted
            print(f"failed: {error}", file=sys.stderr, flush=True)
            self.answer(500, str(error))

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("x-version", VERSION)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def main():
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
    # Serin has drained this instance before it sends the signal.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


main()
