# SPDX-License-Identifier: Apache-2.0
"""A store and sidecars in front of it, as processes. usage: sidecar.py SIDECAR FOLDER"""
import hashlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse

SIDECAR, FOLDER = sys.argv[1], sys.argv[2]
WRITER, NEXT, READER, OTHER = ("writer-token-0001", "writer-token-0002", "reader-token-0003", "other-token-00004")
MIB = 1 << 20
running = []


def must_be(what, holds):
    if not holds:
        raise SystemExit(f"BROKEN: {what}")


def path(name):
    return os.path.join(FOLDER, name)


def write(name, text):
    with open(path(name + ".new"), "w", encoding="ascii") as file:
        file.write(text)
    os.rename(path(name + ".new"), path(name))


class Process:
    def __init__(self, name, *flags):
        self.name, self.flags, self.process, self.port = name, flags, None, 0
        self.start()

    def start(self):
        with open(path(self.name + ".log"), "wb") as log:
            self.process = subprocess.Popen([SIDECAR, "--log-format", "json", *self.flags], stderr=log)
        running.append(self.process)
        until = time.monotonic() + 20
        while time.monotonic() < until and self.process.poll() is None:
            with open(path(self.name + ".log"), encoding="utf-8") as log:
                found = re.search(r'"event":"started".*"port":(\d+)', log.read())
            if found:
                self.port = int(found.group(1))
                return
            time.sleep(0.01)
        with open(path(self.name + ".log"), encoding="utf-8") as log:
            raise SystemExit(f"{self.name} did not start:\n{log.read()[-2000:]}")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(20)
        must_be(f"{self.name} ended with {code}", code == (0 if how == signal.SIGTERM else -how))

    def peak_mib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) / 1024


def ask(port, method, target, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, target, body, headers or {}, encode_chunked="Transfer-Encoding" in (headers or {}))
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data, answer.headers


def ok(*arguments, **more):
    status, data, headers = ask(*arguments, **more)
    must_be(f"{arguments[1:3]}: {status} {data[:200]}", 200 <= status < 300)
    return data, headers


def until(what, holds, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        must_be(f"in time: {what}", time.monotonic() < end)
        time.sleep(0.02)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def tokens(store):
    write("token", WRITER)
    sidecar = Process("tokens", *remote(store), "--token-file", path("token"), "--write-sdk-files", path("sdk"), "--workspace", "a")
    ok(sidecar.port, "POST", "/api/v1/kv/namespaces/n", headers={"Authorization": "Bearer whatever"})
    status, data, _ = ask(sidecar.port, "GET", "/api/v2/workspaces/b/kv/namespaces", headers={"Authorization": "Bearer " + OTHER})
    must_be(f"another workspace: {status} {data}", status == 403)
    write("token", READER)
    put = lambda: ask(sidecar.port, "PUT", "/api/v1/kv/namespaces/n/values/k", b"v")[0]
    until("the renewed token is sent", lambda: put() == 403)
    write("token", NEXT)
    until("and the next one", lambda: put() == 200)
    os.unlink(path("token"))
    time.sleep(1.5)
    must_be("without the file the last one is sent", put() == 200)
    with open(path("sdk/workspace_info.yaml"), encoding="ascii") as file:
        must_be("the SDK's record", f"url: 'http://127.0.0.1:{sidecar.port}/api/v1'" in file.read())
    with open(path("tokens.log"), encoding="utf-8") as log:
        must_be("no token in the log", "token-000" not in log.read())
    sidecar.stop()
    write("token", WRITER)


def links(sidecar, public):
    key = "/api/v1/object_storage/private_presigned/dir/link"
    for port, host in ((sidecar.port, None), (public.port, "store.example.com")):
        status, _, headers = ask(port, "PUT", key, headers={"Content-Length": "0"})
        url = urllib.parse.urlsplit(headers["Location"])
        must_be(f"an upload goes through the sidecar: {status} {url}", status == 307 and url.netloc == f"127.0.0.1:{port}" and url.scheme == "http")
        ok(port, "PUT", f"{url.path}?{url.query}", b"by link")
        status, _, headers = ask(port, "GET", key)
        url = urllib.parse.urlsplit(headers["Location"])
        must_be(f"a link to read: {url}", url.netloc == (host or f"127.0.0.1:{port}"))
        if host:
            continue
        must_be("is good", ok(port, "GET", f"{url.path}?{url.query}")[0] == b"by link")
        status = ask(port, "GET", f"{url.path}?{url.query}".replace("dir/link", "dir/other"))[0]
        must_be(f"the pod's token does not help a signature that is wrong: {status}", status == 403)


def streams(sidecar):
    before = sidecar.peak_mib()
    piece = os.urandom(MIB)
    sent = hashlib.md5()

    def pieces():
        for _ in range(200):
            sent.update(piece)
            yield piece
    ok(sidecar.port, "PUT", "/api/v1/objects/private/large", pieces(), {"Transfer-Encoding": "chunked"})
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=20)
    connection.request("GET", "/api/v1/objects/private/large")
    answer, got = connection.getresponse(), hashlib.md5()
    must_be("the length is told", answer.headers["Content-Length"] == str(200 * MIB))
    while data := answer.read(MIB):
        got.update(data)
    connection.close()
    must_be("200 MiB came back", got.digest() == sent.digest())
    with open(SIDECAR + "-remote", "rb") as program:
        sanitized = b"__asan_" in program.read()  # it keeps what is freed
    must_be(f"nothing was buffered: {sidecar.peak_mib() - before:.1f} MiB more", sanitized or sidecar.peak_mib() - before < 4)
    part = ok(sidecar.port, "GET", "/api/v1/objects/private/large", headers={"Range": f"bytes={MIB - 1}-{MIB}"})[0]
    must_be("a range", part == piece[-1:] + piece[:1])


