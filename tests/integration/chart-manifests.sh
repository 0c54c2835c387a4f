#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The chart and what is made of it: helm lint, mistyped values refused by name, every option switched on renders to objects that
# are whole, no option of a program that it does not have, and manifests/ equal to the chart's defaults.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"

find_helm || skip "helm $HELM_VERSION cannot be had here: see above"
python3 -c 'import yaml' 2>/dev/null || skip "python3 has no yaml module: apt-get install python3-yaml"
chart=$ROOT/charts/stowage
work=$(mktemp -d /tmp/stowage-chart.XXXXXX)
trap 'rm -rf "$work"' EXIT

render() { "$helm" template stowage "$chart" --namespace stowage --kube-version "${KUBERNETES_VERSION#v}" "$@"; }
failed=0
fail() {
    say "FAILED: $*"
    failed=1
}

# refused TEXT ARGUMENT…: the chart does not render, and the message holds TEXT
refused() {
    local text=$1
    shift
    if render "$@" >"$work/out" 2>&1; then
        fail "accepted: $*"
    elif ! grep -qF -- "$text" "$work/out"; then
        fail "refused without naming '$text': $(tail -n 2 "$work/out")"
    fi
}

# Every switch at once. What the options have to lead to is asked below.
every_option() {
    cat >"$work/every.yaml" <<'YAML'
imagePullSecrets: [registry-key]
customLabels: {team: ai}
kubeletDir: /var/lib/k0s/kubelet
storageClasses:
  - name: filer
    default: true
    reclaimPolicy: Retain
    volumeBindingMode: WaitForFirstConsumer
    allowVolumeExpansion: false
    mountOptions: [nconnect=4]
    annotations: {note: filer}
    parameters: {server: "fd00::1", share: /exports/data, nfsPort: 2049, mountPort: 20048, nfsVersion: "3"}
volumeAttributesClasses: [{name: keep, parameters: {onDelete: retain}}]
snapshots: {enabled: true, class: {default: true, deletionPolicy: Retain}}
externalSnapshotter: {enabled: true}
nfsServer:
  enabled: true
  clusterIP: 10.96.0.50
  persistence: {hostPath: /srv/nfs}
  nodeSelector: {kubernetes.io/hostname: n1}
  from: [{ipBlock: {cidr: 10.0.0.0/16}}]
controller: {shares: ["other/exports"], origins: [{name: lustre, path: /mnt/lustre}], hostNetwork: true, extraArgs: [--threads=8], podAnnotations: {a: b}, affinity: {nodeAffinity: {}}}
node: {extraArgs: [--threads=8], httpPort: 0, podAnnotations: {a: b}}
inlineVolumes: {allowedShares: ["10.0.0.5:/exports/datasets"]}
localVolumes:
  enabled: true
  parent: /srv/pools
  pools:
    - {name: nvme, kind: image, path: /srv/pools/nvme/pool}
    - {name: ssd, kind: quota, path: /srv/pools/ssd}
    - {name: disks, kind: device, path: "/dev/nvme*n1", wipe: true}
  storageClasses:
    - {name: local, default: false, reclaimPolicy: Retain, mountOptions: [noatime], annotations: {note: local}, parameters: {pool: nvme, csi.storage.k8s.io/fstype: xfs}}
    - {name: disk, parameters: {pool: disks}}
  snapshotClass: {deletionPolicy: Retain}
nodeGroups:
  enabled: true
  cache: {parent: /srv/cache, dir: /srv/cache/nvme/stowage, keepFree: 15, memory: 512Mi}
  originPaths: [/mnt/lustre]
  storageClasses:
    - {name: training, nodeGroup: gpu-a, annotations: {note: group}, parameters: {cacheMode: ttl, cacheTtl: 90, warmUp: /index}}
    - {name: datasets, nodeGroup: gpu-b, volumeBindingMode: WaitForFirstConsumer, parameters: {server: filer, share: /datasets}}
    - {name: lustre, nodeGroup: gpu-b, parameters: {origin: mount, originName: lustre, originPath: /mnt/lustre}}
store:
  enabled: true
  persistence: {size: 20Gi, storageClassName: local}
  tokens: {existingSecret: store-tokens, key: list}
  serviceAccountTokens: true
  serviceAccounts: ["guests/*=read", "*/*=write"]
  tls: {existingSecret: store-tls}
  service: {port: 443, clusterIP: 10.96.0.51, annotations: {a: b}}
  publicUrl: https://store.example.com
  quotas: ["bytes=10Gi,queues=5", "research:namespaces=3"]
  extraArgs: [--readers=16]
  backup: {schedule: "@hourly", keep: 24, persistence: {size: 40Gi, storageClassName: filer}}
  restore: nightly-1
  from: [{namespaceSelector: {matchLabels: {store: "yes"}}}]
  podAnnotations: {a: b}
  nodeSelector: {disk: fast}
sidecar:
  injection:
    enabled: true
    storeCA: store-ca
    image: registry.example.com/sidecar:1
    resources: {requests: {cpu: 20m, memory: 16Mi}, limits: {memory: 128Mi}}
    namespaceSelector: {matchLabels: {stowage: "yes"}, matchExpressions: [{key: tier, operator: Exists}]}
    failurePolicy: Fail
    timeoutSeconds: 5
podMonitor: {enabled: true}
YAML
    render -f "$work/every.yaml"
}

