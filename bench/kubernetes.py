# SPDX-License-Identifier: Apache-2.0
"""Times what Kubernetes does with Stowage's volumes, as its users see it: through the API server's watch.

usage: kubernetes.py --class CLASS --image IMAGE --namespace NAMESPACE --driver-namespace NS [--rounds N] [--claims N]

Needs KUBECONFIG with an administrator's client certificate. Prints "kubernetes.figure value unit". Each claim and pod is
made when the one before it is done, so that a figure is a latency and no queue; the pods with a volume and those with an
emptyDir take turns, so that both meet the same machine.
"""
import argparse
import base64
import http.client
import json
import os
import queue
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

LIMIT_S = 180  # for one claim or pod to get where it should
CLAIMS_LIMIT_S = 600  # for all claims of the burst


class Api:
    """The API server, one connection a request: what a request costs is no part of a figure."""

    def __init__(self):
        config = json.loads(subprocess.check_output(["kubectl", "config", "view", "--raw", "--minify", "-o", "json"]))
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        self.host = urllib.parse.urlsplit(cluster["server"]).netloc
        self.tls = ssl.create_default_context(cadata=text(cluster, "certificate-authority"))
        with tempfile.NamedTemporaryFile("w") as pair:
            pair.write(text(user, "client-certificate") + "\n" + text(user, "client-key"))
            pair.flush()
            self.tls.load_cert_chain(pair.name)

    def open(self, method, path, body=None, timeout=30):
        connection = http.client.HTTPSConnection(self.host, context=self.tls, timeout=timeout)
        connection.request(method, path, body=json.dumps(body) if body else None,
                           headers={"Content-Type": "application/json"})
        response = connection.getresponse()
        if response.status >= 300:
            raise SystemExit(f"{method} {path}: {response.status} {response.read().decode(errors='replace')}")
        return response

    def call(self, method, path, body=None):
        return json.load(self.open(method, path, body))


def text(section, key):
    """A field of a kubeconfig that is there as data or as a file's name."""
    if key + "-data" in section:
        return base64.b64decode(section[key + "-data"]).decode()
    with open(section[key], encoding="ascii") as file:
        return file.read()


class Watch(threading.Thread):
    """Puts (name, seconds on the monotonic clock) into `seen` at the first event in which `done` holds of an object."""

    def __init__(self, api, path, done):
        super().__init__(daemon=True)
        self.done = done
        self.seen = queue.Queue()
        self.names = set()
        version = api.call("GET", path)["metadata"]["resourceVersion"]
        self.events = api.open("GET", f"{path}?watch=1&resourceVersion={version}", timeout=CLAIMS_LIMIT_S)
        self.start()

    def run(self):
        for line in self.events:
            now = time.monotonic()
            event = json.loads(line)
            name = event["object"].get("metadata", {}).get("name")
            if event["type"] == "MODIFIED" and name not in self.names and self.done(event["object"]):
                self.names.add(name)
                self.seen.put((name, now))

    def wait_for(self, name):
        try:
            got, when = self.seen.get(timeout=LIMIT_S)
        except queue.Empty:
            raise SystemExit(f"{name} did not get there within {LIMIT_S} s") from None
        if got != name:
            raise SystemExit(f"waited for {name}, but {got} came")
        return when


def is_bound(claim):
    return claim.get("status", {}).get("phase") == "Bound"


def is_running(pod):
    states = pod.get("status", {}).get("containerStatuses", [])
    return bool(states) and all("running" in each.get("state", {}) for each in states)


def claim(name, storage_class):
    return {
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteMany"], "storageClassName": storage_class,
                 "resources": {"requests": {"storage": "1Gi"}}},
    }


def pod(name, image, volume):
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 0,
            "volumes": [{"name": "data", **volume}],
            "containers": [{"name": "main", "image": image, "imagePullPolicy": "Never",
                            "command": ["sh", "-c", "trap exit TERM; while :; do sleep 1; done"],
                            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}],
        },
    }


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def figures(name, seconds):
    print(f"kubernetes.{name}_p50 {percentile(seconds, 0.5) * 1e3:.0f} ms")
    print(f"kubernetes.{name}_p99 {percentile(seconds, 0.99) * 1e3:.0f} ms", flush=True)