def waits(sidecar):
    """What waits for long goes through, and a receiver that left takes nothing along."""
    ok(sidecar.port, "POST", "/api/v1/queue", json.dumps({"name": "q"}))
    connection = http.client.HTTPConnection("127.0.0.1", sidecar.port, timeout=20)
    connection.request("GET", "/api/v1/queue/q/messages?wait=30")
    time.sleep(0.2)
    connection.close()
    time.sleep(0.2)
    ok(sidecar.port, "POST", "/api/v1/queue/q/messages", json.dumps({"message": "kept"}))
    must_be("the message is there still", json.loads(ok(sidecar.port, "GET", "/api/v1/queue/q/messages")[0])[0]["message"] == "kept")
    connection.request("GET", "/api/v1/kv/namespaces/n/watch?since=now&heartbeat=1", headers={"Accept": "text/event-stream"})
    answer = connection.getresponse()
    must_be("a stream begins at once", answer.readline().startswith(b":"))
    ok(sidecar.port, "PUT", "/api/v1/kv/namespaces/n/values/watched", b"now")
    lines = [answer.readline() for _ in range(6)]
    must_be(f"and tells of changes: {lines}", any(b'"watched"' in line for line in lines))
    connection.close()


def away(store, sidecar):
    store.stop(signal.SIGKILL)
    status, data, headers = ask(sidecar.port, "PUT", "/api/v1/kv/namespaces/n/values/k", b"v")
    must_be(f"a store that is away: {status} {data}", status == 503 and headers["Retry-After"] and
            json.loads(data)["code"] == "store_unreachable" and f":{store.port}" in json.loads(data)["message"])
    probe = [SIDECAR, "--engine", "remote", "--probe", "--listen", f"127.0.0.1:{sidecar.port}"]
    must_be("the probe says so", subprocess.run(probe, stderr=subprocess.DEVNULL, check=False).returncode == 1)
    must_be("the sidecar itself is healthy", ask(sidecar.port, "GET", "/healthz")[0] == 200)
    store.start()
    ok(sidecar.port, "PUT", "/api/v1/kv/namespaces/n/values/k", b"v")
    must_be("the probe is content", subprocess.run(probe, check=False).returncode == 0)


