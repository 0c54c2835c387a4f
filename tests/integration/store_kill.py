# SPDX-License-Identifier: Apache-2.0
"""Kills stowage-sidecar with SIGKILL at random moments under load, starts it again, and looks for what it had promised.

usage: store_kill.py SIDECAR FOLDER ROUNDS [SEED] [--through]

--through: the clients speak to a stowage-sidecar --engine remote, which lives on while the store behind it dies; half of the ends are
graceful then. What it says was not sent must not have been done, and every client goes on by itself when the store is back.

Every client owns its keys and knows what was acknowledged (a 2xx), and the one request that was under way when the server died, of which
either outcome is right. After each start:
  - a key has the acknowledged value or that of the request under way, whole; keys written together are of one write;
  - an object has the acknowledged bytes or those of the request under way, every one of them;
  - a message that is sent again within the window of duplicates is known as a duplicate.
Messages are consumed all the while, on leases and destructively. At the end the queues are drained:
  - every acknowledged message was received or is still there, in the order in which its sender sent it;
  - none is there that was acked or taken; none was taken twice.
"""
import base64
import hashlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time

THROUGH = "--through" in sys.argv
if THROUGH:
    sys.argv.remove("--through")
SIDECAR, FOLDER, ROUNDS = sys.argv[1], sys.argv[2], int(sys.argv[3])
SEED = int(sys.argv[4]) if len(sys.argv) > 4 else random.SystemRandom().randrange(1 << 32)
START_S = 20
VISIBILITY_S = 1
ABSENT = None


class Down(Exception):
    """The server is gone: whether it carried the request out is not known."""


class NotSent(Down):
    """Nothing was carried out, says who should know."""


class Process:
    """A stowage-sidecar; `start` waits until it listens, and sets its port."""

    def __init__(self, name):
        self.process, self.port, self.log = None, 0, os.path.join(FOLDER, name)

    def start(self, *flags):
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([SIDECAR, "--log-format", "json", *flags], stderr=log)
        until = time.monotonic() + START_S
        while time.monotonic() < until and self.process.poll() is None:
            with open(self.log, encoding="utf-8") as log:
                found = re.search(r'"event":"started".*"port":(\d+)', log.read())
            if found:
                self.port = int(found.group(1))
                return
            time.sleep(0.01)
        with open(self.log, encoding="utf-8") as log:
            raise SystemExit(f"the server did not start:\n{log.read()[-2000:]}")

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait()


class Server(Process):
    """The store, and where its clients find it."""

    def __init__(self):
        super().__init__("log")
        self.at, self.sidecar = "127.0.0.1:0", None
        if THROUGH:
            with socket.create_server(("127.0.0.1", 0)) as free:  # the same at every start
                self.at = f"127.0.0.1:{free.getsockname()[1]}"

    def start(self):
        super().start("--data-dir", os.path.join(FOLDER, "data"), "--listen", self.at)
        if THROUGH and not self.sidecar:
            self.sidecar = Process("sidecar.log")
            self.sidecar.start("--engine", "remote", "--store-url", f"http://{self.at}", "--listen", "127.0.0.1:0",
                               "--token-file", os.path.join(FOLDER, "data", "token"))
        self.client_port = self.sidecar.port if self.sidecar else self.port

    def kill(self):
        self.end(signal.SIGKILL)


