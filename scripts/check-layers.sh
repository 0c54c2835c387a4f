#!/usr/bin/env bash
# Proves the layer law of ARCHITECTURE.md from the #include lines alone:
#   - lib/base uses nothing of ours; another lib/* uses lib/base and itself (and lib/kube the client of lib/http); csi uses lib/* and proto; a process (controller,
#     node-plugin, sidecar, cli) uses csi, lib/* and itself; no folder uses a sibling; product code never uses tests/
#   - the header of a third-party library is included in exactly one folder (tests and bench apart)
#   - every include of ours is written from the root of the repository and exists
#   - every program's main.c has its folder to itself: no other folder includes a header of a process
#
# usage: scripts/check-layers.sh [ROOT]     (ROOT: another tree to check, for the check's own test)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case ${1:-} in
-h | --help)
    show_help
    exit 0
    ;;
esac
cd "${1:-$ROOT}"
problems=0

complain() {
    say "$*"
    problems=$((problems + 1))
}

# layer_of PATH: sets $layer to the folder that the law speaks of. (Variables, not output: thousands of includes are judged.)
layer_of() {
    case $1 in
    lib/*/*)
        layer=${1#lib/}
        layer=lib/${layer%%/*}
        ;;
    node-plugin/cachefs/*) layer=node-plugin/cachefs ;;
    sidecar/engine/*) layer=sidecar/engine ;;
    sidecar/remote/*) layer=sidecar/remote ;;
    */*) layer=${1%%/*} ;;
    *) layer=. ;;
    esac
}

# may_use FROM TO: one row of the law a layer.
may_use() {
    [ "$1" != "$2" ] || return 0
    case "$1 $2" in
    "lib/base "*) return 1 ;;
    "lib/"*" lib/base") return 0 ;;
    "lib/kube lib/http") return 0 ;; # the API server speaks HTTP
    "lib/"*) return 1 ;;
    "proto "*) return 1 ;;
    "csi lib/"* | "csi proto") return 0 ;;
    "csi "*) return 1 ;;
    "node-plugin node-plugin/cachefs") return 1 ;; # another process
    "controller lib/"* | "node-plugin lib/"* | "node-plugin/cachefs lib/"* | "cli lib/"*) return 0 ;;
    "sidecar/remote lib/"* | "sidecar lib/"* | "sidecar sidecar/engine" | "sidecar/engine lib/"*) return 0 ;;
    "controller csi" | "node-plugin csi" | "cli csi") return 0 ;;
    "cli proto" | "bench lib/"* | "bench proto" | "bench csi" | "bench sidecar/engine") return 0 ;;
    "tests "*) return 0 ;;
    *) return 1 ;;
    esac
}

# library_of HEADER: sets $library to the third-party library a system header belongs to; empty for libc and the kernel.
library_of() {
    case $1 in
    grpc/*) library=grpc ;;
    nfsc/*) library=libnfs ;;
    libmount/*) library=libmount ;;
    blkid/*) library=libblkid ;;
    fuse*) library=libfuse ;;
    protobuf-c/*) library=protobuf-c ;;
    jansson*) library=jansson ;;
    nettle/*) library=nettle ;;
    openssl/*) library=openssl ;;
    curl/*) library=libcurl ;;
    yaml.h) library=libyaml ;;
    sqlite3*) library=sqlite ;;
    cmocka*) library=cmocka ;;
    *) library= ;;
    esac
}

declare -A library_folder=()
sources=0
while IFS= read -r file; do
    sources=$((sources + 1))
    layer_of "$file"
    from=$layer
    while IFS=: read -r line include; do
        name=${include#*[<\"]}
        name=${name%%[>\"]*}
        if [[ $name == *.pb-c.h ]]; then # generated from proto/
            may_use "$from" proto || complain "$file:$line: $from may not use the messages ($name)"
            continue
        fi
        if [[ $include == *'"'* ]]; then
            if [ ! -e "$name" ]; then
                complain "$file:$line: \"$name\" is not written from the root, or does not exist"
                continue
            fi
            layer_of "$name"
            to=$layer
            may_use "$from" "$to" || complain "$file:$line: $from may not use $to (\"$name\")"
            continue
        fi
        library_of "$name"
        # Tests and the peers of a bench may look at a library directly; the product may not.
        if [ -z "$library" ] || [ "$from" = tests ] || [ "$from" = bench ]; then
            continue
        fi
        : "${library_folder[$library]:=$from}"
        [ "${library_folder[$library]}" = "$from" ] ||
            complain "$file:$line: <$name> of $library is included in $from and in ${library_folder[$library]}"
    done < <(grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"]' "$file" || true)
done < <(find lib csi controller node-plugin sidecar cli tests bench -name '*.[ch]' 2>/dev/null | sort)
[ "$sources" -gt 0 ] || die "no sources below $(pwd)"
[ "$problems" = 0 ] || die "$problems includes break the layer law"
say "$sources files keep the layer law; third-party headers: $(for library in "${!library_folder[@]}"; do
    printf '%s in %s; ' "$library" "${library_folder[$library]}"
done | sed 's/; $//')"