def cache(store, plain, cached):
    """plain writes, cached reads."""
    value = "/api/v1/kv/namespaces/n/values/hot%2Fkey"
    hits = lambda: ok(cached.port, "GET", value)[1]["Stowage-Cache"] == "hit"
    ok(plain.port, "PUT", value, b"0")
    until("the cache answers", hits)
    for number in range(1, 200):
        ok(plain.port, "PUT", value, b"%d" % number)
        until("the new value", lambda n=number: ok(cached.port, "GET", value)[0] == b"%d" % n, 5)
        if number % 20 == 0:
            until("the cache answers", hits)
    until("the cache answers", hits)
    for number in range(200):  # its own writes are seen at once
        ok(cached.port, "PUT", value, b"own%d" % number)
        data, headers = ok(cached.port, "GET", value)
        must_be(f"a write is read: {data}", data == b"own%d" % number and headers["ETag"])
    until("the cache answers", hits)
    for method, target, body in (("DELETE", value, None), ("POST", "/api/v1//kv/namespaces/n/batch",
                                                           json.dumps({"changes": [{"op": "put", "key": "hot/key", "value": "batch"}]}))):
        ok(cached.port, method, target, body)
        status, data, _ = ask(cached.port, "GET", value)
        must_be(f"after {method}: {status} {data}", (status, data) in ((404, data), (200, b"batch")) and (method == "POST") == (status == 200))
    ok(plain.port, "PUT", value, b"brief", {"Stowage-TTL": "1"})
    until("what ends is not kept", lambda: ask(cached.port, "GET", value)[0] == 404)
    ok(plain.port, "PUT", value, b"last")
    until("the cache answers", hits)
    store.stop(signal.SIGKILL)
    until("with its watch the cache is gone", lambda: ask(cached.port, "GET", value)[0] == 503, 10)
    store.start()
    until("and comes back", lambda: ask(cached.port, "GET", value)[0] == 200 and hits())
    tag = ok(cached.port, "GET", value)[1]["ETag"]
    must_be("conditions go to the store", ask(cached.port, "GET", value, headers={"If-None-Match": tag})[0] == 304)


def never_back(plain, cached):
    """While others write, no reader of the cache sees an older value after a newer one, and in the end all see the last."""
    value, stop, faults, counts = "/api/v1/kv/namespaces/n/values/race", threading.Event(), [], {"reads": 0, "hits": 0}
    ok(plain.port, "PUT", value, b"0")

    def read():
        connection, last = http.client.HTTPConnection("127.0.0.1", cached.port, timeout=20), 0
        while not stop.is_set():
            connection.request("GET", value)
            answer = connection.getresponse()
            now = int(answer.read())
            counts["reads"] += 1
            counts["hits"] += answer.headers["Stowage-Cache"] == "hit"
            if now < last:
                faults.append((last, now))
            last = now
    readers = [threading.Thread(target=read) for _ in range(3)]
    for each in readers:
        each.start()
    for number in range(1, 400):
        ok(plain.port, "PUT", value, b"%d" % number)
        time.sleep(0.004 if number % 3 else 0)
    until("the last value", lambda: ok(cached.port, "GET", value)[0] == b"399", 5)
    stop.set()
    for each in readers:
        each.join()
    must_be(f"a reader went back: {faults[:5]}", not faults)
    must_be(f"the cache took part: {counts}", counts["hits"] > 50)


def remote(store, scheme="http"):
    return ("--engine", "remote", "--store-url", f"{scheme}://127.0.0.1:{store.port}", "--listen", "127.0.0.1:0")


def main():
    write("tokens", f"{WRITER} a write\n{NEXT} a write\n{READER} a read\n{OTHER} b write\n")
    at = ("--data-dir", path("data"), "--tokens", path("tokens"), "--listen", f"127.0.0.1:{free_port()}")
    store = Process("store", *at)
    tokens(store)
    mine = ("--token-file", path("token"))
    plain, cached = Process("plain", *remote(store), *mine), Process("cached", *remote(store), *mine, "--cache", "1Mi")
    secure = Process("secure", "--data-dir", path("secure"), "--tokens", path("tokens"), "--listen", "127.0.0.1:0", "--tls-cert", path("cert.pem"),
                     "--tls-key", path("key.pem"), "--public-url", "https://store.example.com")
    over_tls = Process("over-tls", *remote(secure, "https"), *mine, "--store-ca", path("cert.pem"))
    wrong = Process("wrong", *remote(secure, "https"), *mine)
    ok(over_tls.port, "POST", "/api/v1/kv/namespaces/n")
    status, data, _ = ask(wrong.port, "GET", "/api/v1/kv/namespaces")
    must_be(f"a certificate that nobody knows: {status} {data}", status == 503)
    for what in (lambda: links(plain, over_tls), lambda: streams(plain), lambda: streams(over_tls), lambda: waits(plain), lambda: waits(over_tls),
                 lambda: cache(store, plain, cached), lambda: never_back(plain, cached), lambda: away(store, plain)):
        what()
    for each in (over_tls, wrong, secure, cached, plain, store):
        each.stop()
    print("tokens, links, streams, waits, cache and a store that was away: as promised")


try:
    main()
finally:
    for each in running:
        if each.poll() is None:
            each.kill()
            each.wait()