def memory(api, namespace, when):
    """Each container's working set (what `kubectl top` shows), the largest over its pods."""
    largest = {}
    for node in api.call("GET", "/api/v1/nodes")["items"]:
        stats = api.call("GET", f"/api/v1/nodes/{node['metadata']['name']}/proxy/stats/summary")
        for each in stats["pods"]:
            if each["podRef"]["namespace"] != namespace:
                continue
            pod_kind = each["podRef"]["name"].split("-")[1]
            for container in each.get("containers", []):
                key = f"{pod_kind}_{container['name'].removeprefix('stowage-').replace('-', '_')}"
                used = container.get("memory", {}).get("workingSetBytes", 0)
                largest[key] = max(largest.get(key, 0), used)
    for key, used in sorted(largest.items()):
        print(f"kubernetes.memory_{when}_{key} {used / 2**20:.1f} MiB")
    sys.stdout.flush()


def progress(what):
    print(f"kubernetes: {what}", file=sys.stderr, flush=True)


class Bench:
    def __init__(self, options):
        self.api = Api()
        self.options = options
        self.pods = f"/api/v1/namespaces/{options.namespace}/pods"
        self.claims = f"/api/v1/namespaces/{options.namespace}/persistentvolumeclaims"

    def bind(self):
        watch = Watch(self.api, self.claims, is_bound)
        took = []
        for number in range(self.options.rounds):
            name = f"bench-{number}"
            started = time.monotonic()
            self.api.call("POST", self.claims, claim(name, self.options.storage_class))
            took.append(watch.wait_for(name) - started)
        figures("claim_bound", took)

    def run(self):
        watch = Watch(self.api, self.pods, is_running)
        took = {"volume": [], "empty": []}
        for number in range(self.options.rounds):
            volumes = {"volume": {"persistentVolumeClaim": {"claimName": f"bench-{number}"}},
                       "empty": {"emptyDir": {}}}
            for kind in sorted(volumes, reverse=number % 2 == 1):
                name = f"{kind}-{number}"
                started = time.monotonic()
                self.api.call("POST", self.pods, pod(name, self.options.image, volumes[kind]))
                took[kind].append(watch.wait_for(name) - started)
                self.api.call("DELETE", f"{self.pods}/{name}", {"gracePeriodSeconds": 0})
            if number % 20 == 19:
                progress(f"{number + 1} of {self.options.rounds} pairs of pods ran")
        figures("pod_running_volume", took["volume"])
        figures("pod_running_empty", took["empty"])
        ratio = percentile(took["volume"], 0.5) / percentile(took["empty"], 0.5)
        print(f"kubernetes.pod_running_ratio {ratio:.2f} times")

    def burst(self):
        watch = Watch(self.api, self.claims, is_bound)
        started = time.monotonic()
        for number in range(self.options.claims):
            self.api.call("POST", self.claims, claim(f"burst-{number}", self.options.storage_class))
        until = started + CLAIMS_LIMIT_S
        for _ in range(self.options.claims):
            try:
                _, last = watch.seen.get(timeout=max(0.1, until - time.monotonic()))
            except queue.Empty:
                raise SystemExit(f"not all {self.options.claims} claims are bound") from None
        print(f"kubernetes.claims_{self.options.claims}_bound {last - started:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--class", dest="storage_class", required=True)
    parser.add_argument("--image", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--driver-namespace", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--claims", type=int, default=500)
    options = parser.parse_args()
    if not os.environ.get("KUBECONFIG"):
        parser.error("KUBECONFIG is not set")
    bench = Bench(options)
    memory(bench.api, options.driver_namespace, "idle")
    progress(f"{options.rounds} claims, one after the other")
    bench.bind()
    progress(f"{options.rounds} pods with a volume and as many with an emptyDir, in turns")
    bench.run()
    progress(f"{options.claims} claims at once")
    bench.burst()
    memory(bench.api, options.driver_namespace, f"after_{options.claims}_claims")


main()
