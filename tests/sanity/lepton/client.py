# SPDX-License-Identifier: Apache-2.0
"""The SDK and the command of leptonai, as installed, against a running stowage-sidecar."""
import io
import os
import re
import subprocess
import sys
import tempfile
import traceback

PORT, HOME = sys.argv[1], sys.argv[2]
SIDECAR = sys.argv[3:] == ["sidecar"]  # it has written the record itself, and takes any token
TOKEN = "stowage-local" if SIDECAR else "lepton-client-token-9"
BASE = f"http://127.0.0.1:{PORT}/api/v1"

# What an injector puts into a pod: the record, and no look for a newer client.
if not SIDECAR:
    os.makedirs(HOME, exist_ok=True)
    with open(os.path.join(HOME, "workspace_info.yaml"), "w") as record:
        record.write(f"workspaces:\n  lep: {{id: lep, url: '{BASE}', display_name: d, auth_token: {TOKEN}}}\n"
                     "current_workspace: lep\n")
    with open(os.path.join(HOME, "latest_version_check"), "w") as stamp:
        stamp.write("9999999999")
ENVIRONMENT = {"LEPTON_CACHE_DIR": HOME, "LEPTON_WORKSPACE_ID": "lep", "LEPTON_WORKSPACE_TOKEN": TOKEN,
               "LEPTON_WORKSPACE_URL": BASE, "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
               "COLUMNS": "1000"}
os.environ.update(ENVIRONMENT)

import requests  # noqa: E402
from checks import check, equal, finish, group, raises  # noqa: E402
from leptonai import KV, Queue  # noqa: E402
from leptonai.objectstore import ObjectStore, PrivateObjectStore, PublicObjectStore  # noqa: E402
from leptonai.queue import Empty  # noqa: E402


def kv():
    name = "sdk-kv"
    store = KV(name, create_if_not_exists=True)
    check("KV is ready", store.ready())
    check("KV.list_kv", name in KV.list_kv(), KV.list_kv())
    raises("KV error_if_exists", ValueError, lambda: KV(name, create_if_not_exists=False, error_if_exists=True))
    raises("KV that is not there", ValueError, lambda: KV(name + "2", create_if_not_exists=False))
    raises("KV.get of an absent key", KeyError, lambda: store.get("absent"))
    store.put("bytes", b"\x00\xff value")
    equal("KV bytes", store.get("bytes"), b"\x00\xff value")
    store.put("text", "é\U0001F600")
    equal("KV text", store.get("text"), "é\U0001F600".encode())
    store.put("empty", "")
    equal("KV empty value", store.get("empty"), b"")
    store["item"] = "1"
    equal("KV[]", store["item"], b"1")
    del store["item"]
    raises("KV del", KeyError, lambda: store["item"])
    for key in ("a b/c", "é", "x//y", "/lead", "k" * 256, "\U0001F600" * 256):
        store.put(key, b"v")
        equal(f"KV key {key[:10]!r}", store.get(key), b"v")
        store.delete(key)
    store.put("big", b"x" * (256 * 1024))
    equal("KV 256 KiB", len(store.get("big")), 256 * 1024)
    raises("KV too large", ValueError, lambda: store.put("big", b"x" * (256 * 1024 + 1)))
    for key in ("bytes", "text", "empty", "big"):
        store.delete(key)
    store.delete("never was")
    for number in range(10):
        store.put(f"key-{number}", b"v")
    equal("KV.keys", store.keys().keys, [f"key-{n}" for n in range(10)])
    first = store.keys(limit=5)
    check("KV.keys limit", first.keys == [f"key-{n}" for n in range(5)] and first.cursor, first)
    second = store.keys(cursor=first.cursor, limit=5)
    check("KV.keys next page", second.keys == [f"key-{n}" for n in range(5, 10)] and second.cursor is None, second)
    equal("KV.keys prefix", store.keys(prefix="key-1").keys, ["key-1"])
    equal("KV.get_kv", KV.get_kv(name).get("key-3"), b"v")
    KV.delete_kv(store)
    check("KV.delete_kv", name not in KV.list_kv())


