# SPDX-License-Identifier: Apache-2.0
"""Lepton's own client, unmodified and told nothing: what it finds, the webhook has put there. Prints "ok WHAT" lines."""
import io
import os
import sys

from leptonai import KV, Queue
from leptonai.objectstore import PrivateObjectStore, PublicObjectStore


def check(what, got, wanted):
    if got != wanted:
        sys.exit(f"FAILED {what}: got {got!r}, wanted {wanted!r}")
    print("ok", what, flush=True)


kv = KV("settings", create_if_not_exists=True, wait_for_creation=True)
kv.put("rate", "0.001")
check("KV", kv.get("rate"), b"0.001")
queue = Queue("jobs", create_if_not_exists=True, wait_for_creation=True)
queue.send("one")
check("Queue", queue.receive(), "one")
data = os.urandom(300000)
for store in PrivateObjectStore(), PublicObjectStore():
    store.put("models/a.bin", io.BytesIO(data))
    check(type(store).__name__, store.get("models/a.bin").read(), data)
