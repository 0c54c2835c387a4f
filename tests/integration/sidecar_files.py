# SPDX-License-Identifier: Apache-2.0
"""Keys as files, by a store and a sidecar as processes. usage: sidecar_files.py SIDECAR FOLDER"""
import http.client
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

SIDECAR, FOLDER = sys.argv[1], sys.argv[2]
TOKEN = "writer-token-0001"
DIR, EXTRA = os.path.join(FOLDER, "files"), os.path.join(FOLDER, "extra")
running = []


def must_be(what, holds):
    if not holds:
        raise SystemExit(f"BROKEN: {what}")


def until(what, holds, seconds=15):
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"BROKEN: {what}: not within {seconds} s; there is {tree()}")
        time.sleep(0.002)


def path(name):
    return os.path.join(FOLDER, name)


class Process:
    def __init__(self, name, *flags):
        self.name, self.flags, self.process, self.port = name, flags, None, 0
        self.start()

    def start(self):
        with open(path(self.name + ".log"), "ab") as log:
            begin = log.tell()
            self.process = subprocess.Popen([SIDECAR, "--log-format", "json", *self.flags], stderr=log)
        running.append(self.process)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            found = re.search(r'"event":"started".*"port":(\d+)', self.log()[begin:])
            if found:
                self.port = int(found.group(1))
                return
            time.sleep(0.005)
        raise SystemExit(f"{self.name} did not start:\n{self.log()[-2000:]}")

    def log(self):
        with open(path(self.name + ".log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(20)
        must_be(f"{self.name} ended with {code}", code == (0 if how == signal.SIGTERM else -how))


def ask(port, method, target, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, target, body, {"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, data


def kv(method, target, body=None):
    """At the store itself, so that the sidecar knows of it by the watch only."""
    status, data = ask(store.port, method, f"/api/v1/kv/namespaces/{target}", body)
    must_be(f"{method} {target} answered {status} {data}", status < 300)
    return data


def batch(ns, **values):
    kv("POST", f"{ns}/batch", json.dumps({"changes": [{"op": "put", "key": k, "value": v} for k, v in values.items()]}))


def content(name, folder=None):
    try:
        with open(os.path.join(folder or DIR, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def tree(folder=None):
    """All visible files with what is in them."""
    folder = folder or DIR
    return {name: content(name, folder) for name in os.listdir(folder) if not name.startswith("..")}


def versions(folder=None):
    return [name for name in os.listdir(folder or DIR) if re.match(r"\.\.\d", name)]


def metric(name, ns="settings"):
    found = re.search(rf'^{name}{{namespace="{ns}"}} (\S+)$', ask(sidecar.port, "GET", "/metrics")[1].decode(), re.M)
    return float(found.group(1)) if found else None


def ready():
    status, body = ask(sidecar.port, "GET", "/readyz")
    return status == 200, body.decode()


class Told(http.server.BaseHTTPRequestHandler):
    """The program that is to be told; it answers as `answers` says, and 204 then."""
    answers, notices = [], []

    def do_POST(self):  # pylint: disable=invalid-name
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = Told.answers.pop(0) if Told.answers else 204
        if code == 204:
            Told.notices.append((self.path, body))
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


# ---- cases, one after the other --------------------------------------------------------------------------------------------


def begins():
    until("it says that the namespace is missing", lambda: re.search("'settings' does not exist", ready()[1]))
    must_be("and is not ready", not ready()[0])
    until("the optional one is an empty directory", lambda: os.path.isdir(os.path.join(EXTRA, "..data")) and tree(EXTRA) == {})
    probe = subprocess.run([SIDECAR, "--engine", "remote", "--probe", "--listen", f"127.0.0.1:{sidecar.port}"],
                           stderr=subprocess.PIPE, check=False)
    must_be("so does the probe", probe.returncode == 1 and b"does not exist" in probe.stderr)
    kv("POST", "settings")
    until("an empty namespace is an empty directory", lambda: ready()[0])
    must_be("empty", tree() == {} and os.path.islink(os.path.join(DIR, "..data")))
    must_be("nobody is told of the first files", not Told.notices)


def follows():
    values = {"a": b"1", "b.yaml": b"x: 1\n", "zero": b"", "bytes": bytes(range(256)) * 40}
    for key, value in values.items():
        kv("PUT", f"settings/values/{key}", value)
    until("all of them", lambda: tree() == values)
    must_be("as a ConfigMap's volume", os.readlink(os.path.join(DIR, "a")) == "..data/a" and
            re.match(r"\.\.\d{4}(_\d\d){5}\.\d+$", os.readlink(os.path.join(DIR, "..data"))))
    must_be("modes", os.stat(os.path.join(DIR, "a")).st_mode & 0o7777 == 0o644 and
            os.stat(os.path.join(DIR, "..data", "")).st_mode & 0o7777 == 0o755)
    kept = os.stat(os.path.join(DIR, "bytes")).st_ino
    kv("PUT", "settings/values/a", b"2")
    until("a new value", lambda: content("a") == b"2")
    must_be("what did not change was not written again", os.stat(os.path.join(DIR, "bytes")).st_ino == kept)
    kv("DELETE", "settings/values/zero")
    until("a key that went", lambda: "zero" not in tree())
    until("no version but the last stays", lambda: len(versions()) == 1)


def escapes():
    names = {"x%2Fy": "x%2Fy", "%2E%2E": "%2E.", "..data": "%2E.data", "100%25": "100%25", "%C3%A4%20": "%C3%A4%20", "%FF%01": "%FF%01"}
    for key, name in names.items():
        kv("PUT", f"settings/values/{key}", name.encode())
    long = "k" * 256
    kv("PUT", f"settings/values/{long}", b"never seen")
    until("keys that are no names", lambda: all(content(name) == name.encode() for name in names.values()))
    until("the long one is counted", lambda: metric("stowage_projection_skipped_keys") == 1)
    must_be("and told of", sidecar.log().count("too long to be names of files") == 1)
    must_be("and not there", not any("kkk" in name for name in os.listdir(DIR)))
    for key in [*names, long]:
        kv("DELETE", f"settings/values/{key}")
    until("gone again", lambda: sorted(tree()) == ["a", "b.yaml", "bytes"] and metric("stowage_projection_skipped_keys") == 0)


def one_version():
    """Two keys that are written together are read together, and no file is ever missing."""
    batch("settings", left="0", right="0")
    until("both", lambda: content("right") == b"0")
    over, wrong, count = threading.Event(), [], [0]

    def read():
        while not over.is_set():
            held = os.open(os.path.join(DIR, "..data"), os.O_RDONLY | os.O_DIRECTORY)
            pair = []
            for name in ("left", "right"):
                try:
                    file = os.open(name, os.O_RDONLY, dir_fd=held)
                    pair.append(os.read(file, 16))
                    os.close(file)
                except FileNotFoundError:
                    pair.append(None)
            os.close(held)
            plain = content("left")
            if pair[0] != pair[1] or None in pair or not plain:
                wrong.append((pair, plain))
            count[0] += 1

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(1, 201):
        batch("settings", left=str(number), right=str(number))
    until("the last one", lambda: content("right") == b"200")
    over.set()
    for reader in readers:
        reader.join()
    must_be(f"{len(wrong)} of {count[0]} reads were wrong: {wrong[:3]}", not wrong and count[0] > 200)
    must_be("several at once are one version", metric("stowage_projection_updates_total") < 250)


def for_readers_only():
    def others():
        os.setgid(65534)
        os.setuid(65534)
    if os.getuid() == 0:
        must_be("others read", subprocess.run(["cat", os.path.join(DIR, "left")], preexec_fn=others, check=False,
                                              stdout=subprocess.DEVNULL).returncode == 0)
        must_be("and do not write", subprocess.run(["sh", "-c", f"echo x >{DIR}/left || touch {DIR}/new || touch {DIR}/..data/new"],
                                                   preexec_fn=others, check=False, stderr=subprocess.DEVNULL).returncode != 0)


def tells():
    until("what was told so far is over", lambda: Told.notices and Told.notices[-1][1]["version"] == version())
    Told.notices.clear()
    Told.answers[:] = [500, 503]
    batch("settings", told="1", left="x")
    until("the program is told, though it failed twice", lambda: Told.notices)
    where, body = Told.notices[-1]
    must_be(f"where and what: {where} {body}", where == "/-/reload" and body["namespace"] == "settings" and
            body["version"] == version() and sorted(body["changed"]) == ["left", "told"])
    kv("PUT", "settings/values/told", b"1")
    kv("PUT", "settings/values/right", b"last")
    until("of the next change", lambda: Told.notices[-1][1]["version"] == version())
    must_be(f"not of what is as it was: {Told.notices}", "told" not in Told.notices[-1][1]["changed"] or len(Told.notices) == 2)


def version():
    return json.loads(kv("GET", "settings"))["version"]


def sidecar_restarts():
    before, kept = tree(), os.stat(os.path.join(DIR, "bytes")).st_ino
    sidecar.stop(signal.SIGKILL)
    os.symlink("nowhere", os.path.join(DIR, "..data_tmp"))  # as if it had been killed in the middle
    os.mkdir(os.path.join(DIR, "..2020_01_01_00_00_00.1"))
    must_be("files stay without it", tree() == before)
    kv("PUT", "settings/values/a", b"meanwhile")
    kv("DELETE", "settings/values/told")
    Told.notices.clear()
    sidecar.start()
    must_be("ready at once, there are files", ready()[0])
    until("it catches up", lambda: content("a") == b"meanwhile" and "told" not in tree())
    until("and cleans up", lambda: len(versions()) == 1 and not os.path.lexists(os.path.join(DIR, "..data_tmp")))
    must_be("what did not change was not written again", os.stat(os.path.join(DIR, "bytes")).st_ino == kept)
    until("the program is told", lambda: Told.notices)
    must_be("that anything may have changed", Told.notices[-1][1]["changed"] is None)


def store_restarts():
    before = tree()
    store.stop(signal.SIGKILL)
    until("it notices", lambda: metric("stowage_projection_watching") == 0)
    must_be("files stay", tree() == before)
    store.start()
    kv("PUT", "settings/values/a", b"again")
    until("it goes on", lambda: content("a") == b"again")
    store.stop()
    store.start()
    kv("PUT", "settings/values/a", b"and again")
    until("after a stop in good order as well", lambda: content("a") == b"and again")


def store_freezes():
    store.process.send_signal(signal.SIGSTOP)
    try:
        must_be("files are read while the store is frozen", content("a") == b"and again")
        must_be("the sidecar lives", ask(sidecar.port, "GET", "/healthz")[0] == 200)
    finally:
        store.process.send_signal(signal.SIGCONT)
    kv("PUT", "settings/values/a", b"thawed")
    until("then it goes on", lambda: content("a") == b"thawed")


def too_large():
    before = tree()
    kv("PUT", "settings/values/large", b"x" * 60000)
    until("it is told of by a metric", lambda: metric("stowage_projection_over_limit") == 1)
    must_be("files stay", tree() == before)
    kv("PUT", "settings/values/a", b"unseen")
    kv("PUT", "settings/values/large", b"x" * 30000)
    until("with less it goes on", lambda: content("a") == b"unseen" and len(content("large")) == 30000)
    must_be("which it says once", len(re.findall(r'"level":"warning"[^\n]*the limit is 65536', sidecar.log())) == 1)
    until("over", lambda: metric("stowage_projection_over_limit") == 0)


def made_anew():
    before = tree()
    kv("DELETE", "settings")
    until("it notices", lambda: "does not exist" in sidecar.log().splitlines()[-1])
    must_be("files stay", tree() == before)
    kv("POST", "settings")
    until("a new one of that name is followed", lambda: tree() == {})
    kv("PUT", "settings/values/fresh", b"1")
    until("further", lambda: tree() == {"fresh": b"1"})
    kv("POST", "extra")
    kv("PUT", "extra/values/a", b"1")
    until("so is the optional one, when it is there", lambda: tree(EXTRA) == {"a": b"1"})


def thousands():
    changes = [{"op": "put", "key": f"key-{n}", "value": "v"} for n in range(2000)]
    kv("POST", "settings/batch", json.dumps({"changes": changes[:1000]}))
    kv("POST", "settings/batch", json.dumps({"changes": changes[1000:]}))
    until("all of them", lambda: len(os.listdir(os.path.join(DIR, "..data"))) == 2001)
    kv("PUT", "settings/values/key-1234", b"changed")
    until("one of them changes", lambda: content("key-1234") == b"changed")
    until("and is told", lambda: Told.notices[-1][1]["changed"] == ["key-1234"])


with open(path("tokens"), "w", encoding="ascii") as tokens:
    tokens.write(f"{TOKEN} default write\n")
with open(path("token"), "w", encoding="ascii") as token:
    token.write(TOKEN)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)
threading.Thread(target=server.serve_forever, daemon=True).start()
try:
    store = Process("store", "--data-dir", path("data"), "--tokens", path("tokens"), "--listen", f"unix:{path('sock')}", "--listen", "127.0.0.1:0")
    sidecar = Process("sidecar", "--engine", "remote", "--store-url", f"unix:{path('sock')}", "--token-file", path("token"), "--listen",
                      "127.0.0.1:0", "--project", f"settings={DIR}", "--project", f"extra={EXTRA}:optional", "--project-max-bytes", "64Ki",
                      "--project-notify", f"http://127.0.0.1:{server.server_port}/-/reload")
    for case in (begins, follows, escapes, one_version, for_readers_only, tells, sidecar_restarts, store_restarts, store_freezes, too_large,
                 made_anew, thousands):
        begun = time.monotonic()
        case()
        print(f"{case.__name__}: ok in {time.monotonic() - begun:.2f} s", flush=True)
    sidecar.stop()
    store.stop()
finally:
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()
