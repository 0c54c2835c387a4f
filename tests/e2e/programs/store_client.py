# SPDX-License-Identifier: Apache-2.0
"""Lepton's own client, unmodified, in a pod, against the cluster's store: keys, a queue, objects of both kinds. Prints "ok WHAT" lines.

usage: store_client.py URL TOKEN OTHER_TOKEN
"""
import io
import os
import sys

URL, TOKEN, OTHER = sys.argv[1:]
HOME = "/tmp/lepton"
os.makedirs(HOME)
# What the client reads of a workspace: a record, as `lep login` writes it, and variables.
with open(f"{HOME}/workspace_info.yaml", "w") as record:
    record.write(f"workspaces:\n  default: {{id: default, url: '{URL}', display_name: d, auth_token: {TOKEN}}}\ncurrent_workspace: default\n")
with open(f"{HOME}/latest_version_check", "w") as stamp:
    stamp.write("9999999999")
os.environ.update({"LEPTON_CACHE_DIR": HOME, "LEPTON_WORKSPACE_ID": "default", "LEPTON_WORKSPACE_TOKEN": TOKEN, "LEPTON_WORKSPACE_URL": URL})

import requests  # noqa: E402
from leptonai import KV, Queue  # noqa: E402
from leptonai.objectstore import PrivateObjectStore, PublicObjectStore  # noqa: E402


def check(what, got, wanted):
    if got != wanted:
        sys.exit(f"FAILED {what}: got {got!r}, wanted {wanted!r}")
    print("ok", what, flush=True)


kv = KV("settings")  # made before: the client waits ten seconds after making one
kv.put("rate", "0.001")
kv.put("bytes", b"\x00\xff")
check("KV", (kv.get("rate"), kv.get("bytes"), kv.keys().keys), (b"0.001", b"\x00\xff", ["bytes", "rate"]))
queue = Queue("jobs")
for text in ("one", "two", "three"):
    queue.send(text)
check("Queue", [queue.receive() for _ in range(3)], ["one", "two", "three"])
check("Queue.length", queue.length(), 0)
data = os.urandom(300000)
for store in PrivateObjectStore(), PublicObjectStore():
    store.put("models/a.bin", io.BytesIO(data))
    check(type(store).__name__, store.get("models/a.bin").read(), data)
link = PrivateObjectStore().get("models/a.bin", return_url=True)
check("a presigned link, without a token", requests.get(link, timeout=10).content, data)
other = {"Authorization": f"Bearer {OTHER}"}
check("another workspace does not see the key", requests.get(f"{URL}/kv/namespaces/settings/values/rate", headers=other, timeout=10).status_code, 404)
check("a wrong token", requests.get(f"{URL}/kv/namespaces", headers={"Authorization": "Bearer wrong-token-00000"}, timeout=10).status_code, 401)