class Client:
    """One connection; made again after every start."""

    def __init__(self, server):
        self.server, self.connection = server, None
        with open(os.path.join(FOLDER, "data", "token"), encoding="ascii") as file:
            self.token = file.read().split()[0]

    def ask(self, method, path, body=None, headers=None):
        try:
            if not self.connection:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.server.client_port, timeout=30)
            self.connection.request(method, "/api/v1" + path, body, {"Authorization": "Bearer " + self.token, **(headers or {})})
            response = self.connection.getresponse()
            status, answer = response.status, response.read()
            if THROUGH and status in (502, 503, 504):
                code = json.loads(answer)["code"]
                must_be(f"{code} without Retry-After", status != 503 or response.headers["Retry-After"])
                counts[code] = counts.get(code, 0) + 1
                time.sleep(0.005)
                raise (NotSent if code in ("store_unreachable", "shutting_down") else Down)(code)
            return status, answer, response.headers
        except (OSError, http.client.HTTPException) as error:
            must_be(f"the sidecar has left a client: {error!r}", not THROUGH)
            self.connection = None
            raise Down(repr(error)) from None

    def must(self, method, path, body=None, headers=None, also=()):
        status, answer, _ = self.ask(method, path, body, headers)
        if not 200 <= status < 300 and status not in also:
            raise SystemExit(f"{method} {path}: {status} {answer[:300]!r}")
        return status, answer


def must_be(what, holds):
    if not holds:
        raise SystemExit(f"BROKEN (seed {SEED}): {what}")


class Worker(threading.Thread):
    """A client that works until the server dies. What it knows outlives its threads."""

    def __init__(self, state):
        super().__init__(daemon=True)
        self.state, self.fault = state, None

    def run(self):
        try:
            while True:
                self.state.step()
        except NotSent:
            self.state.not_sent()
        except Down:
            pass
        except BaseException as error:  # noqa: BLE001 — told by the main thread
            self.fault = error


class Known:
    """Names with the acknowledged content of each, and that of the request under way, if there is one."""

    def __init__(self):
        self.acked, self.pending = {}, {}

    def change(self, contents, request):
        self.pending = contents
        if request():
            self.acked.update(contents)
            counts["acknowledged"] += 1
        self.pending = {}

    def not_sent(self):
        self.pending = {}

    def settle(self, name, found):
        wanted = [self.acked.get(name)] + ([self.pending[name]] if name in self.pending else [])
        must_be(f"{name} is {digest(found)}, wanted one of {[digest(each) for each in wanted]}", found in wanted)
        return found


def digest(content):
    return "absent" if content is ABSENT else f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:12]}"


class Keys(Known):
    """Puts, removals, conditional puts and writes of three keys at once."""

    def __init__(self, number, server, dice):
        super().__init__()
        self.number, self.client, self.dice, self.versions = number, Client(server), dice, {}

    def path(self, name):
        return f"/kv/namespaces/kill/values/{name}"

    def content(self):
        return self.dice.randbytes(self.dice.choice((10, 1000, 20000)))

    def put(self, name, content, headers=None):
        _, _, answer = self.client.ask("PUT", self.path(name), content, headers)
        self.versions[name] = answer["ETag"]
        return True

    def put_together(self, contents):
        changes = [{"op": "put", "key": name, "value_base64": base64.b64encode(content).decode()}
                   for name, content in contents.items()]
        self.client.must("POST", "/kv/namespaces/kill/batch", json.dumps({"changes": changes}))
        return True

    def step(self):
        name, what = f"k{self.number}-{self.dice.randrange(8)}", self.dice.random()
        if what < 0.5:
            self.change({name: self.content()}, lambda: self.put(name, self.pending[name]))
        elif what < 0.6 and name in self.versions and self.acked.get(name):
            self.change({name: self.content()}, lambda: self.put(name, self.pending[name], {"If-Match": self.versions[name]}))
        elif what < 0.7:
            self.change({name: ABSENT}, lambda: self.client.must("DELETE", self.path(name)) and self.versions.pop(name, True))
        else:
            content = self.content()
            self.change({f"t{self.number}-{i}": content for i in range(3)}, lambda: self.put_together(self.pending))

    def check(self):
        together = set()
        for name in set(self.acked) | set(self.pending):
            status, found, answer = self.client.ask("GET", self.path(name))
            must_be(f"{name}: {status}", status in (200, 404))
            found = found if status == 200 else ABSENT
            self.acked[name] = self.settle(name, found)
            self.versions[name] = answer["ETag"]
            if name[0] == "t":
                together.add(found)
        must_be(f"half of a write of client {self.number} is there", len(together) <= 1)
        self.pending = {}


