# SPDX-License-Identifier: Apache-2.0
"""The requests of Lepton's clients that are easily got wrong, sent byte by byte with Python's own http.client."""
import concurrent.futures
import http.client
import json
import re
import sys
import urllib.parse

from checks import check, equal, finish, group

PORT = int(sys.argv[1])
SIDECAR = sys.argv[2:] == ["sidecar"]  # it sends a token of its own, whatever token comes
WRITE, READ, OTHER = "lepton-write-token-0001", "lepton-read-token-00002", "lepton-other-token-0003"
EXPIRED = "lepton-expired-token-04"
V1, V2 = "/api/v1", "/api/v2/workspaces/ws1"


def call(method, target, body=None, token=WRITE, headers=None, chunked=False):
    """Sends the target as it stands. Returns status, headers (lower case), body."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    connection.putrequest(method, target, skip_accept_encoding=True, skip_host="Host" in (headers or {}))
    sent = dict(headers or {})
    if token:
        sent.setdefault("Authorization", f"Bearer {token}")
    if chunked:
        sent["Transfer-Encoding"] = "chunked"
    elif body is not None or method in ("POST", "PUT", "DELETE"):
        sent["Content-Length"] = str(len(body or b""))
    for name, value in sent.items():
        connection.putheader(name, value)
    connection.endheaders()
    if chunked:
        if body:
            connection.send(b"%x\r\n%s\r\n" % (len(body), body))
        connection.send(b"0\r\n\r\n")
    elif body:
        connection.send(body)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer.status, {k.lower(): v for k, v in answer.getheaders()}, data


def form(value, field="value", filename="value"):
    body = b"--xyz\r\nContent-Disposition: form-data; name=\"%s\"; %s\r\n\r\n%s\r\n--xyz--\r\n" % (
        field.encode(), filename if isinstance(filename, bytes) else b'filename="%s"' % filename.encode(), value)
    return body, {"Content-Type": "multipart/form-data; boundary=xyz"}


def put_key(target, value):
    body, headers = form(value)
    return call("POST", target, body, headers=headers)[0]


def keys_and_values():
    ns = f"{V1}/kv/namespaces/golden"
    equal("namespace is made", call("POST", ns)[0], 201)
    equal("making it again is no failure", call("POST", ns)[0], 200)
    equal("an empty value is stored", put_key(f"{ns}/values/empty", b""), 200)
    equal("and read as 200 with nothing", call("GET", f"{ns}/values/empty")[::2], (200, b""))
    odd = ["a/b", "a//b", "/lead", "c?d", "q?x=1&y=2", "p%2541", "sp%20ace", "%C3%A9"]
    for number, key in enumerate(odd):
        value = str(number).encode()
        equal(f"key {key} is stored", put_key(f"{ns}/values/{key}", value), 200)
        equal(f"key {key} is read", call("GET", f"{ns}/values/{key}")[::2], (200, value))
    listed = json.loads(call("GET", f"{ns}/keys?limit=0&cursor=0")[2])
    equal("keys are decoded once", sorted(listed["keys"]), sorted([urllib.parse.unquote(k) for k in odd] + ["empty"]))
    body, headers = form(b"v")
    status = call("POST", f"{V1}/kv/namespaces/x", body, headers=headers)[0]
    check("a key ../../x makes no namespace", status in (400, 413), f"status {status}")
    equal("indeed none", [n["name"] for n in json.loads(call("GET", f"{V1}/kv/namespaces")[2])], ["golden"])
    equal("an empty key is refused", put_key(f"{ns}/values/", b"v"), 400)
    big = urllib.parse.quote("\U0001F600" * 256)
    equal("a key of 256 astral characters is stored", put_key(f"{ns}/values/{big}", b"big"), 200)
    equal("and read", call("GET", f"{ns}/values/{big}")[::2], (200, b"big"))
    equal("removing what is not there succeeds", call("DELETE", f"{ns}/values/none")[0], 204)
    status, _, data = call("GET", f"{ns}/values/none")
    equal("an absent key is 404", status, 404)
    check("with code and message", set(json.loads(data)) == {"code", "message"}, data)
    equal("so is an absent namespace", call("GET", f"{V1}/kv/namespaces/absent/values/k")[0], 404)
    status, _, data = call("PUT", f"{ns}/values/large", b"x" * (256 * 1024 + 1))
    check("a value over 256 KiB is 413 with the limit", status == 413 and b"262144" in data, (status, data))
    equal("one of 256 KiB is stored", call("PUT", f"{ns}/values/large", b"x" * (256 * 1024))[0], 200)


def paging():
    ns = f"{V1}/kv/namespaces/paging"
    call("POST", ns)
    for number in range(10):
        put_key(f"{ns}/values/key-{number}", b"v")
    put_key(f"{ns}/values/other", b"v")
    first = json.loads(call("GET", f"{ns}/keys?limit=5&prefix=key-")[2])
    equal("the first page is exact", first["keys"], [f"key-{n}" for n in range(5)])
    check("its cursor is an integer", isinstance(first["cursor"], int), first)
    second = json.loads(call("GET", f"{ns}/keys?limit=5&prefix=key-&cursor={first['cursor']}")[2])
    equal("the second page is exact", second["keys"], [f"key-{n}" for n in range(5, 10)])
    equal("and the last", second["cursor"], None)
    everything = json.loads(call("GET", f"{ns}/keys?cursor=0&limit=0&prefix=key-")[2])
    equal("limit 0 gives all", (len(everything["keys"]), everything["cursor"]), (10, None))
    equal("a cursor of nobody is refused", call("GET", f"{ns}/keys?cursor=12345678901")[0], 400)


def versions_and_lifetimes():
    ns = f"{V1}/kv/namespaces/cas"
    call("POST", ns)
    status, headers, _ = call("PUT", f"{ns}/values/k", b"1", headers={"If-None-Match": "*"})
    equal("a new key is made", status, 200)
    tag = headers["etag"]
    equal("but once", call("PUT", f"{ns}/values/k", b"2", headers={"If-None-Match": "*"})[0], 412)
    equal("the known version is replaced", call("PUT", f"{ns}/values/k", b"2", headers={"If-Match": tag})[0], 200)
    equal("but once", call("PUT", f"{ns}/values/k", b"3", headers={"If-Match": tag})[0], 412)
    tag = call("GET", f"{ns}/values/k")[1]["etag"]
    equal("a known version is not sent", call("GET", f"{ns}/values/k", headers={"If-None-Match": tag})[::2], (304, b""))
    batch = {"changes": [{"op": "put", "key": "a", "value": "1"}, {"op": "check", "key": "k", "if_version": 1}]}
    equal("a batch whose check fails is refused", call("POST", f"{ns}/batch", json.dumps(batch).encode())[0], 412)
    equal("as a whole", call("GET", f"{ns}/values/a")[0], 404)
    batch["changes"][1]["if_version"] = int(tag.strip('"'))
    equal("else it is done", call("POST", f"{ns}/batch", json.dumps(batch).encode())[0], 200)
    events = json.loads(call("GET", f"{ns}/watch?since=0")[2])
    equal("the watch tells how each key stands, in order", [e["key"] for e in events["events"]], ["k", "a"])
    equal("and nothing that is known", json.loads(call("GET", f"{ns}/watch?since={events['version']}")[2])["events"], [])
    status, headers, _ = call("PUT", f"{ns}/values/brief", b"1", headers={"Stowage-TTL": "1000"})
    check("a lifetime is told", "stowage-expires-ms" in call("GET", f"{ns}/values/brief")[1])
    equal("a lifetime that is none is refused",
          call("PUT", f"{ns}/values/brief", b"1", headers={"Stowage-TTL": "x"})[0], 400)


def events():
    ns = f"{V1}/kv/namespaces/events"
    call("POST", ns)
    call("PUT", f"{ns}/values/before", b"1")
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=20)
    connection.request("GET", f"{ns}/watch?since=0",
                       headers={"Accept": "text/event-stream", "Authorization": f"Bearer {WRITE}"})
    answer = connection.getresponse()
    equal("events are a stream", answer.getheader("Content-Type"), "text/event-stream")

    def next_event():
        lines = []
        while True:
            line = answer.readline().decode().rstrip("\n")
            if not line and any(part.startswith("data") for part in lines):
                return dict(part.split(": ", 1) for part in lines)
            lines = lines + [line] if line else []  # a comment, or an id alone, is no event
    equal("the stream begins with what was", json.loads(next_event()["data"])["key"], "before")
    call("PUT", f"{ns}/values/after", b"2")
    event = next_event()
    equal("and goes on with what comes", json.loads(event["data"])["value"], "2")
    connection.close()


def send(queue, message, **more):
    status, _, data = call("POST", f"{V1}/queue/{queue}/messages", json.dumps({"message": message, **more}).encode())
    return status, json.loads(data)


def queues():
    base = f"{V1}/queue"
    equal("a queue is made", call("POST", base, b'{"name":"golden"}')[0], 201)
    equal("making it again is no failure", call("POST", base, b'{"name":"golden"}')[0], 200)
    equal("an empty queue gives a list of nothing", call("GET", f"{base}/golden/messages")[::2], (200, b"[]"))
    for message in ("one", "two", "three"):
        send("golden", message)
    equal("an equal message within five minutes is dropped", send("golden", "two")[1]["duplicate"], True)
    equal("the length is exact", json.loads(call("GET", f"{base}/golden/length")[2])["length"], 3)
    got = []
    for _ in range(3):
        _, headers, data = call("GET", f"{base}/golden/messages")
        got += [item["message"] for item in json.loads(data)]
    equal("in order, one each", got, ["one", "two", "three"])
    equal("never kept by a cache", headers["cache-control"], "no-store")
    equal("also after it was received", send("golden", "two")[1]["duplicate"], True)
    equal("HEAD takes nothing", call("HEAD", f"{base}/golden/messages")[0], 405)
    astral = "\U0001F600" * (256 * 1024)
    equal("256 Ki astral characters are a message", send("golden", astral)[0], 200)
    equal("and come back", json.loads(call("GET", f"{base}/golden/messages")[2])[0]["message"] == astral, True)
    equal("one more is too large", send("golden", astral + "a")[0], 413)
    status, _, data = call("POST", f"{base}/golden/messages", b'{"message":"\\ud800"}')
    check("a lone surrogate is refused with a reason", status == 400 and b"Unicode" in data, (status, data))
    equal("a NUL is a character", (send("golden", "a\0b")[0],
                                   json.loads(call("GET", f"{base}/golden/messages")[2])[0]["message"]), (200, "a\0b"))
    for number in range(60):
        send("golden", f"m{number}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: json.loads(call("GET", f"{base}/golden/messages")[2]), range(80)))
    messages = [a[0]["message"] for a in answers if a]
    equal("concurrent receivers share no message", sorted(messages), sorted(f"m{n}" for n in range(60)))
    equal("an absent queue is 404", call("DELETE", f"{base}/absent")[0], 404)


def leases():
    base = f"{V1}/queue/leases"
    call("PUT", base, b'{"visibility":600}')
    messages = {"messages": [{"message": f"m{n}"} for n in range(3)]}
    equal("a batch is sent", call("POST", f"{base}/batch", json.dumps(messages).encode())[0], 200)
    equal("looking takes nothing", len(json.loads(call("GET", f"{base}/peek?max=10")[2])), 3)
    leased = json.loads(call("POST", f"{base}/receive", b'{"max":2}')[2])
    equal("two are leased", [m["message"] for m in leased], ["m0", "m1"])
    ack = json.dumps({"receipts": [leased[0]["receipt"]]}).encode()
    equal("one is done", json.loads(call("POST", f"{base}/ack", ack)[2]), {"settled": 1, "lost": []})
    nack = json.dumps({"receipts": [leased[1]["receipt"]]}).encode()
    equal("one is given back", json.loads(call("POST", f"{base}/nack", nack)[2])["settled"], 1)
    again = json.loads(call("POST", f"{base}/receive", b'{"max":10}')[2])
    equal("and comes first again", [(m["message"], m["receives"]) for m in again], [("m1", 2), ("m2", 1)])
    extend = json.dumps({"receipts": [leased[1]["receipt"]], "visibility": 60}).encode()
    equal("an old receipt extends nothing", json.loads(call("POST", f"{base}/extend", extend)[2])["settled"], 0)
    equal("purge tells how many", json.loads(call("POST", f"{base}/purge")[2])["removed"], 2)


def presigned(method, key, bucket="private", base=V1):
    status, headers, data = call(method, f"{base}/object_storage/{bucket}_presigned/{key}")
    location = headers.get("location", "")
    return status, location, json.loads(data).get("url"), urllib.parse.urlsplit(location)


def target(parts):
    return f"{parts.path}?{parts.query}"


def objects():
    status, location, url, parts = presigned("PUT", "dir/file.txt")
    equal("an empty PUT is redirected by 307", status, 307)
    equal("with the URL also as JSON", url, location)
    equal("nothing was stored by it", call("GET", f"{V1}/objects/private/dir/file.txt")[0], 404)
    equal("the URL takes the object without a token", call("PUT", target(parts), b"hello", token=None)[0], 200)
    get = presigned("GET", "dir/file.txt")
    equal("a GET is redirected", get[0], 307)
    equal("to the bytes", call("GET", target(get[3]), token=None)[::2], (200, b"hello"))
    equal("token and signature together are accepted", call("GET", target(get[3]), token=WRITE)[::2], (200, b"hello"))
    equal("an empty chunked PUT is stored",
          call("PUT", f"{V1}/object_storage/private_presigned/none", b"", chunked=True)[0], 200)
    equal("as an empty object", call("GET", f"{V1}/objects/private/none")[::2], (200, b""))
    equal("an empty chunked PUT to a URL too",
          call("PUT", target(presigned("PUT", "none2")[3]), b"", token=None, chunked=True)[0], 200)
    equal("a PUT with a body is stored", call("PUT", f"{V1}/object_storage/private_presigned/body", b"bytes")[0], 200)
    missing = presigned("GET", "missing")
    equal("a missing object has a URL", missing[0], 307)
    equal("that leads to 404", call("GET", target(missing[3]), token=None)[0], 404)
    listed = [json.loads(call("GET", f"{V1}/object_storage/private{end}")[2]) for end in ("", "/", "/?prefix=")]
    equal("lists with and without a slash", [o["key"] for o in listed[0]["items"]],
          ["body", "dir/file.txt", "none", "none2"])
    check("are the same", listed[0] == listed[1] == listed[2], listed)
    some = json.loads(call("GET", f"{V1}/object_storage/private/?prefix=none")[2])
    equal("with a prefix", [o["key"] for o in some["items"]], ["none", "none2"])
    check("with integers", all(isinstance(o["size"], int) and isinstance(o["last_modified"], int)
                               for o in listed[0]["items"]))
    equal("removing", call("DELETE", f"{V1}/object_storage/private/body")[0], 204)
    equal("what is not there, too", call("DELETE", f"{V1}/object_storage/private/body")[0], 204)
    equal("a key with a leading slash", call("PUT", f"{V1}/object_storage/private_presigned//abs/x", b"1")[0], 200)
    equal("keeps it", call("GET", f"{V1}/objects/private//abs/x")[::2], (200, b"1"))
    call("PUT", f"{V1}/object_storage/public_presigned/pub%20%C3%A9", b"public")
    status, headers, _ = call("GET", f"{V1}/object_storage/public/pub%20%C3%A9")
    equal("a public object is redirected", status, 307)
    parts = urllib.parse.urlsplit(headers["location"])
    check("to a URL without signature", not parts.query, headers["location"])
    equal("that everybody reads", call("GET", parts.path, token=None)[::2], (200, b"public"))
    if not SIDECAR:
        equal("but whose list needs a token", call("GET", f"{V2}/objects/public/", token=None)[0], 401)


def ranges():
    body = bytes(range(256)) * 1024
    path = f"{V1}/objects/private/ranged"
    status, headers, _ = call("PUT", path, body, headers={"Content-Type": "text/x-test"})
    tag = headers["etag"]
    status, headers, data = call("GET", path, headers={"Range": "bytes=1000-1999"})
    equal("a range", (status, data, headers["content-range"]), (206, body[1000:2000], f"bytes 1000-1999/{len(body)}"))
    equal("its type", headers["content-type"], "text/x-test")
    equal("the end", call("GET", path, headers={"Range": "bytes=-10"})[::2], (206, body[-10:]))
    equal("from", call("GET", path, headers={"Range": "bytes=262000-"})[::2], (206, body[262000:]))
    status, headers, _ = call("GET", path, headers={"Range": "bytes=999999-"})
    equal("beyond", (status, headers["content-range"]), (416, f"bytes */{len(body)}"))
    equal("several are the whole", call("GET", path, headers={"Range": "bytes=0-1,5-6"})[::2], (200, body))
    equal("If-Range that holds", call("GET", path, headers={"Range": "bytes=0-9", "If-Range": tag})[0], 206)
    equal("If-Range that does not", call("GET", path, headers={"Range": "bytes=0-9", "If-Range": '"x"'})[0], 200)
    equal("If-None-Match", call("GET", path, headers={"If-None-Match": tag})[::2], (304, b""))
    equal("If-Match", call("GET", path, headers={"If-Match": '"x"'})[0], 412)
    status, headers, data = call("HEAD", path)
    equal("HEAD", (status, headers["content-length"], data), (200, str(len(body)), b""))
    equal("a write of another version is refused", call("PUT", path, b"1", headers={"If-Match": '"x"'})[0], 412)
    equal("a write that must be the first, too", call("PUT", path, b"1", headers={"If-None-Match": "*"})[0], 412)
    equal("and changed nothing", call("GET", path)[2], body)


def signatures():
    call("PUT", f"{V1}/objects/private/signed", b"s")
    _, _, _, parts = presigned("GET", "signed")
    good = target(parts)
    equal("the URL is good", call("GET", good, token=None)[0], 200)
    equal("for HEAD, too", call("HEAD", good, token=None)[0], 200)
    equal("not for PUT", call("PUT", good, b"x", token=None)[0], 403)
    equal("not for another key", call("GET", good.replace("/signed?", "/other?"), token=None)[0], 403)
    equal("not for another bucket", call("GET", good.replace("/private/", "/public/"), token=None)[0], 403)
    equal("not in another workspace", call("GET", good.replace("/ws1/", "/ws2/"), token=None)[0], 403)
    equal("not for another host", call("GET", good, token=None, headers={"Host": "elsewhere"})[0], 403)
    equal("not with a longer life", call("GET", good.replace("Expires=900", "Expires=9000"), token=None)[0], 403)
    equal("not with another date",
          call("GET", re.sub(r"X-Amz-Date=\d{8}T", "X-Amz-Date=20300101T", good), token=None)[0], 403)
    equal("not when over", call("GET", re.sub(r"X-Amz-Date=\d{8}T", "X-Amz-Date=20200101T", good), token=None)[0], 403)
    last = good[-1]
    equal("not with a changed signature", call("GET", good[:-1] + ("0" if last != "0" else "1"), token=None)[0], 403)
    equal("not with a short signature", call("GET", good[:-1], token=None)[0], 403)
    equal("not with one more parameter", call("GET", good + "&x=y", token=None)[0], 403)
    equal("not with a parameter twice", call("GET", good + "&X-Amz-Expires=900", token=None)[0], 403)
    equal("not altered, even with a token", call("GET", good[:-1], token=WRITE)[0], 403)
    _, _, _, put = presigned("PUT", "signed")
    equal("one for PUT reads nothing", call("GET", target(put), token=None)[0], 403)
    equal("no list by a URL", call("GET", good.replace("/signed?", "/?"), token=None)[0], 403)


def tokens():
    for what, token, wanted in (("no token", None, 401), ("a wrong token", "wrong-token-wrong", 401),
                                ("an expired token", EXPIRED, 401), ("another workspace's token", OTHER, 403)):
        status, headers, data = call("GET", f"{V2}/workspace", token=token)
        equal(f"{what} is {wanted}", status, wanted)
        check(f"{what}: JSON", set(json.loads(data)) == {"code", "message"}, data)
    equal("a reader reads", call("GET", f"{V2}/kv/namespaces", token=READ)[0], 200)
    equal("a reader writes nothing", call("POST", f"{V2}/kv/namespaces/x", token=READ)[0], 403)
    equal("a reader takes no message", call("GET", f"{V2}/queue/golden/messages", token=READ)[0], 403)
    equal("a reader gets no URL for PUT", call("PUT", f"{V2}/object_storage/private_presigned/k", token=READ)[0], 403)
    equal("workspaces are apart", json.loads(call("GET", f"{V1}/kv/namespaces", token=OTHER)[2]), [])
    equal("in every part", json.loads(call("GET", f"{V1}/object_storage/private", token=OTHER)[2])["items"], [])
    equal("and files", json.loads(call("GET", f"{V1}/storage/default/", token=OTHER)[2]), [])
    masked = json.loads(call("GET", f"{V1}/tokens")[2])
    check("tokens are masked", all("..." in t["masked_value"] and isinstance(t["expires_at"], int) for t in masked)
          and WRITE not in json.dumps(masked), masked)
    root = json.loads(call("GET", V1)[2])
    check("the root is JSON with a name", isinstance(root.get("display_name"), str), root)
    equal("with a slash, too", call("GET", V1 + "/")[0], 200)
    equal("and with two", call("GET", V1 + "//kv/namespaces")[0], 200)
    for _ in range(2):
        equal("the administrator's work is not for a workspace's token", call("POST", "/admin/backup/b")[0], 401)


def files():
    base = f"{V1}/storage/default"
    equal("the root is there", call("HEAD", f"{base}/")[0], 200)
    equal("a directory is made", call("PUT", f"{base}/dir/sub")[0], 201)
    body, headers = form(b"data", "file", b"filename=\"x\"; filename*=utf-8''%C3%A9.txt")
    equal("a file is uploaded under the URL's name", call("POST", f"{base}/dir/%C3%A9.txt", body, headers=headers)[0], 201)
    equal("and read", call("GET", f"{base}/dir/%C3%A9.txt")[::2], (200, b"data"))
    equal("listed", [(e["type"], e["name"]) for e in json.loads(call("GET", f"{base}/dir")[2])],
          [("dir", "sub"), ("file", "é.txt")])
    body, headers = form(b"longer data", "file")
    equal("replaced", call("POST", f"{base}/dir/%C3%A9.txt", body, headers=headers)[0], 201)
    equal("whole", call("GET", f"{base}/dir/%C3%A9.txt")[2], b"longer data")
    equal("a form without the part leaves it", call("POST", f"{base}/dir/%C3%A9.txt", *form(b"x", "other")[:1],
                                                    headers=headers)[0], 400)
    equal("as it was", call("GET", f"{base}/dir/%C3%A9.txt")[2], b"longer data")
    equal("what is not there is 404", call("HEAD", f"{base}/none")[0], 404)
    equal("a full directory stays", call("DELETE", f"{base}/dir")[0], 409)
    equal("unless all goes", call("DELETE", f"{base}/dir?removeall=true")[0], 204)
    for path in ("", "/", "//", "/?removeall=true", "/%2F?removeall=true"):
        status = call("DELETE", f"{base}{path}")[0]
        check(f"the root {path} is never removed", status in (400, 404, 405), status)
    equal("the root is there still", call("HEAD", f"{base}/")[0], 200)
    for path in ("/../outside/secret", "/%2e%2e/outside/secret", "/..%2foutside%2fsecret", "/%2e%2e%2foutside/secret",
                 "/a/../../outside/secret", "/way-out/secret", "/way-up", "/way-out", "/%2e", "/x%00y", "/..", "/%c0%ae%c0%ae/x",
                 "/proc", "/%2fetc%2fpasswd", "/dir/%2e%2e%2f%2e%2e%2foutside"):
        for method, extra in (("GET", ""), ("HEAD", ""), ("PUT", "/new"), ("POST", "/new")):
            body, headers = form(b"x", "file") if method == "POST" else (None, {})
            status, _, data = call(method, base + path + extra, body, headers=headers)
            inside = path in ("/proc", "/%2fetc%2fpasswd") # a plain name inside
            check(f"{method} {path} does not lead out", (inside or status in (400, 403, 404)) and b"classified" not in data,
                  (status, data))
    for path in ("/way-out/secret", "/../outside/secret", "/%2e%2e/outside?removeall=true"):
        check(f"DELETE {path} does not lead out", call("DELETE", base + path)[0] in (400, 403, 404))
    equal("a link itself can be removed", call("DELETE", f"{base}/way-out?removeall=true")[0], 204)
    if not SIDECAR:
        equal("another workspace's files are elsewhere", call("GET", f"{V1}/storage/default/", token=OTHER)[::2], (200, b"[]"))


def own_token():
    for what, token in (("no token", None), ("a wrong token", "wrong-token-wrong"), ("another workspace's token", OTHER)):
        equal(f"{what} serves as well", call("GET", f"{V2}/workspace", token=token)[0], 200)
    equal("another workspace stays closed", call("GET", "/api/v2/workspaces/ws2/workspace", token=OTHER)[0], 403)
    equal("the administrator's work is not passed on", call("POST", "/admin/backup/b")[0], 404)


for part in (keys_and_values, paging, versions_and_lifetimes, events, queues, leases, objects, ranges, signatures,
             own_token if SIDECAR else tokens, files):
    group(part)
finish()
