# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What an end-to-end case is written with. A case is a script of cases/; it sources this file, and has then a namespace of its
# own, which is removed at its end, and the words below. `set -e` fails it; skip (scripts/lib.sh) ends it as skipped.
#
# shellcheck disable=SC2016,SC2034 # expanded in the pod; used by the cases
#
# The driver is installed by run.sh as release $RELEASE in namespace $SYSTEM, with the embedded NFS server.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../../scripts/lib.sh"
for part in layout build pki network images node control-plane driver; do
    # shellcheck source=/dev/null # all are here
    . "$ROOT/tests/e2e/lib/$part.sh"
done

CASE=${TOOL%.sh}
NAMESPACE=case-$CASE
CLASS=stowage-shared
DRIVER=csi.stowage.dev
undo=()              # commands of at_end
made_cluster_wide=() # KIND/NAME of what must go with the case and is in no namespace

k() { kubectl --namespace "$NAMESPACE" "$@"; }
system() { kubectl --namespace "$SYSTEM" "$@"; }

# --- begin and end --------------------------------------------------------------------------------------------------

case_begin() {
    trap case_end EXIT
    trap 'exit 130' INT TERM
    kubectl create namespace "$NAMESPACE" >/dev/null
    step_started=$(now_ms)
}

# at_end COMMAND: when the case ends, however it ends; not by a trap of its own, which would lose how it ended
at_end() { undo+=("$1"); }

case_end() {
    local rc=$? object command
    trap - EXIT INT TERM
    [ "$rc" = 0 ] || [ "$rc" = 77 ] || case_tell || true
    for command in "${undo[@]}"; do eval "$command" || rc=1; done
    kubectl delete namespace "$NAMESPACE" --timeout 120s >/dev/null || rc=1
    for object in "${made_cluster_wide[@]}"; do
        kubectl delete "$object" --ignore-not-found --timeout 60s >/dev/null || rc=1
    done
    exit "$rc"
}

# What a person would look at first, after a failure.
case_tell() {
    say "--- what is there, after the failure"
    k get pvc,pods,volumesnapshots -o wide 2>/dev/null || true
    k get events --sort-by .lastTimestamp 2>/dev/null | tail -n 25
    system get pods -o wide
    system logs -l app.kubernetes.io/component=controller -c stowage-controller --tail 15 --prefix 2>/dev/null
    system logs -l app.kubernetes.io/component=node -c stowage-node --tail 15 --prefix 2>/dev/null
}

# ok WHAT: one line for what was just proved, with the time it took
ok() {
    printf '  %7s s  %s\n' "$(seconds_since "$step_started")" "$*"
    step_started=$(now_ms)
}
fail() { die "$*"; }

# expect WHAT GOT WANTED
expect() { [ "$2" = "$3" ] || fail "$1: got '$2', expected '$3'"; }

# --- objects --------------------------------------------------------------------------------------------------------

apply() { k apply -f - >/dev/null; }

# pvc NAME [SIZE] [CLASS] [MODE] [MORE]: MORE is YAML of spec, in flow style: 'dataSource: {…}'
pvc() {
    apply <<YAML
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: $1}
spec:
  accessModes: [${4:-ReadWriteMany}]
  storageClassName: ${3:-$CLASS}
  resources: {requests: {storage: ${2:-1Gi}}}
  ${5:-}
YAML
}

# pod NAME NODE CLAIM [COMMAND] [MORE]: the claim at /data; without COMMAND it waits to be used by in_pod. NODE "": any
pod() {
    apply <<YAML
apiVersion: v1
kind: Pod
metadata: {name: $1}
spec:
  ${2:+nodeName: $2}
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  ${5:-}
  volumes: [{name: data, persistentVolumeClaim: {claimName: $3}}]
  containers:
  - name: main
    image: $BUSYBOX_IMAGE
    command: [sh, -c, $(json_text "${4:-trap exit TERM; while :; do sleep 1; done}")]
    volumeMounts: [{name: data, mountPath: /data}]
YAML
}
json_text() { jq -Rn --arg text "$1" '$text'; }

