# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What every script here shares: the root of the repository, messages, installing what is missing, building, cleaning up.
# Sourced, never run. Sets ROOT, and TOOL to the script's name.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
TOOL=$(basename "$0")
# shellcheck source=versions.env
. "$ROOT/versions.env"

# --- messages -------------------------------------------------------------------------------------------------------

say() { printf '%s\n' "$*"; }
note() { printf '%s: %s\n' "$TOOL" "$*" >&2; }
die() {
    note "$*"
    exit 1
}
# Exit code of a test that cannot run here; its reason is the last line.
skip() {
    say "skipped: $*"
    exit 77
}
# The comment at the head of the calling script is its help.
show_help() { sed -n '2,/^[^#]/{/^# SPDX/d;/^#/!d;s/^# \{0,1\}//p}' "$0"; }

now_ms() { date +%s%3N; }
# seconds_since MS: with one digit, of a time that now_ms gave
seconds_since() {
    local ms=$(($(now_ms) - $1))
    printf '%d.%d' $((ms / 1000)) $((ms % 1000 / 100))
}

# --- installing -----------------------------------------------------------------------------------------------------

# packages_for NEED: what a purpose needs, as Debian calls it.
packages_for() {
    case $1 in
    build) say "gcc libc6-dev cmake ninja-build pkg-config git ca-certificates protobuf-compiler protobuf-c-compiler" \
        "libprotobuf-c-dev libgrpc-dev libnfs-dev libmount-dev libblkid-dev libfuse3-dev libjansson-dev nettle-dev" \
        "libssl-dev libcurl4-openssl-dev libyaml-dev libsqlite3-dev libcmocka-dev" ;;
    sanitizers) say "libasan8 libubsan1 libtsan2" ;;
    nfs-server) say "nfs-ganesha nfs-ganesha-vfs rpcbind netbase iproute2" ;;
    fuse) say "fuse3" ;;
    gluster) say "glusterfs-server glusterfs-client iproute2" ;;
    bench-local) say "fio python3" ;;
    bench-cache) say "fio python3 rclone tar diffutils iproute2 util-linux e2fsprogs xfsprogs" ;;
    local-volumes) say "e2fsprogs xfsprogs util-linux strace" ;;
    demo) say "curl" ;;
    integration) say "e2fsprogs xfsprogs fuse3 fio procps sqlite3 attr curl dbench python3 python3-yaml git make gcc util-linux" ;;
    uml) say "user-mode-linux kmod netbase nfs-common nfs-kernel-server rpcbind iproute2" ;;
    lint) say "clang-format clang-tidy shellcheck" ;;
    images) say "buildah mmdebstrap ca-certificates" ;;
    containerd) say "containerd runc" ;;
    cluster) say "containernetworking-plugins nftables iptables conntrack iproute2 util-linux procps" \
        "busybox-static openssl curl jq gcc libc6-dev" ;;
    lepton) say "python3 python3-venv" ;;
    go) say "golang-go ca-certificates" ;;
    store-peers) say "redis-server nginx-light curl python3 procps" ;;
    *) die "no packages are known for '$1'" ;;
    esac
}

installed() { [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

missing_packages() {
    local need package
    for need in "$@"; do
        for package in $(packages_for "$need"); do
            installed "$package" || say "$package"
        done
    done | sort -u
}

# install_for NEED…: installs what is missing, says what and why. Needs root and Debian only when something is missing.
install_for() {
    local missing
    command -v dpkg-query >/dev/null ||
        die "needs Debian $DEBIAN_MINIMUM or newer (no dpkg here); on other systems install: $(packages_for build)"
    missing=$(missing_packages "$@" | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    require_debian
    [ "$(id -u)" = 0 ] || die "as root, install what is missing ($*): apt-get install $missing"
    note "installing, for $*: $missing"
    apt_quietly update
    # shellcheck disable=SC2086 # a list of words
    apt_quietly install $missing
}

require_debian() {
    local version
    version=$(sed 's/\..*//' /etc/debian_version 2>/dev/null || true)
    case $version in
    '' ) die "needs Debian $DEBIAN_MINIMUM or newer" ;;
    *[!0-9]*) ;; # testing and unstable call themselves by a name
    *) [ "$version" -ge "$DEBIAN_MINIMUM" ] || die "needs Debian $DEBIAN_MINIMUM or newer; this is $version" ;;
    esac
}

# Nothing that is installed here should start as a service: policy-rc.d forbids it for the time of the installation.
apt_quietly() {
    local log policy=/usr/sbin/policy-rc.d made_policy=0 rc=0
    log=$(mktemp)
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        made_policy=1
    fi
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
        --no-install-recommends "$@" </dev/null >"$log" 2>&1 || rc=$?
    [ "$made_policy" = 0 ] || rm -f "$policy"
    if [ "$rc" != 0 ]; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get $1 failed (above); check the package sources and the network, then run this again"
    fi
    rm -f "$log"
}

