# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# Images without a registry: their names here, and the import of archives into the nodes' containerd.
# Sourced after scripts/lib.sh and layout.sh.
#
# shellcheck disable=SC2034 # the names are used by the other parts

PAUSE_IMAGE=stowage-test/pause:1
BUSYBOX_IMAGE=stowage-test/busybox:1 # a shell and the usual tools, for test pods
SIDECAR_REPOSITORY=registry.k8s.io/sig-storage

# images_import FILE…: into every node. Docker archives and OCI archives, as docker, buildah and image_of_program write them.
images_import() {
    local file node pid pids=() rc=0
    for file in "$@"; do
        [ -r "$file" ] || die "cannot read the image archive '$file'; make it first (images/build.sh --archive FILE)"
    done
    for node in "${NODES[@]}"; do
        images_import_into "$node" "$@" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || rc=1; done
    return "$rc"
}

# images_import_into NODE FILE…
images_import_into() {
    local node=$1 file output
    shift
    for file in "$@"; do
        output=$(machine_run "$node" ctr --namespace k8s.io images import - <"$file" 2>&1) || {
            printf '%s\n' "$output" | tail -n 5 >&2
            die "containerd on $node does not take '$file' (above); it must be a docker or an OCI archive"
        }
        sed -n 's/^unpacking \([^ ]*\) .*/\1/p' <<<"$output" | while read -r file; do note "$node has $file"; done
    done
}