# class_like NAME [KEY=VALUE…]: a StorageClass as the installed one, with other parameters; KEY=- takes one away.
# reclaimPolicy, volumeBindingMode and provisioner are known too.
class_like() {
    local name=$1 pair edit='.'
    shift
    for pair in "$@"; do
        case ${pair%%=*} in
        reclaimPolicy | volumeBindingMode | provisioner) edit+=" | .${pair%%=*} = \"${pair#*=}\"" ;;
        *) if [ "${pair#*=}" = - ]; then
            edit+=" | del(.parameters.\"${pair%%=*}\")"
        else
            edit+=" | .parameters.\"${pair%%=*}\" = \"${pair#*=}\""
        fi ;;
        esac
    done
    made_cluster_wide+=("storageclass/$name")
    kubectl get storageclass "$CLASS" -o json |
        jq ".metadata = {name: \"$name\"} | $edit" | kubectl apply -f - >/dev/null
}

# --- waiting and asking ---------------------------------------------------------------------------------------------

bound() { k wait pvc "$@" --for 'jsonpath={.status.phase}=Bound' --timeout "${BOUND_TIMEOUT:-60s}" >/dev/null; }
running() {
    local name
    for name in "$@"; do
        k wait pod "$name" --for condition=Ready --timeout "${POD_TIMEOUT:-90s}" >/dev/null ||
            fail "pod '$name' does not run: $(k get events --field-selector "involvedObject.name=$name" \
                -o 'jsonpath={.items[-1:].message}')"
    done
}
gone() { k delete "$@" --timeout 120s >/dev/null; }

# in_pod NAME COMMAND: its output
in_pod() { k exec "$1" -- sh -c "$2"; }

# has_event NAME REGEX: does an event of the object called NAME say so?
has_event() { k get events --field-selector "involvedObject.name=$1" -o 'jsonpath={.items[*].message}' | grep -Eq "$2"; }
# expect_event NAME REGEX [SECONDS]
expect_event() {
    wait_until "${3:-60}" has_event "$1" "$2" ||
        fail "no event of '$1' says /$2/; they say: $(k get events --field-selector "involvedObject.name=$1" \
            -o 'jsonpath={.items[*].message}')"
}

volume_of() { k get pvc "$1" -o 'jsonpath={.spec.volumeName}'; }
handle_of() { kubectl get pv "$(volume_of "$1")" -o 'jsonpath={.spec.csi.volumeHandle}'; }
volume_is_gone() { ! kubectl get pv "$1" >/dev/null 2>&1; }

# pods_of COMPONENT: the driver's pods, one a line: controller, node, mounts, nfs
pods_of() { system get pods -l "app.kubernetes.io/component=$1" -o name; }
# pod_of COMPONENT NODE
pod_of() {
    system get pods -l "app.kubernetes.io/component=$1" --field-selector "spec.nodeName=$2" -o 'jsonpath={.items[0].metadata.name}'
}
ready() { system rollout status "$1" --timeout 180s >/dev/null; }

# node_plugin_again [NODE]: its pod, or all of them, replaced
node_plugin_again() {
    system delete pods -l app.kubernetes.io/component=node ${1:+--field-selector "spec.nodeName=$1"} --timeout 120s >/dev/null
    ready daemonset/stowage-node
}

# --- local volumes --------------------------------------------------------------------------------------------------

