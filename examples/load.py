"""Users for a shop: asks for one page at a steady rate and reports who answered.

    python3 load.py http://127.0.0.1:8080/ --rate 200 --seconds 60

It waits until somebody listens, and it stops early when the shell that started it has ended.
Dropped are requests without a whole answer, and answers by Serin itself (502, 503, 504).
"""

import argparse
import collections
import http.client
import os
import threading
import time
import urllib.parse

USERS = 8
PATIENCE_SECONDS = 30


class Tally:
    """What all users saw."""

    def __init__(self):
        self.lock = threading.Lock()
        self.by_version = collections.Counter()
        self.errors = 0
        self.dropped = 0

    def answered(self, version, status):
        with self.lock:
            self.by_version[version] += 1
            self.errors += status >= 500
            self.dropped += status in (502, 503, 504)

    def lost(self):
        with self.lock:
            self.errors += 1
            self.dropped += 1

    def report(self):
        versions = ", ".join(f"{name} {count}" for name, count in sorted(self.by_version.items()))
        total = sum(self.by_version.values())
        return f"load: {total} answers ({versions}); {self.errors} errors, {self.dropped} dropped"


def connect(url):
    """A connection, as soon as somebody listens."""
    give_up = time.monotonic() + PATIENCE_SECONDS
    while True:
        connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
        try:
            connection.connect()
            return connection
        except OSError:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.1)


def use(url, times, tally):
    """One user: asks at the given moments over one connection, as a browser would."""
    connection = connect(url)
    for moment in times:
        time.sleep(max(0.0, moment - time.monotonic()))
        try:
            connection.request("GET", url.path or "/")
            response = connection.getresponse()
            response.read()
            tally.answered(response.headers.get("X-Version", "serin"), response.status)
        except (OSError, http.client.HTTPException):
            tally.lost()
            connection.close()


def moments(start, offset, step, seconds):
    """When one user asks, until time is up or nobody is left to read the report."""
    parent = os.getppid()
    moment = start + offset
    while moment < start + seconds and os.getppid() == parent:
        yield moment
        moment += step


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("url", type=urllib.parse.urlsplit)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    tally = Tally()
    connect(arguments.url).close()
    start, step = time.monotonic(), USERS / arguments.rate
    users = []
    for number in range(USERS):
        times = moments(start, number * step / USERS, step, arguments.seconds)
        users.append(threading.Thread(target=use, args=(arguments.url, times, tally)))
    for user in users:
        user.start()
    for user in users:
        user.join()
    print(tally.report(), flush=True)


if __name__ == "__main__":
    main()