class Objects(Known):
    def __init__(self, number, server, dice):
        super().__init__()
        self.number, self.client, self.dice = number, Client(server), dice

    def step(self):
        name = f"o{self.number}-{self.dice.randrange(6)}"
        if self.dice.random() < 0.2:
            self.change({name: ABSENT}, lambda: self.client.must("DELETE", f"/objects/private/{name}"))
            return
        content = self.dice.randbytes(self.dice.choice((100, 30000, 50000, 400000)))
        self.change({name: content}, lambda: self.client.must("PUT", f"/objects/private/{name}", content))

    def check(self):
        for name in set(self.acked) | set(self.pending):
            status, found, _ = self.client.ask("GET", f"/objects/private/{name}")
            must_be(f"object {name}: {status} {found[:200]!r}", status in (200, 404))
            self.acked[name] = self.settle(name, found if status == 200 else ABSENT)
        self.pending = {}


class Sender:
    """Sends numbered messages to one queue."""

    def __init__(self, number, queue, server):
        self.number, self.queue, self.client = number, queue, Client(server)
        self.next, self.acked, self.pending, self.unsent = 0, set(), None, None

    def text(self, sequence):
        return f"{self.number}:{sequence}"

    def send(self, sequence):
        _, answer = self.client.must("POST", f"/queue/{self.queue}/messages", json.dumps({"message": self.text(sequence)}))
        return json.loads(answer)["duplicate"]

    def step(self):
        self.pending = self.next
        self.next += 1
        must_be(f"a new message {self.pending} is told a duplicate", not self.send(self.pending))
        self.acked.add(self.pending)
        self.pending = None
        counts["acknowledged"] += 1

    def check(self):
        if self.acked:  # the window of duplicates is intact
            must_be(f"message {max(self.acked)} is forgotten", self.send(max(self.acked)))
        if self.pending is not None:  # sent again: whether new or a duplicate, now it is there once
            duplicate = self.send(self.pending)
            must_be(f"{self.text(self.pending)} had been sent, though it was said not", self.unsent != self.pending or not duplicate)
            self.acked.add(self.pending)
            self.pending = None


    def not_sent(self):
        self.unsent = self.pending


class Receiver:
    """Receives on leases and acks, or takes."""

    def not_sent(self):
        self.under_way = False

    def __init__(self, queue, take, server):
        self.queue, self.take, self.client = queue, take, Client(server)
        self.done, self.maybe, self.lost, self.last = set(), set(), 0, {}
        self.under_way = False

    def step(self):
        self.under_way = self.take
        if self.take:
            _, answer = self.client.must("GET", f"/queue/{self.queue}/messages")
        else:
            _, answer = self.client.must("POST", f"/queue/{self.queue}/receive",
                                         json.dumps({"max": 3, "visibility": VISIBILITY_S}))
        self.under_way = False
        messages = json.loads(answer)
        for message in messages:
            must_be(f"'{message['message']}' came again after it was done with", message["message"] not in self.done)
        if self.take:
            for message in messages:
                self.in_order(message["message"])
            self.done.update(message["message"] for message in messages)
        elif messages:
            self.ack(messages)
        counts["acknowledged"] += len(messages)
        if not messages:
            time.sleep(0.002)

    def in_order(self, text):
        sender, sequence = text.split(":")
        must_be(f"{text} came after {sender}:{self.last.get(sender)}", int(sequence) > self.last.get(sender, -1))
        self.last[sender] = int(sequence)

    def ack(self, messages):
        self.maybe.update(message["message"] for message in messages)
        _, answer = self.client.must("POST", f"/queue/{self.queue}/ack",
                                     json.dumps({"receipts": [message["receipt"] for message in messages]}))
        lost = set(json.loads(answer)["lost"])
        for message in messages:
            self.maybe.discard(message["message"])
            if message["receipt"] not in lost:
                self.done.add(message["message"])

    def check(self):
        self.lost += self.under_way  # the answer that carried a taken message never came
        self.under_way = False