check_objects() {
    python3 - "$work/default.yaml" "$work/every.out" "${STOWAGE_BUILD_DIR:-$ROOT/build/dev}" "$work/parent.yaml" "$work/manifests/store.yaml" "$work/no-operator.yaml" "$ROOT" "$work/lonely.yaml" <<'PY'
import collections, os, re, subprocess, sys, glob, yaml

bad = []
def need(what, ok):
    if not ok: bad.append(what)

def load(path):
    objects = [o for o in yaml.safe_load_all(open(path)) if o]
    names = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    need(f"{path}: the same object twice: {names}", len(set(names)) == len(names))
    return objects

def pods(objects):
    for o in objects:
        if o["kind"] in ("Deployment", "DaemonSet", "StatefulSet"):
            yield o, o["spec"]["template"]
        if o["kind"] == "CronJob":
            yield o, o["spec"]["jobTemplate"]["spec"]["template"]

def check(objects):
    selectors = collections.Counter()
    for o, template in pods(objects):
        name, spec = o["metadata"]["name"], template["spec"]
        want = template["metadata"]["labels"] if o["kind"] == "CronJob" else o["spec"]["selector"]["matchLabels"]
        selectors[tuple(sorted(want.items()))] += 1
        need(f"{name}: selects other pods than its own", want.items() <= template["metadata"]["labels"].items())
        volumes = {v["name"] for v in spec.get("volumes", [])} | {
            c["metadata"]["name"] for c in o["spec"].get("volumeClaimTemplates", [])}
        for c in spec["containers"] + spec.get("initContainers", []):
            used = {m["name"] for m in c.get("volumeMounts", [])}
            places = [m["mountPath"] for m in c.get("volumeMounts", [])]
            need(f"{name}/{c['name']}: two volumes at one path: {places}", len(set(places)) == len(places))
            need(f"{name}/{c['name']}: volumes {used - volumes} are not there", used <= volumes)
            need(f"{name}/{c['name']}: no memory is asked for", c["resources"]["requests"].get("memory"))
            context = c["securityContext"]
            need(f"{name}/{c['name']}: its file system can be written", context["readOnlyRootFilesystem"])
            privileged = c["name"] in ("stowage-node", "stowage-mounts")
            need(f"{name}/{c['name']}: privileged is {context.get('privileged')}", bool(context.get("privileged")) == privileged)
            need(f"{name}/{c['name']}: keeps capabilities", privileged or context["capabilities"]["drop"] == ["ALL"])
            acts = any(a.startswith("--origin=") for a in c.get("args", []))
            need(f"{name}/{c['name']}: capabilities {context.get('capabilities')}", c["name"] == "nfs-server" or
                 acts == ("add" in context.get("capabilities", {})))
    need("two workloads select the same pods", all(n == 1 for n in selectors.values()))
    accounts = {o["metadata"]["name"] for o in objects if o["kind"] == "ServiceAccount"}
    for o, template in pods(objects):
        account = template["spec"].get("serviceAccountName")
        need(f"service account {account} is not there", account is None or account in accounts)
    for o in objects:
        if o["kind"] in ("ClusterRole", "Role"):
            for rule in o["rules"]:
                need(f"{o['metadata']['name']} may do everything: {rule}", "*" not in sum(
                    (rule.get(k, []) for k in ("verbs", "resources", "apiGroups")), []))
                # One of its own, for the certificates of its webhook.
                need(f"{o['metadata']['name']} reads secrets", "secrets" not in rule["resources"] or (o["kind"] == "Role" and
                     rule.get("resourceNames") == ["stowage-webhook"] and rule["verbs"] == ["get", "patch"]))

# Each flag that the chart gives to a program of ours is in that program's help.
def check_flags(objects):
    for _, template in pods(objects):
        for c in template["spec"]["containers"]:
            program = (c.get("command") or [""])[0]
            if not program.startswith("/usr/bin/stowage"): continue
            found = glob.glob(os.path.join(sys.argv[3], "bin", os.path.basename(program)))
            if not found: continue
            text = subprocess.run([found[0], "--help"], capture_output=True, text=True).stdout
            for flag in (re.match(r"--[a-z-]+", a).group() for a in c["args"]):
                need(f"{program} has no {flag}", re.search(rf"{flag}\b", text))

default, every, one_parent, no_operator = load(sys.argv[1]), load(sys.argv[2]), load(sys.argv[4]), load(sys.argv[6])
store = load(sys.argv[5])
check(default + store) # together they are one installation
check_flags(store)
for objects in default, every, one_parent, no_operator:
    check(objects)
    check_flags(objects)
by = lambda objects, kind, end: [o for o in objects if o["kind"] == kind and o["metadata"]["name"].endswith(end)]
need("every object has the custom label", all(o["metadata"]["labels"].get("team") == "ai" for o in every))
args = by(every, "Deployment", "-controller")[0]["spec"]["template"]["spec"]["containers"][0]["args"]
for share in ("[fd00::1]:2049:20048+3/exports/data", "10.96.0.50:2049:20048/export", "other/exports"):
    need(f"the controller does not know {share}: {args}", f"--share={share}" in args)
node = by(every, "DaemonSet", "-node")[0]["spec"]["template"]["spec"]["containers"][0]["args"]
for flag in "--inline-shares=10.0.0.5:/exports/datasets", "--inline-dir=/var/lib/k0s/kubelet/plugins/csi.stowage.dev.inline":
    need(f"the node plugin is not given {flag}: {node}", flag in node)
for flag in ("--pool=nvme=image:/srv/pools/nvme/pool", "--pool=ssd=quota:/srv/pools/ssd", "--pool=disks=device+wipe:/dev/nvme*n1",
             "--local-socket=/local/csi.sock"):
    need(f"the node plugin is not given {flag}: {node}", flag in node)
local = by(every, "StorageClass", "local")[0]
need(f"class of local volumes: {local}", local["volumeBindingMode"] == "WaitForFirstConsumer"
     and local["provisioner"] == "local.csi.stowage.dev" and local["parameters"]["pool"] == "nvme")
need("claims of local volumes grow but on whole disks", local["allowVolumeExpansion"] is True
     and by(every, "StorageClass", "disk")[0]["allowVolumeExpansion"] is False)
resizer = [c for c in by(every, "Deployment", "-controller")[0]["spec"]["template"]["spec"]["containers"] if c["name"] == "local-resizer"]
socket = resizer[0]["args"][0].partition("=")[2]
need(f"the front of local volumes and its resizer: {resizer}, {args}", f"--local-socket={socket}" in args)
need("the resizer of local volumes has no lease", by(every, "Lease", "external-resizer-local-csi-stowage-dev"))
need("local volumes are not scheduled by capacity", by(every, "CSIDriver", "local.csi.stowage.dev")[0]["spec"]["storageCapacity"])
cache = ["--cache-dir=/srv/cache/nvme/stowage", "--cache-memory=512Mi", "--cache-keep-free=15", "--origin-path-allowed=/mnt/lustre"]
need(f"the node plugin is not told of the cache: {node}", all(flag in node for flag in cache))
for end in "-node", "-mounts":
    mounts = by(every, "DaemonSet", end)[0]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    need(f"{end} does not see the cache: {mounts}", {"name": "cache", "mountPath": "/srv/cache", "mountPropagation": "HostToContainer"} in mounts)
training = by(every, "StorageClass", "training")[0]
need(f"class of a node group: {training}", training["parameters"] == {
    "server": "10.96.0.50", "share": "/export", "nfsPort": "2049", "mountPort": "20048", "nodeGroup": "gpu-a", "cacheMode": "ttl",
    "cacheTtl": "90", "warmUp": "/index"} and training["allowedTopologies"] == [
    {"matchLabelExpressions": [{"key": "topology.csi.stowage.dev/node-group", "values": ["gpu-a"]}]}])
datasets = by(every, "StorageClass", "datasets")[0]["parameters"]
need(f"class of a node group: {datasets}", datasets == {"server": "filer", "share": "/datasets", "nodeGroup": "gpu-b"})
need(f"the controller does not know its origin: {args}", "--origin=lustre=/mnt/lustre" in args)
need("a mounted origin got a server", "server" not in by(every, "StorageClass", "lustre")[0]["parameters"])
need("shared volumes are bound to a group", "allowedTopologies" not in by(every, "StorageClass", "filer")[0])
need("node groups are there without being asked for", not by(default, "ClusterRole", "-node-group")
     and not any("cache" in a for a in by(default, "DaemonSet", "-node")[0]["spec"]["template"]["spec"]["containers"][0]["args"]))
kinds = [o for o in default if o["kind"] == "CustomResourceDefinition"]
need(f"kinds: {[o['spec']['names']['kind'] for o in kinds]}", sorted(o["spec"]["names"]["kind"] for o in kinds) == ["Bucket", "FileSystem", "KeyValue", "Queue"])
need("an uninstall takes the kinds away", all(o["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep" for o in kinds))
# What kubectl explain shows: each member says what it is.
def described(path, schema):
    for name, member in schema.get("properties", {}).items():
        need(f"{path}.{name} has no description", path.count(".") < 2 or path.endswith("conditions[]") or "description" in member or name == "conditions")
        described(f"{path}.{name}", member)
    if "items" in schema: described(path + "[]", schema["items"])
for o in kinds:
    version, = o["spec"]["versions"]
    need(f"{o['metadata']['name']}: no status subresource", "status" in version["subresources"])
    described(o["spec"]["names"]["kind"], version["schema"]["openAPIV3Schema"])
# The members of FileSystem.spec are the drivers' parameters, each and no other.
spec = [o for o in kinds if o["spec"]["names"]["kind"] == "FileSystem"][0]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
own = {"type", "allowedNamespaces", "default", "reclaimPolicy", "volumeBindingMode", "allowVolumeExpansion", "mountOptions", "fsType"}
source = "".join(open(os.path.join(sys.argv[7], f)).read() for f in ("csi/shared_parameters.c", "csi/node_group.c", "csi/local_parameters.c"))
rows = {n for n in re.findall(r'^    \{(?:\.name = )?"([^"]+)"', source, re.M) if not n.startswith("csi.storage")}
need(f"parameters and FileSystem.spec differ: {rows ^ (set(spec['properties']) - own)}", len(rows) > 25 and rows == set(spec["properties"]) - own)
need("the operator is there although it is switched off", not by(no_operator, "CustomResourceDefinition", "") and not by(no_operator, "ClusterRole", "-operator")
     and "--operator" not in by(no_operator, "Deployment", "-controller")[0]["spec"]["template"]["spec"]["containers"][0]["args"])
# Sidecars: off by default; all that the webhook is told, and whom it is asked about.
need("sidecars are injected without being asked for", not by(default, "MutatingWebhookConfiguration", "") and not by(default, "Secret", "")
     and not [a for a in by(default, "Deployment", "-controller")[0]["spec"]["template"]["spec"]["containers"][0]["args"] if "webhook" in a])
for flag in ("--webhook=:9817", "--webhook-name=stowage-webhook", "--inject-image=registry.example.com/sidecar:1", "--inject-store-ca=store-ca",
             "--inject-store-url=https://stowage-store.stowage.svc.cluster.local:443", "--inject-cpu-request=20m", "--inject-memory-request=16Mi",
             "--inject-memory-limit=128Mi"):
    need(f"the controller is not given {flag}: {args}", flag in args)
hook = by(every, "MutatingWebhookConfiguration", "stowage-webhook")[0]["webhooks"][0]
need(f"the webhook: {hook}", (hook["failurePolicy"], hook["timeoutSeconds"], hook["sideEffects"]) == ("Fail", 5, "None") and
     hook["namespaceSelector"]["matchLabels"] == {"stowage": "yes"} and [e["key"] for e in hook["namespaceSelector"]["matchExpressions"]] == [
         "kubernetes.io/metadata.name", "tier"])
service = by(every, "Service", "stowage-webhook")[0]["spec"]
need("the webhook's service selects the controllers", service["selector"] == by(every, "Deployment", "-controller")[0]["spec"]["selector"]["matchLabels"])
need("API servers may not reach the webhook", {"port": "webhook", "protocol": "TCP"} in sum(
    (r["ports"] for r in by(every, "NetworkPolicy", "-controller")[0]["spec"]["ingress"]), []))
need("local volumes are there without being asked for", not by(default, "CSIDriver", "local.csi.stowage.dev")
     and not by(default, "ClusterRole", "-node"))
# Who speaks to the API server is given a token, and nobody else.
for c in by(every, "DaemonSet", "-node")[0]["spec"]["template"]["spec"]["containers"]:
    need(f"{c['name']}: token", any(m["name"] == "token" for m in c["volumeMounts"]) == (c["name"] in ("stowage-node", "local-provisioner", "local-snapshotter")))
shared = by(every, "StorageClass", "stowage-shared")[0]["parameters"]
need(f"class of the embedded server: {shared}", shared == {
    "server": "10.96.0.50", "share": "/export", "nfsPort": "2049", "mountPort": "20048"})
# The store: off by default; all that it is told; nothing may write to it but what the chart runs itself.
need("the store is there without being asked for", not [o for o in default if "store" in o["metadata"]["name"]])
pod = by(every, "StatefulSet", "-store")[0]["spec"]["template"]["spec"]
told = pod["containers"][0]["args"]
for flag in ("--tokens=/etc/stowage/tokens/list", "--tls-cert=/etc/stowage/tls/tls.crt", "--public-url=https://store.example.com",
             "--quota=research:namespaces=3", "--quota=bytes=10Gi,queues=5", "--token-review=in-cluster", "--service-account=guests/*=read", "--readers=16", "--backup-dir=/backups"):
    need(f"the store is not given {flag}: {told}", flag in told)
need(f"with tokens of a Secret the made one counts as well: {told}", "--allow-remote" not in told)
need("probes of a store with a certificate", all(pod["containers"][0][p]["httpGet"]["scheme"] == "HTTPS" for p in (
    "startupProbe", "readinessProbe", "livenessProbe")))
need(f"the backup that it begins with: {pod['initContainers']}", pod["initContainers"][0]["args"] == ["/backups/nightly-1", "/var/lib/stowage/store"])
claims = {o["metadata"]["name"]: o for o in every if o["kind"] == "PersistentVolumeClaim"}
for name, size, kind in ("stowage-store", "20Gi", "local"), ("stowage-store-backups", "40Gi", "filer"):
    spec = claims[name]["spec"]
    need(f"claim {name}: {spec}", (spec["resources"]["requests"]["storage"], spec["storageClassName"]) == (size, kind))
    need(f"claim {name} goes with the release", claims[name]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep")
job = by(every, "CronJob", "-store-backup")[0]["spec"]
copier = job["jobTemplate"]["spec"]["template"]["spec"]
need(f"the backup: {job}", job["schedule"] == "@hourly" and copier["containers"][0]["args"] == [
    "/backups", "24", "--url=https://stowage-store.stowage.svc.cluster.local:443", "--ca-cert=/etc/stowage/tls/ca.crt", "--timeout=21000"])
need("the backup finds the store without DNS", copier["hostAliases"] == [
    {"ip": "10.96.0.51", "hostnames": ["stowage-store.stowage.svc.cluster.local"]}])
near = copier["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][0]["labelSelector"]["matchLabels"]
need(f"the backup is not bound to the store's node: {near}", near == by(every, "StatefulSet", "-store")[0]["spec"]["selector"]["matchLabels"])
need("the backup may write to the store's data", {"name": "data", "mountPath": "/var/lib/stowage", "readOnly": True} in copier["containers"][0]["volumeMounts"])
rule = by(every, "NetworkPolicy", "-store")[0]["spec"]
need(f"who may reach the store: {rule}", rule["policyTypes"] == ["Ingress"] and len(rule["ingress"]) == 1 and
     rule["ingress"][0]["ports"] == [{"port": "store", "protocol": "TCP"}] and rule["ingress"][0]["from"][2] == {
         "namespaceSelector": {"matchLabels": {"store": "yes"}}} and
     rule["ingress"][0]["from"][0]["podSelector"] == by(every, "Deployment", "-controller")[0]["spec"]["selector"] and
     rule["ingress"][0]["from"][1]["podSelector"]["matchLabels"] == {
         k: v for k, v in job["jobTemplate"]["spec"]["template"]["metadata"]["labels"].items() if k.startswith("app.kubernetes.io/")})
rule = by(store, "NetworkPolicy", "-store")[0]["spec"]
need("everybody may reach a store that names nobody", "from" not in rule["ingress"][0])
lonely = load(sys.argv[8]) # a store without an operator
need("a store that asks the API server cannot connect to it", rule["policyTypes"] == ["Ingress"])
rule = by(lonely, "NetworkPolicy", "-store")[0]["spec"]
need("a store that asks nobody may connect to others", rule["policyTypes"] == ["Ingress", "Egress"] and "egress" not in rule)
need("only a store that reviews tokens has a role", not by(lonely, "ClusterRole", "-store") and by(every, "ClusterRole", "-store")[0]["rules"] == [
    {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}] and
    by(every, "ClusterRoleBinding", "-store")[0]["roleRef"]["name"] == "stowage-store" and pod["automountServiceAccountToken"] is True)
need("a store of one pod has a budget", not by(every, "PodDisruptionBudget", "-store"))
accounts = lambda objects: [a for a in by(objects, "StatefulSet", "-store")[0]["spec"]["template"]["spec"]["containers"][0]["args"] if "--service-account=" in a]
need(f"the accounts of a store that pods do not use: {accounts(store)}",
     accounts(store) == ["--service-account=stowage/stowage-controller=all", "--service-account=*/*=none"])
need(f"the accounts of a store that pods use: {accounts(every)}", accounts(every) == [
    "--service-account=stowage/stowage-controller=all", "--service-account=guests/*=read", "--service-account=*/*=write"])
need(f"the accounts of a store without an operator: {accounts(lonely)}", accounts(lonely) == [])
controller = by(every, "Deployment", "-controller")[0]["spec"]["template"]["spec"]
for arg in ("--store-url=https://stowage-store.stowage.svc.cluster.local:443", "--store-public-url=https://store.example.com",
            "--store-token-file=/var/run/secrets/stowage-store/token", "--store-ca=/etc/stowage/store-tls/ca.crt"):
    need(f"the operator has no {arg}", arg in controller["containers"][0]["args"])
need("the operator finds the store without DNS", controller["hostAliases"] == [
    {"ip": "10.96.0.51", "hostnames": ["stowage-store.stowage.svc.cluster.local"]}])
need("the operator's token is for something else", {"name": "store-token", "projected": {"sources": [
    {"serviceAccountToken": {"path": "token", "audience": "stowage-store", "expirationSeconds": 3600}}]}} in controller["volumes"])
need("the operator has the store's key", [v["secret"]["items"] for v in controller["volumes"] if v["name"] == "store-tls"] == [
    [{"key": "ca.crt", "path": "ca.crt"}]])
need("the operator has a store that is not there", not [a for a in by(default, "Deployment", "-controller")[0]["spec"]["template"]["spec"][
    "containers"][0]["args"] if a.startswith("--store")])
for o, template in pods(lonely):
    need("the store's pods have a token of the API server", template["spec"]["automountServiceAccountToken"] is False)
    need("the store's pods run as root", template["spec"]["securityContext"]["runAsNonRoot"] and template["spec"]["securityContext"]["runAsUser"])
need("expansion cannot be switched off", by(every, "StorageClass", "filer")[0]["allowVolumeExpansion"] is False)
need("mounts are replaced by an upgrade", by(default, "DaemonSet", "-mounts")[0]["spec"]["updateStrategy"]["type"] == "OnDelete")
paths = [v["hostPath"]["path"] for o, t in pods(every) if o["metadata"]["name"] != "stowage-nfs"
         for v in t["spec"].get("volumes", []) if "hostPath" in v]
need(f"kubeletDir is not followed: {paths}", all(
    p.startswith("/var/lib/k0s/kubelet/") or p in ("/lib/modules", "/dev", "/srv/pools", "/srv/cache", "/mnt/lustre") for p in paths))
for text in bad: print("FAILED:", text)
sys.exit(bool(bad))
PY
}

"$helm" lint --strict --quiet "$chart" >"$work/lint" 2>&1 || fail "helm lint: $(cat "$work/lint")"
refused controler --set controler.replicas=3
refused replica --set controller.replica=3
refused sever --set-json 'storageClasses=[{"name":"a","parameters":{"sever":"x","share":"/e"}}]'
one_class() { printf 'storageClasses=[{"name":"a","parameters":{"server":"x","share":"/e"%s}}]' "$1"; }
refused server --set-json 'storageClasses=[{"name":"a","parameters":{"share":"/e"}}]'
refused server --set-json 'storageClasses=[{"name":"a","parameters":{"server":"x ","share":"/e"}}]'
refused share --set-json 'storageClasses=[{"name":"a","parameters":{"server":"x","share":"e"}}]'
refused nfsVersion --set-json "$(one_class ',"nfsVersion":5')"
refused onDelete --set-json "$(one_class ',"onDelete":"keep"')"
refused mountMode --set-json "$(one_class ',"mountMode":"fusee"')"
refused mountPermissions --set-json "$(one_class ',"mountPermissions":511')"
refused "called 'a'" --set-json 'storageClasses=[{"name":"a","parameters":{"server":"x","share":"/e"}},{"name":"a","parameters":{"server":"y","share":"/e"}}]'
refused allowedShares --set 'inlineVolumes.allowedShares={foo}'
refused shares --set 'controller.shares={foo}'
refused maxUnavailable --set node.maxUnavailable=0%
refused app.kubernetes.io/name --set 'customLabels.app\.kubernetes\.io/name=x'
refused "both 9815" --set node.httpPort=9815
refused "port 9811" --set controller.hostNetwork=true,controller.httpPort=9811
refused "mounts.enabled" --set mounts.enabled=false,node.mountMode=fuse
# As CreateVolume takes them: a slash at the end, a port of the mount protocol alone, ids as large as OpenShift's.
render --set-json "$(one_class ',"mountPort":20048,"uid":1000650000,"nfsVersion":3' | sed 's|"/e"|"/e/"|')" >"$work/out"
grep -q -- '--share=x:2049:20048+3/e$' "$work/out" || fail "the share of a class: $(grep -e --share "$work/out")"
grep -qF 'uid: "1000650000"' "$work/out" || fail "a large uid: $(grep 'uid: "' "$work/out")"
# Local volumes: pools that are mistyped, in no place where they are seen, or in none that a class could mean.
local_pools() { printf 'localVolumes={"enabled":true,"pools":[%s]%s}' "$1" "${2:-}"; }
pool='{"name":"a","kind":"image","path":"/mnt/stowage/a"}' other='{"name":"b","kind":"image","path":"/mnt/stowage/b"}'
render --set-json "$(local_pools "$pool,$other")" >/dev/null || fail "two pools are refused"
refused "needs a pool" --set localVolumes.enabled=true
refused kind --set-json "$(local_pools '{"name":"a","kind":"lvm","path":"/mnt/stowage/a"}')"
refused kind --set-json "$(local_pools '{"name":"a","path":"/mnt/stowage/a"}')"
refused pol --set-json "$(local_pools "$pool" ',"storageClasses":[{"name":"c","parameters":{"pol":"a"}}]')"
refused path --set-json "$(local_pools '{"name":"a","kind":"image","path":"mnt/stowage/a"}')"
refused path --set-json "$(local_pools '{"name":"a","kind":"device","path":"/mnt/stowage/a"}')"
refused wipe --set-json "$(local_pools '{"name":"a","kind":"image","path":"/mnt/stowage/a","wipe":true}')"
refused name --set-json "$(local_pools '{"name":"A_1","kind":"image","path":"/mnt/stowage/a"}')"
refused volumeBindingMode --set-json "$(local_pools "$pool" ',"storageClasses":[{"name":"c","volumeBindingMode":"Immediate"}]')"
refused "called 'a'" --set-json "$(local_pools "$pool,$pool")"
refused "below localVolumes.parent" --set-json "$(local_pools '{"name":"a","kind":"image","path":"/srv/a"}')"
refused "no pool 'b'" --set-json "$(local_pools "$pool" ',"storageClasses":[{"name":"c","parameters":{"pool":"b"}}]')"
refused "name its pool" --set-json "$(local_pools "$pool,$other" ',"storageClasses":[{"name":"c"}]')"
refused "kubeletDir" --set-json "$(local_pools '{"name":"a","kind":"image","path":"/var/lib/a"}' ',"parent":"/var/lib"')"
# Node groups: a cache in no place where it is seen, classes without a group or an origin, settings that are none.
one_group() { printf 'nodeGroups={"enabled":true,"storageClasses":[{"name":"c"%s}]}' "$1"; }
render --set-json "$(one_group ',"nodeGroup":"a","parameters":{"server":"x","share":"/e"}')" >/dev/null || fail "a node group is refused"
refused "its server and share" --set-json "$(one_group ',"nodeGroup":"a"')"
refused nodeGroup --set-json "$(one_group ',"parameters":{"server":"x","share":"/e"}')"
refused nodeGroup --set-json "$(one_group ',"nodeGroup":"a b"')"
refused cacheMode --set-json "$(one_group ',"nodeGroup":"a","parameters":{"server":"x","share":"/e","cacheMode":"lazy"}')"
refused mountMode --set-json "$(one_group ',"nodeGroup":"a","parameters":{"server":"x","share":"/e","mountMode":"kernel"}')"
refused cacheMode --set-json "$(one_class ',"cacheMode":"ttl"')"
refused "controller.origins" --set-json "$(one_group ',"nodeGroup":"a","parameters":{"origin":"mount","originName":"ceph","originPath":"/mnt/ceph"}')"
refused "called 'a'" --set-json "$(one_class '')" --set-json 'nodeGroups={"enabled":true,"storageClasses":[{"name":"a","nodeGroup":"g","parameters":{"server":"x","share":"/e"}}]}'
refused "below nodeGroups.cache.parent" --set nodeGroups.enabled=true,nodeGroups.cache.dir=/srv/cache
refused kubeletDir --set nodeGroups.enabled=true,nodeGroups.cache.dir=/var/lib/cache,nodeGroups.cache.parent=/var/lib
refused mounts.enabled --set nodeGroups.enabled=true,mounts.enabled=false
refused keepFree --set nodeGroups.cache.keepFree=0
# The store: settings that are none, that contradict each other, and flags behind the chart's back.
store() { render --set store.enabled=true --set "$1" >"$work/out" || fail "refused: $1"; }
refused size --set store.persistence.size=large
refused size --set store.persistence.size=0
refused existingSecret --set store.tokens.existingSecret=My_Secret
refused publicUrl --set store.publicUrl=https://store.example.com/path
refused quotas --set 'store.quotas={bytes:10Gi}'
refused serviceAccounts --set store.enabled=true,store.serviceAccountTokens=true --set 'store.serviceAccounts={guests=read}'
refused serviceAccountTokens --set store.enabled=true --set 'store.serviceAccounts={guests/*=read}'
refused extraArgs --set 'store.extraArgs={readers=16}'
refused "--tokens is the chart's" --set store.enabled=true --set 'store.extraArgs={--tokens=/x}'
refused "--data-dir is the chart's" --set store.enabled=true --set 'store.extraArgs={--data-dir=/x}'
refused schedule --set store.backup.schedule=nightly
refused keep --set store.backup.keep=0
refused restore --set store.restore=../../etc
refused "store.backup.enabled" --set store.enabled=true,store.backup.enabled=false,store.restore=x
refused "store's own claim" --set store.enabled=true,store.persistence.existingClaim=a,store.backup.persistence.existingClaim=a
refused port --set store.service.port=0
refused clusterIP --set store.service.clusterIP=None
refused terminationGracePeriodSeconds --set store.terminationGracePeriodSeconds=5
refused storage --set store.storage=1Gi
store store.persistence.existingClaim=mine
holds() { # holds WHAT TEXT…: what was rendered last, each TEXT; "!TEXT": not
    local what=$1 text
    shift
    for text in "$@"; do
        if [ "${text#!}" = "$text" ]; then
            grep -qF -- "$text" "$work/out" || fail "$what: no '$text'"
        elif grep -qF -- "${text#!}" "$work/out"; then
            fail "$what: '${text#!}' is there"
        fi
    done
}
holds "a claim that is there already" "claimName: mine" "!claimName: stowage-store}" "name: stowage-store-backups"
store store.backup.persistence.size=
holds "backups on the store's own volume" "- --backup-dir=/var/lib/stowage/backups" "!mountPath: /backups" "!stowage-store-backups"
store store.backup.enabled=false
holds "no backups" "!kind: CronJob" "!stowage-store-backups"
refused store.enabled --set sidecar.injection.enabled=true
refused store.serviceAccountTokens --set sidecar.injection.enabled=true,store.enabled=true
render --set sidecar.injection.enabled=true,sidecar.injection.storeUrl=http://store:3500 >/dev/null || fail "sidecars of a store elsewhere are refused"
refused failurePolicy --set sidecar.injection.failurePolicy=Maybe
refused memory --set sidecar.injection.resources.limits.memory=1.5G
refused "in one network" --set sidecar.injection.enabled=true,sidecar.injection.storeUrl=http://store:3500,controller.hostNetwork=true,node.httpPort=9817
refused logLevel --set logLevel=verbose
refused nodeSelector --set nfsServer.enabled=true,nfsServer.persistence.hostPath=/srv
render >"$work/default.yaml"
mkdir "$work/manifests"
"$ROOT/scripts/render-manifests.sh" --into "$work/manifests" >/dev/null
every_option >"$work/every.out"
render --set nodeGroups.enabled=true --set-json "$(local_pools "$pool")" >"$work/parent.yaml"
render --set operator.enabled=false >"$work/no-operator.yaml"
render --set operator.enabled=false,store.enabled=true --show-only templates/store.yaml --show-only templates/store-backup.yaml >"$work/lonely.yaml"
check_objects || failed=1
for file in stowage kinds store store-operator sidecar-injection; do
    diff -u "$ROOT/manifests/$file.yaml" "$work/manifests/$file.yaml" ||
        fail "manifests/$file.yaml is not what the chart renders: run scripts/render-manifests.sh and commit it"
done
[ "$failed" = 0 ] || exit 1
say "chart and manifests agree"
