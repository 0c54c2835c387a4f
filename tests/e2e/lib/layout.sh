# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# The test cluster's names, places and addresses, and its machines: who they are, how to enter and leave them.
# Sourced after scripts/lib.sh.
#
# A machine (control, node-1, node-2) is a set of namespaces held by one process, its init; with it ends every process in the
# machine, and with them every mount, link and address. Nothing is pinned, so nothing can be left behind.
#
# shellcheck disable=SC2034 # what is named here is used by the other parts

STATE=${STOWAGE_E2E_DIR:-/var/lib/stowage-e2e} # everything the cluster writes
NODES=(node-1 node-2)
MACHINES=(control "${NODES[@]}")
INIT_NAME=stowage-e2e-init # argv[0] of a machine's init, followed by STATE and the machine's name

# All of these exist within the cluster's own network namespaces only.
CONTROL_IP=10.200.0.1
NODE_NETWORK=10.200.0 # the control plane is .1, node-N is .10+N
POD_NETWORK=10.201    # node-N has .N.0/24
SERVICE_NETWORK=10.202.0.0/16
API_SERVICE_IP=10.202.0.1

LOCAL_POOL=/mnt/stowage/disk # where nodes keep local volumes

KUBECONFIG_ADMIN=$STATE/kubeconfig
# Two clusters at a time, in two directories, must not share control groups.
CGROUP=stowage-e2e-$(cksum <<<"$STATE" | cut -d ' ' -f 1)

node_number() { say "${1#node-}"; }
node_ip() { say "$NODE_NETWORK.$((10 + $(node_number "$1")))"; }
node_pods() { say "$POD_NETWORK.$(node_number "$1").0/24"; }
node_root() { say "$STATE/$1/root"; } # the machine's /, as seen from outside

# --- machines -------------------------------------------------------------------------------------------------------