# --- building -------------------------------------------------------------------------------------------------------

# build PRESET [TARGET…]: configures and builds into build/PRESET; quiet unless it fails.
build() {
    local preset=$1 log dir started
    shift
    dir=$ROOT/build/$preset
    started=$(now_ms)
    mkdir -p "$dir"
    log=$dir/build.log
    note "building preset '$preset' in $dir"
    if ! (cd "$ROOT" && cmake --preset "$preset" -B "$dir") >"$log" 2>&1 ||
        ! ninja -C "$dir" "$@" >>"$log" 2>&1; then
        grep -E -m 1 -A 30 '^FAILED|CMake Error|error:' "$log" >&2 || tail -n 30 "$log" >&2
        note "the build failed; all of its output is in $log"
        return 1
    fi
    note "built in $(seconds_since "$started") s"
}

# go_ready: is there a go new enough for modules that pin their toolchain?
go_ready() { command -v go >/dev/null && go version >/dev/null 2>&1; }

# go_install MODULE@VERSION DIR: builds a command of a Go module into DIR; quiet unless it fails.
go_install() {
    local log
    log=$(mktemp)
    mkdir -p "$2"
    if ! GOBIN=$2 timeout 900 go install "$1" </dev/null >"$log" 2>&1; then
        tail -n 10 "$log" >&2
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

# find_helm: sets `helm` to the pinned Helm, built with go when it is not in the cache (HELM names a ready one); 1 if there is none
find_helm() {
    local dir=${XDG_CACHE_HOME:-$HOME/.cache}/stowage/helm-$HELM_VERSION
    helm=${HELM:-$dir/helm}
    [ ! -x "$helm" ] || return 0
    if ! go_ready; then
        note "helm $HELM_VERSION is not in $dir and there is no go to build it (apt-get install golang-go, or see go.dev)"
        return 1
    fi
    note "building helm $HELM_VERSION into $dir"
    go_install "helm.sh/helm/v3/cmd/helm@$HELM_VERSION" "$dir"
}

# find_lepton VERSION: sets `lepton` to a virtual environment with that leptonai, from PyPI when it is not in the cache; 1 if there is none
find_lepton() {
    local log
    lepton=${XDG_CACHE_HOME:-$HOME/.cache}/stowage/lepton-$1
    [ ! -e "$lepton/.complete" ] || return 0
    python3 -c 'import ensurepip' 2>/dev/null || (install_for lepton) || return 1
    log=$(mktemp)
    mkdir -p "$(dirname "$lepton")"
    if ! python3 -m venv "$lepton" >"$log" 2>&1 || ! "$lepton/bin/pip" install -q "leptonai==$1" >>"$log" 2>&1; then
        note "leptonai $1 cannot be installed: $(tail -n 1 "$log")"
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
    touch "$lepton/.complete"
}

# --- processes ------------------------------------------------------------------------------------------------------

# stop_pid PID [SECONDS]: asks, waits, then kills; a pid that is gone is fine.
stop_pid() {
    local pid=$1 tenths=$((${2:-10} * 10))
    [ -n "$pid" ] || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    while kill -0 "$pid" 2>/dev/null && [ "$tenths" -gt 0 ]; do
        sleep 0.1
        tenths=$((tenths - 1))
    done
    if kill -KILL "$pid" 2>/dev/null; then
        note "process $pid did not end when asked and was killed"
    fi
    wait "$pid" 2>/dev/null || true
}

# wait_until SECONDS COMMAND…: polls until the command succeeds; 1 when it never does.
wait_until() {
    local tenths=$(($1 * 10))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$tenths" -gt 0 ] || return 1
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# rss_mib PID: resident memory in MiB with one digit
rss_mib() { awk '/^VmRSS:/ { printf "%.1f", $2 / 1024 }' "/proc/$1/status" 2>/dev/null || say '?'; }

# unmount_below DIR: detaches every mount below a directory, innermost first, asking /proc only (a dead mount hangs stat).
unmount_below() {
    local dir point
    dir=$1
    while read -r point; do
        umount -l "$point" 2>/dev/null || true
    done < <(awk -v dir="$dir/" 'index($5, dir) == 1 { print $5 }' /proc/self/mountinfo | sort -r)
}

# Growing a mounted ext4 asks for CAP_SYS_RESOURCE, which some containers lack.
can_grow_ext4() { (((0x$(awk '/^CapEff/ { print $2 }' /proc/self/status) >> 24) & 1)); }
