"""Unleash's Python SDK: `unleash_client.py URL TOKEN polling|streaming`."""

import sys
import tempfile

import lines
from UnleashClient import UnleashClient
from UnleashClient.events import UnleashEventType

url, token, mode = sys.argv[1:]
ready = False


def heard(event):
    global ready
    if event.event_type == UnleashEventType.READY and not ready:
        ready = True
        lines.event("ready")
    elif event.event_type == UnleashEventType.FETCHED:
        lines.event("fetched")


with tempfile.TemporaryDirectory() as folder:
    client = UnleashClient(
        url=f"{url}/api",
        app_name="serin-test",
        custom_headers={"Authorization": token},
        cache_directory=folder,
        refresh_interval=1,
        metrics_interval=1,
        event_callback=heard,
        experimental_mode={"type": mode},
    )
    client.initialize_client()
    lines.serve(
        lambda asked: {
            "enabled": client.is_enabled(asked["flag"], asked["context"]),
            "variant": client.get_variant(asked["flag"], asked["context"]),
        }
    )