def drain(server, queue):
    client, found, empty = Client(server), [], 0
    until = time.monotonic() + 60
    while empty < 3 and time.monotonic() < until:
        _, answer = client.must("GET", f"/queue/{queue}/messages?wait=1")
        messages = [message["message"] for message in json.loads(answer)]
        found += messages
        empty = 0 if messages else empty + 1
    return found


def check_queue(server, queue, senders, receivers):
    found = drain(server, queue)
    done = [message for each in receivers for message in each.done]
    maybe = {message for each in receivers for message in each.maybe}
    sent = {each.text(sequence) for each in senders for sequence in each.acked}
    must_be(f"{queue}: a message was done with twice", len(done) == len(set(done)))
    must_be(f"{queue}: a message is there twice", len(found) == len(set(found)))
    must_be(f"{queue}: done with, and there: {sorted(set(done) & set(found))[:5]}", not set(done) & set(found))
    must_be(f"{queue}: never sent: {sorted((set(found) | set(done)) - sent)[:5]}", set(found) | set(done) <= sent)
    missing = sent - set(done) - set(found) - maybe
    lost = sum(each.lost for each in receivers)
    must_be(f"{queue}: {len(missing)} messages are missing ({lost} answers were lost): {sorted(missing)[:5]}", len(missing) <= lost)
    for each in senders:
        mine = [int(message.split(":")[1]) for message in found if message.split(":")[0] == str(each.number)]
        must_be(f"{queue}: out of order: {mine[:20]}", mine == sorted(mine))
    return len(sent), len(found)


counts = {"acknowledged": 0}


def main():
    dice = random.Random(SEED)
    server = Server()
    server.start()
    try:
        run(dice, server)
    finally:
        for each in (server, server.sidecar):
            if each and each.process.poll() is None:
                each.end(signal.SIGKILL)


def run(dice, server):
    client = Client(server)
    client.must("POST", "/kv/namespaces/kill")
    for queue in ("leased", "taken"):
        client.must("POST", "/queue", json.dumps({"name": queue}))
    keys = [Keys(number, server, random.Random(dice.random())) for number in range(4)]
    objects = [Objects(number, server, random.Random(dice.random())) for number in range(2)]
    senders = {queue: [Sender(number, queue, server) for number in range(2)] for queue in ("leased", "taken")}
    receivers = {queue: [Receiver(queue, queue == "taken", server) for _ in range(2)] for queue in ("leased", "taken")}
    everybody = [*keys, *objects, *(each for group in (senders, receivers) for list_ in group.values() for each in list_)]
    for number in range(ROUNDS):
        workers = [Worker(each) for each in everybody]
        for each in workers:
            each.start()
        time.sleep(dice.uniform(0.02, 0.4))
        server.end(signal.SIGTERM if THROUGH and number % 2 else signal.SIGKILL)
        for each in workers:
            each.join(60)
            must_be("a client hangs", not each.is_alive())
            if each.fault:
                raise each.fault
        server.start()
        for each in everybody:
            if not THROUGH:
                each.client.connection = None
            each.check()
        if number % 20 == 19:
            print(f"  {number + 1} kills, {counts['acknowledged']} acknowledged writes", flush=True)
    time.sleep(VISIBILITY_S + 0.5)  # leases are over: everything is where it belongs
    for queue in ("leased", "taken"):
        sent, found = check_queue(server, queue, senders[queue], receivers[queue])
        print(f"  queue {queue}: {sent} messages sent, {found} still there at the end", flush=True)
    print(f"  {ROUNDS} kills, {counts['acknowledged']} acknowledged writes and receipts, nothing lost, nothing twice")
    server.process.terminate()
    must_be("a graceful stop fails", server.process.wait(20) == 0)
    if server.sidecar:
        print("  answers of the sidecar while the store was away:",
              ", ".join(f"{name} {number}" for name, number in sorted(counts.items()) if name != "acknowledged"))
        server.sidecar.process.terminate()
        must_be("a graceful stop of the sidecar fails", server.sidecar.process.wait(20) == 0)


main()