def queue():
    name = "sdk-queue"
    line = Queue(name, create_if_not_exists=True)
    check("Queue is ready", line.ready())
    check("Queue.list_queue", name in Queue.list_queue(), Queue.list_queue())
    raises("Queue error_if_exists", ValueError, lambda: Queue(name, create_if_not_exists=False, error_if_exists=True))
    raises("Queue that is not there", ValueError, lambda: Queue(name + "2", create_if_not_exists=False))
    raises("Queue.receive of nothing", Empty, line.receive)
    for number in (1, 2, 3):
        line.send(f"message_{number}")
    line.send("message_2")
    equal("Queue.length", line.length(), 3)
    equal("Queue order", [line.receive() for _ in range(3)], ["message_1", "message_2", "message_3"])
    text = "é\U0001F600\n\"quoted\"" * 10
    line.send(text)
    equal("Queue text", line.receive(), text)
    line.send("x" * (256 * 1024))
    equal("Queue 256 Ki characters", len(line.receive()), 256 * 1024)
    equal("Queue.get_queue", Queue.get_queue(name).length(), 0)
    Queue.delete_queue(line)
    check("Queue.delete_queue", name not in Queue.list_queue())


def object_store(kind, name):
    store = kind()
    body = os.urandom(1 << 20)
    url = store.put("dir/file.bin", io.BytesIO(body))
    equal(f"{name}.put gives a URL for everybody", requests.get(url, timeout=20).content, body)
    with store.get("dir/file.bin") as file:
        equal(f"{name}.get", file.read(), body)
    store.put("empty", io.BytesIO(b""))
    with store.get("empty") as file:
        equal(f"{name} empty object", file.read(), b"")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"from a path")
        file.flush()
        store.put("sp ace é", file.name)
    with store.get("sp ace é") as file:
        equal(f"{name} key with space and é", file.read(), b"from a path")
    store.put("empty", io.BytesIO(b"no more"))
    with store.get("empty") as file:
        equal(f"{name} overwritten", file.read(), b"no more")
    equal(f"{name}.list_objects", [o["key"] for o in store.list_objects()], ["dir/file.bin", "empty", "sp ace é"])
    equal(f"{name}.list_objects prefix", [(o["key"], o["size"]) for o in store.list_objects(prefix="dir/")],
          [("dir/file.bin", 1 << 20)])
    missing = store.get("missing", return_url=True)
    equal(f"{name} URL of what is missing", requests.get(missing, timeout=20).status_code, 404)
    raises(f"{name}.get of what is missing", RuntimeError, lambda: store.get("missing"))
    store.delete("missing")
    for key in ("dir/file.bin", "empty", "sp ace é"):
        store.delete(key)
    equal(f"{name}.delete", store.list_objects(), [])


def object_stores():
    object_store(PrivateObjectStore, "PrivateObjectStore")
    object_store(PublicObjectStore, "PublicObjectStore")
    check("ObjectStore()", isinstance(ObjectStore("private"), PrivateObjectStore))


# ---- the command ----

def lep_by_fork(arguments):
    """What the script `lep` does, in a child that has leptonai loaded already: loading it takes seconds."""
    from leptonai.cli import lep as main
    output = tempfile.TemporaryFile()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            null = os.open(os.devnull, os.O_RDONLY)
            for source, target in ((null, 0), (output.fileno(), 1), (output.fileno(), 2)):
                os.dup2(source, target)
            sys.argv = ["lep", *arguments]
            try:
                code = main()
            except SystemExit as end:
                code = end.code
            except BaseException:  # noqa: BLE001
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code if isinstance(code, int) else 0 if code is None else 1)
    _, status = os.waitpid(child, 0)
    output.seek(0)
    return os.waitstatus_to_exitcode(status), output.read().decode(errors="replace")