LOCAL_CLASS=stowage-local
LOCAL_DRIVER=local.csi.stowage.dev
# local_room CLASS NODE: MiB that its node says are left; nothing when it has not spoken
local_room() {
    system get csistoragecapacities -o json | jq -r ".items[] | select(.storageClassName == \"$1\" and
        .nodeTopology.matchLabels[\"topology.local.csi.stowage.dev/node\"] == \"$2\") | .capacity" | awk '
        /Ki$/ { print int($1 / 1024); next } /Mi$/ { print int($1); next } /Gi$/ { print int($1 * 1024); next }
        /^[0-9]+$/ { print int($1 / 1048576); next } /k$/ { print int($1 / 1048.576); next } /M$/ { print int($1 / 1.048576) }'
}
local_room_above() { [ "$(local_room "$1" "$2" || true)" -gt "$3" ] 2>/dev/null; }
# local_loops NODE: loop devices of images in its pool
local_loops() { loops_of "$(node_root "$1")$LOCAL_POOL/.stowage/data"; }
# local_images NODE POOL_DIRECTORY: how many volumes the pool holds
local_images() { machine_run "$1" sh -c 'ls "$1/.stowage/records" | wc -l' sh "$2"; }
node_of() { k get pod "$1" -o 'jsonpath={.spec.nodeName}'; }

# --- node groups ----------------------------------------------------------------------------------------------------

GROUP_KEY=topology.csi.stowage.dev/node-group
# node_groups NODE=GROUP…: puts nodes into groups as an administrator does (no GROUP: into none), and waits until the cluster knows
node_groups() {
    local pair node group
    for pair in "$@"; do
        node=${pair%%=*} group=${pair#*=}
        kubectl label --overwrite node "$node" "$GROUP_KEY-" "stowage.dev/node-group$([ -n "$group" ] && printf %s "=$group" || printf -- -)" >/dev/null
    done
    node_plugin_again
    for pair in "$@"; do
        wait_until 90 node_is_known "${pair%%=*}" "${pair#*=}" ||
            fail "the cluster does not know $pair: $(kubectl get node "${pair%%=*}" --show-labels --no-headers)"
    done
}
node_is_known() {
    local keys
    keys=$(kubectl get csinode "$1" -o json | jq -r --arg driver "$DRIVER" '.spec.drivers[] | select(.name == $driver) | .topologyKeys | join(" ")')
    [[ $keys == *topology.csi.stowage.dev/shared* ]] && [ "$(group_label "$1")" = "$2" ]
}
group_label() { kubectl get node "$1" -o json | jq -r --arg key "$GROUP_KEY" '.metadata.labels[$key] // ""'; }
# daemon_flags NODE CLAIM: the command line of the stowage-cachefs that serves the claim's volume there
daemon_flags() {
    machine_run "$1" sh -c 'for p in /proc/[0-9]*; do
        [ "$(cat $p/comm 2>/dev/null)" != stowage-cachefs ] || tr "\0" " " <$p/cmdline | grep -F -- "$1" || true; done' \
        sh "$(handle_of "$2")"
}

# server_dir: where the embedded server keeps the share, as commands in its pod see it
server_sh() { system exec "$(pods_of nfs | head -n 1)" -- sh -c "$1"; }

# processes_of PROGRAM: lines "MACHINE PID" of every process of that name, pids as the machine's own
processes_of() {
    local machine
    for machine in "${NODES[@]}"; do
        machine_run "$machine" sh -c 'for p in /proc/[0-9]*; do
            [ "$(cat $p/comm 2>/dev/null)" = "$2" ] && echo "$1 ${p#/proc/}"; done; true' sh "$machine" "${1:0:15}"
    done
}
# signal_all PROGRAM SIGNAL
signal_all() {
    local machine pid any=1
    while read -r machine pid; do
        machine_run "$machine" kill -s "$2" "$pid" && any=0
    done < <(processes_of "$1")
    return "$any"
}

# --- a pod that writes all the while --------------------------------------------------------------------------------

# writer_start NAME NODE CLAIM: appends numbered lines, each fsynced, ten a second; ends at the first error
writer_start() {
    pod "$1" "$2" "$3" 'i=0; while i=$((i+1)); do
        echo $i | dd of=/data/writer-'"$1"' oflag=append conv=notrunc,fsync 2>/tmp/err || {
            echo "write $i: $(cat /tmp/err)" >&2; exit 1; }
        sleep 0.1; done'
    running "$1"
}
writer_count() { in_pod "$1" "wc -l </data/writer-$1"; }
writer_passed() { [ "$(writer_count "$1")" -gt "$2" ]; }
# writer_check NAME: it still runs and goes on, and no line is missing
writer_check() {
    local have lines
    wait_until 60 in_pod "$1" true || fail "no command runs in pod '$1'"
    have=$(writer_count "$1") || fail "writer '$1' ended: $(k logs "$1" --tail 3)"
    wait_until 60 writer_passed "$1" "$have" || fail "writer '$1' does not go on after line $have"
    lines=$(in_pod "$1" "awk '\$1 != NR { print \"line \" NR \" is \" \$1; exit }' /data/writer-$1")
    expect "lines of writer '$1'" "$lines" ""
}