# machine_pid MACHINE: its init, as seen from outside; 1 if there is none. The command line is asked rather than a file with
# a number, which a killed script would not have written and another process may have got since.
machine_pid() {
    local file word=()
    for file in /proc/[0-9]*/cmdline; do
        word=()
        mapfile -d '' -t word 2>/dev/null <"$file" || continue
        if [ "${word[0]:-}" = "$INIT_NAME" ] && [ "${word[1]:-}" = "$STATE" ] && [ "${word[2]:-}" = "$1" ]; then
            file=${file#/proc/}
            say "${file%/cmdline}"
            return 0
        fi
    done 2>/dev/null
    return 1
}

need_machine() {
    machine_pid "$1" || {
        note "'$1' does not run; bring the cluster up first: tests/e2e/cluster.sh up"
        return 1
    }
}

# loops_of DIRECTORY: loop devices of files in it. By inode: the kernel tells a path as the machine saw it.
loops_of() {
    local name inode device
    losetup --list --noheadings --raw --output NAME,BACK-INO,BACK-MAJ:MIN | sed "s/\\\\x20//g" | while read -r name inode device; do
        [ "$device" != "$(stat -c %Hd:%Ld "$1")" ] || [ -z "$(find "$1" -xdev -maxdepth 1 -inum "$inode")" ] || say "$name"
    done
}

# loops_let_go DIRECTORY: detaches them. The kubelet keeps a loop device of its own on top of that of a raw block volume.
loops_let_go() {
    local below above
    for below in $(loops_of "$1"); do
        losetup --list --noheadings --raw --output NAME,BACK-INO,BACK-MAJ:MIN | sed "s/\\\\x20//g" |
            awk -v at="$(stat -c '%i %Hd:%Ld' "$below")" '$2 " " $3 == at { print $1 }' |
            while read -r above; do losetup --detach "$above"; done
        losetup --detach "$below" 2>/dev/null || true # autoclear may have been faster
    done
}

# machine_run MACHINE COMMAND…: in all of its namespaces
machine_run() {
    local pid
    pid=$(need_machine "$1") || return 1
    shift
    nsenter --target "$pid" --mount --uts --ipc --net --pid -- "$@"
}

# machine_net MACHINE COMMAND…: in its network only, with the caller's files
machine_net() {
    local pid
    pid=$(need_machine "$1") || return 1
    shift
    nsenter --target "$pid" --net -- "$@"
}

# machine_start MACHINE [SETUP…]: makes the namespaces, runs SETUP in them, then the init
machine_start() {
    local machine=$1
    shift
    # shellcheck disable=SC2016 # expanded by the inner shell
    setsid unshare --mount --propagation private --pid --fork --uts --ipc --net -- bash -euc '
        name=$1 state=$2 machine=$3 init=$4
        shift 4
        hostname "$machine"
        mount -t proc proc /proc
        ip link set lo up
        if [ $# -gt 0 ]; then
            "$@"
            init=/opt/stowage-e2e/bin/pause
        fi
        cd /
        exec -a "$name" "$init" "$state" "$machine"' \
        bash "$INIT_NAME" "$STATE" "$machine" "$CACHE/bin/pause" "$@" \
        </dev/null >"$STATE/log/$machine.log" 2>&1 9<&- &
    wait_until 20 machine_pid "$machine" || {
        tail -n 20 "$STATE/log/$machine.log" >&2
        die "the namespaces of '$machine' cannot be made (above); needs root and a kernel with all namespaces"
    }
}

# machine_processes MACHINE: its init, the process that waits for that, and both while the machine is still being made
machine_processes() {
    local file
    while read -r file; do
        if { tr '\0' ' ' <"$file"; } 2>/dev/null | grep -Fq "$INIT_NAME $STATE $1 "; then
            file=${file#/proc/}
            say "${file%/cmdline}"
        fi
    done < <(grep -lsaz -Fx "$INIT_NAME" /proc/[0-9]*/cmdline)
}

# machine_stop MACHINE: kills everything in it; returns when the last of it has ended, and with it the namespaces
machine_stop() {
    local pid pids
    pids=$(machine_processes "$1")
    for pid in $pids; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in $pids; do
        wait_until 30 process_ended "$pid" ||
            die "process $pid ('$1') does not end within 30 s; what it waits for is in /proc/$pid/stack; then run this again"
    done
}
# A zombie has ended too: whose child it is may take its time.
process_ended() { [ ! -e "/proc/$1" ] || [ "$(awk '/^State:/ { print $2 }' "/proc/$1/status" 2>/dev/null)" = Z ]; }

# --- daemons --------------------------------------------------------------------------------------------------------

# daemon_start MACHINE NAME COMMAND…: in the background of the machine; logs to STATE/log/MACHINE-NAME.log
daemon_start() {
    local machine=$1 name=$2 log
    shift 2
    log=$STATE/log/$machine-$name.log
    printf '%s\0' "$@" >"$STATE/run/$machine-$name.command"
    # shellcheck disable=SC2016 # expanded by the inner shell
    machine_run "$machine" bash -c 'setsid "$@" </dev/null >&3 2>&3 3>&- & echo $!' bash "$@" \
        3>>"$log" >"$STATE/run/$machine-$name.pid" 9<&-
}

daemon_pid() { cat "$STATE/run/$1-$2.pid" 2>/dev/null; }
daemon_alive() { machine_run "$1" kill -0 "$(daemon_pid "$1" "$2")" 2>/dev/null; }
daemon_dead() { ! daemon_alive "$1" "$2"; }

# daemon_stop MACHINE NAME
daemon_stop() {
    daemon_alive "$1" "$2" || return 0
    machine_run "$1" kill -TERM "$(daemon_pid "$1" "$2")" || true
    wait_until 20 daemon_dead "$1" "$2" || machine_run "$1" kill -KILL "$(daemon_pid "$1" "$2")" || true
}

# daemon_again MACHINE NAME: starts what daemon_start started before, with the same command
daemon_again() {
    local words=()
    mapfile -d '' -t words <"$STATE/run/$1-$2.command"
    daemon_start "$1" "$2" "${words[@]}"
}

# daemon_check MACHINE NAME SECONDS COMMAND…: waits until COMMAND succeeds; dies with the end of the log if it never does
daemon_check() {
    local machine=$1 name=$2 seconds=$3
    shift 3
    wait_until "$seconds" "$@" || {
        tail -n 15 "$STATE/log/$machine-$name.log" >&2
        die "$name on $machine is not ready within $seconds s (above; all of it: $STATE/log/$machine-$name.log)"
    }
}

daemons() {
    local file
    for file in "$STATE"/run/*.pid; do
        [ -e "$file" ] || continue
        file=${file##*/}
        say "${file%.pid}"
    done
}