def lep(*arguments, home=HOME):
    if home == HOME:
        return lep_by_fork(arguments)
    command = [os.path.join(os.path.dirname(sys.executable), "lep"), *arguments]
    done = subprocess.run(command, env={**os.environ, "LEPTON_CACHE_DIR": home}, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=100)
    return done.returncode, done.stdout


def says(what, wanted, *arguments, fails=False, **more):
    code, output = lep(*arguments, **more)
    check(what, (code != 0) == fails and wanted in output, f"exit {code}: {output[-600:]}")


def lep_kv():
    says("lep kv create", "cli-kv", "kv", "create", "-n", "cli-kv")
    says("lep kv list", "cli-kv", "kv", "list")
    says("lep kv list --pattern", "cli-kv", "kv", "list", "--pattern", "cli.*")
    says("lep kv putkey", "Successfully put", "kv", "putkey", "-n", "cli-kv", "-k", "a/b", "-v", "value é")
    says("lep kv getkey", "value \\xc3\\xa9", "kv", "getkey", "-n", "cli-kv", "-k", "a/b")
    says("lep kv deletekey", "Successfully deleted", "kv", "deletekey", "-n", "cli-kv", "-k", "a/b")
    says("lep kv getkey of what is gone", "", "kv", "getkey", "-n", "cli-kv", "-k", "a/b", fails=True)
    says("lep kv remove", "Successfully deleted", "kv", "remove", "-n", "cli-kv")
    check("lep kv list without it", "cli-kv" not in lep("kv", "list")[1])


def lep_queue():
    says("lep queue create", "cli-queue", "queue", "create", "-n", "cli-queue")
    says("lep queue send", "Successfully sent", "queue", "send", "-n", "cli-queue", "-m", "hello é")
    says("lep queue list tells the length", "1", "queue", "list", "--pattern", "cli.*")
    says("lep queue receive", "hello é", "queue", "receive", "-n", "cli-queue")
    says("lep queue receive of nothing", "is empty", "queue", "receive", "-n", "cli-queue")
    says("lep queue remove", "cli-queue", "queue", "remove", "-n", "cli-queue")
    check("lep queue list without it", "cli-queue" not in lep("queue", "list")[1])


def lep_objectstore():
    for flags in ([], ["--public"]):
        where = " ".join(["lep objectstore", *flags])
        path, empty, got = (os.path.join(HOME, f) for f in ("object.txt", "empty.txt", "got.txt"))
        with open(path, "w") as file:
            file.write("object text\n")
        with open(empty, "w"):
            pass
        says(f"{where} put", "Successfully uploaded", "objectstore", "put", "-k", "d/o", "-f", path, *flags)
        says(f"{where} put of nothing", "Successfully uploaded", "objectstore", "put", "-k", "e", "-f", empty, *flags)
        says(f"{where} put without key", "Successfully uploaded", "objectstore", "put", "-f", path, *flags)
        says(f"{where} list", "d/o", "objectstore", "list", *flags)
        check(f"{where} list --prefix", "d/o" not in lep("objectstore", "list", "-p", "e", *flags)[1])
        says(f"{where} cat", "object text", "objectstore", "cat", "-k", "d/o", *flags)
        lep("objectstore", "get", "-k", "d/o", "-f", got, *flags)
        with open(got) as file:
            equal(f"{where} get", file.read(), "object text\n")
        os.unlink(got)
        code, output = lep("objectstore", "get", "-k", "d/o", "-u", *flags)
        url = re.search(r"http\S+", output)
        equal(f"{where} get --return-url", requests.get(url[0], timeout=20).text, "object text\n")
        for key in ("d/o", "e", path):
            says(f"{where} delete {os.path.basename(key)}", "Successfully deleted", "objectstore", "delete", "-k", key, *flags)
        says(f"{where} list of nothing", "No objects", "objectstore", "list", *flags)


