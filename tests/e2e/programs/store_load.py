# SPDX-License-Identifier: Apache-2.0
"""Writes to a store all the while, from within a pod, and tells at the end whether anything that was acknowledged is lost.

usage: store_load.py HOST PORT TOKEN
Values, objects and messages, each sent again until it is acknowledged, as a client does that wants to go on. The file /tmp/progress
holds how many were, and the longest time that one took since /tmp/again was last there; when /tmp/stop is there, everything is read back, and the last line of output is a JSON object: how many were
acknowledged and sent again, the longest time without an answer, and what is wrong.
"""
import hashlib
import http.client
import json
import os
import sys
import threading
import time

HOST, PORT, TOKEN = sys.argv[1], int(sys.argv[2]), sys.argv[3]
BASE = "/api/v1"
LONGEST_S = 150  # then it ends by itself
END = time.monotonic() + LONGEST_S
lock = threading.Lock()
acked, again, gap_s, phase_s, wrong = 0, 0, 0.0, 0.0, []


class Client:
    """One connection, opened anew when it broke."""

    def __init__(self):
        self.connection = None

    def ask(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(HOST, PORT, timeout=3)
        try:
            self.connection.request(method, BASE + path, body, {"Authorization": "Bearer " + TOKEN})
            answer = self.connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            raise

    def must(self, method, path, body=None):
        """Until it is acknowledged, or the time is over: True or False."""
        global acked, again, gap_s, phase_s
        began = time.monotonic()
        while time.monotonic() < END:
            try:
                status, text = self.ask(method, path, body)
            except (OSError, http.client.HTTPException):
                status, text = 0, b""
            if 200 <= status < 300:
                with lock:
                    acked += 1
                    gap_s = max(gap_s, time.monotonic() - began)
                    phase_s = max(phase_s, time.monotonic() - began)
                return True
            if 400 <= status < 500:
                wrong.append(f"{method} {path}: {status} {text[:100]!r}")
                return False
            with lock:
                again += 1
            time.sleep(0.05)
        return False


def stopped():
    return os.path.exists("/tmp/stop") or time.monotonic() > END


def writer(name, pause_s, send):
    """send(client, name, i): one acknowledged thing after the other; how many there are is kept in counts."""
    client, i = Client(), 0
    while not stopped() and send(client, name, i):
        i += 1
        counts[name] = i
        time.sleep(pause_s)


def value(name, i):
    return f"{name} {i} ".encode() * 20


def content(name, i):
    return hashlib.sha256(f"{name} {i}".encode()).digest() * (1 + 700 * (i % 8))


def send_value(client, name, i):
    return client.must("PUT", f"/kv/namespaces/load/values/{name}-{i:06}", value(name, i))


def send_counter(client, name, i):
    return client.must("PUT", f"/kv/namespaces/load/values/counter-{name}", str(i).encode())


def send_message(client, name, i):
    return client.must("POST", "/queue/load/messages", json.dumps({"message": f"{name} {i}"}))


def send_object(client, name, i):
    return client.must("PUT", f"/objects/private/load/{name}/{i}", content(name, i))


def check_values(client):
    for name, count in counts.items():
        for i in range(count if name[0] == "v" else 0):
            status, body = client.ask("GET", f"/kv/namespaces/load/values/{name}-{i:06}")
            if status != 200 or body != value(name, i):
                wrong.append(f"value {name}-{i}: {status} {body[:40]!r}")
        if name[0] == "c":
            status, body = client.ask("GET", f"/kv/namespaces/load/values/counter-{name}")
            # The one after the last that was acknowledged may have arrived as well.
            if status != 200 or int(body) not in (count - 1, count):
                wrong.append(f"counter {name}: {status} {body!r}, acknowledged {count - 1}")


def check_objects(client):
    for name, count in counts.items():
        for i in range(count if name[0] == "o" else 0):
            status, body = client.ask("GET", f"/objects/private/load/{name}/{i}")
            if status != 200 or body != content(name, i):
                wrong.append(f"object {name}/{i}: {status}, {len(body)} bytes")


def check_messages(client):
    """Each sender's messages in its order, once each: what was sent again is dropped as a duplicate."""
    next_of = {name: 0 for name in counts if name[0] == "m"}
    while True:
        status, body = client.ask("GET", "/queue/load/messages")
        messages = json.loads(body) if status == 200 else wrong.append(f"receive: {status}")
        if not messages:
            break
        name, i = messages[0]["message"].split()
        if int(i) != next_of[name]:
            wrong.append(f"message {name} {i} where {next_of[name]} was expected")
        next_of[name] = int(i) + 1
    for name, n in next_of.items():
        if n not in (counts[name], counts[name] + 1):
            wrong.append(f"messages of {name}: {n} received, {counts[name]} acknowledged")


senders = [("v1", 0.02, send_value), ("v2", 0.02, send_value), ("c1", 0.02, send_counter), ("m1", 0.03, send_message),
           ("m2", 0.03, send_message), ("o1", 0.05, send_object)]
counts = {name: 0 for name, _, _ in senders}
first = Client()
first.must("POST", "/kv/namespaces/load")
first.must("POST", "/queue", json.dumps({"name": "load"}))
threads = [threading.Thread(target=writer, args=sender) for sender in senders]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    with open("/tmp/progress.new", "w") as file:
        file.write(f"{acked} {phase_s:.1f}\n")
    os.rename("/tmp/progress.new", "/tmp/progress")
    if os.path.exists("/tmp/again"):
        os.remove("/tmp/again")
        phase_s = 0.0
    time.sleep(0.1)
reader = Client()  # the first one's connection has been idle for too long
check_values(reader)
check_objects(reader)
check_messages(reader)
print(json.dumps({"acked": acked, "again": again, "gap_s": round(gap_s, 1), "counts": counts, "wrong": wrong[:10]}))
sys.exit(bool(wrong))