def lep_storage():
    local, got = os.path.join(HOME, "local.bin"), os.path.join(HOME, "got.bin")
    body = os.urandom(3 << 20)
    with open(local, "wb") as file:
        file.write(body)
    says("lep storage mkdir", "Created directory", "storage", "mkdir", "/cli/sub")
    says("lep storage upload", "Uploaded file", "storage", "upload", local, "/cli/file.bin")
    says("lep storage ls", "file.bin", "storage", "ls", "/cli")
    says("lep storage ls of the root", "cli", "storage", "ls", "/")
    says("lep storage download", "Downloaded file", "storage", "download", "/cli/file.bin", got)
    with open(got, "rb") as file:
        check("lep storage download: every byte", file.read() == body)
    says("lep storage du", "Total disk usage", "storage", "du")
    says("lep storage ls-file-system", "default", "storage", "ls-file-system")
    says("lep storage rmdir of what is full", "", "storage", "rmdir", "/cli", fails=True)
    says("lep storage rm of a directory", "directory", "storage", "rm", "/cli/sub", fails=True)
    says("lep storage rm /", "", "storage", "rm", "/", fails=True)
    says("the files are there still", "file.bin", "storage", "ls", "/cli")
    says("lep storage rm", "Deleted", "storage", "rm", "/cli/file.bin")
    says("lep storage rm of what is gone", "", "storage", "rm", "/cli/file.bin", fails=True)
    says("lep storage rmdir", "Deleted", "storage", "rmdir", "/cli/sub")
    says("lep storage mkdir again", "Created", "storage", "mkdir", "/cli/deep/er")
    says("lep storage rmdir --recursive", "Deleted", "storage", "rmdir", "/cli", "--recursive")
    check("lep storage ls without it", "cli" not in lep("storage", "ls", "/")[1])


def lep_login():
    home = HOME + "-login"
    os.makedirs(home, exist_ok=True)
    with open(os.path.join(home, "latest_version_check"), "w") as file:
        file.write("9999999999")
    bare = {name: "" for name in ("LEPTON_WORKSPACE_ID", "LEPTON_WORKSPACE_TOKEN", "LEPTON_WORKSPACE_URL")}
    for name in bare:
        os.environ.pop(name, None)
    code, output = lep("login", "-c", f"lep:{TOKEN}", "-u", BASE, home=home)
    check("lep login", code == 0 and "lep" in output, f"exit {code}: {output[-600:]}")
    says("lep workspace id", "lep", "workspace", "id", home=home)
    says("lep workspace token", TOKEN, "workspace", "token", home=home)
    says("lep workspace url", BASE, "workspace", "url", home=home)
    says("lep workspace list", "lep", "workspace", "list", home=home)
    says("lep workspace status", "lep", "workspace", "status", home=home)
    says("lep after login", "", "kv", "list", home=home)
    code, output = lep("workspace", "login", "-i", "lep", "-t", TOKEN, "--workspace-url",
                       BASE.replace("/api/v1", "/api/v2/workspaces/lep"), home=home)
    check("lep workspace login below /api/v2", code == 0, f"exit {code}: {output[-600:]}")
    says("lep below /api/v2", "", "queue", "list", home=home)
    code, output = lep("login", "-c", f"lep:{TOKEN}", "-u", BASE.replace("v1", "v2/workspaces/ws2"), home=home)
    check("lep login to another's workspace fails", code != 0, f"exit {code}: {output[-600:]}")
    says("lep workspace remove", "", "workspace", "remove", "-i", "lep", home=home)
    check("lep workspace list without it", TOKEN not in lep("workspace", "list", home=home)[1])
    says("lep logout --purge", "", "logout", "--purge", home=home)
    os.environ.update(ENVIRONMENT)


for part in (kv, queue, object_stores, lep_kv, lep_queue, lep_objectstore, lep_storage, lep_login):
    group(part)
finish()
